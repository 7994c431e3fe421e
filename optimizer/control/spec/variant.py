"""A variant: one way in which a service can be deployed, the unit whose replicas are counted."""

from __future__ import annotations

from pydantic import Field

from optimizer.spec.base import Name, SpecModel

__all__ = ["Variant"]


class Variant(SpecModel):
    """One deployment of a service: what stays when only its replicas change."""

    service: Name = Field(description="Service, as in the fleet's `services[].name`.")
    accelerator: Name = Field(description="Accelerator, as in the fleet's `accelerators[].name`.")
    configuration: str = Field(
        default="", max_length=200, description="Words of the performance entry, as in plans."
    )
    max_batch: int | None = Field(
        default=None, ge=1, le=65536, description="Maximum batch that its engines run with."
    )

    def __str__(self) -> str:
        """As in `chat on H100 tp2, batch 64`."""
        place = f"{self.accelerator} {self.configuration}".rstrip()
        batch = "" if self.max_batch is None else f", batch {self.max_batch}"
        return f"{self.service} on {place}{batch}"

    def __hash__(self) -> int:
        """Hash by the parts; variants are keys."""
        return hash((self.service, self.accelerator, self.configuration, self.max_batch))
