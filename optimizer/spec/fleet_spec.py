"""The whole description of a fleet."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from optimizer.spec.accelerator import AcceleratorSpec, CapacitySpec
from optimizer.spec.base import Name, SpecModel
from optimizer.spec.horizon import HorizonSpec
from optimizer.spec.limits import LimitSpec, RegionSpec
from optimizer.spec.model import ModelSpec, PerformanceSpec
from optimizer.spec.options import OptimizerSpec
from optimizer.spec.service import ServiceSpec
from optimizer.spec.service_class import ServiceClassSpec
from optimizer.spec.storage import KvTransferSpec, StoreSpec
from optimizer.spec.uncertainty import UncertaintySpec

__all__ = ["CURRENCY_PATTERN", "FleetSpec"]

CURRENCY_PATTERN = r"^[A-Z]{3}$"
"""Currencies by their code in ISO 4217."""


class FleetSpec(SpecModel):
    """A fleet: what there is to serve, for whom, on what, and how to decide."""

    # Not Literal[1], which would let `true` and 1.0 pass.
    schema_version: int = Field(default=1, ge=1, le=1, description="Version of this format.")
    name: Name = Field(default="fleet", description="Name of the fleet.")
    currency: Annotated[str, Field(pattern=CURRENCY_PATTERN)] = Field(
        default="USD", description="Currency of every price (ISO 4217)."
    )
    accelerators: tuple[AcceleratorSpec, ...] = Field(
        strict=False, description="Accelerators that can be used."
    )
    capacities: tuple[CapacitySpec, ...] = Field(
        default=(), strict=False, description="Cards available, per type and place."
    )
    regions: tuple[RegionSpec, ...] = Field(
        default=(), strict=False, description="Regions, and how clean their electricity is."
    )
    limits: tuple[LimitSpec, ...] = Field(
        default=(),
        strict=False,
        description="Budgets, power, carbon and quotas of the fleet, of a tenant or of a place.",
    )
    stores: tuple[StoreSpec, ...] = Field(
        default=(), strict=False, description="Where KV caches can be kept for reuse."
    )
    kv_transfer: KvTransferSpec | None = Field(
        default=None, description="How KV caches go from prefill to decode pools."
    )
    models: tuple[ModelSpec, ...] = Field(strict=False, description="Models.")
    performance: tuple[PerformanceSpec, ...] = Field(
        default=(), strict=False, description="How fast each model runs on each accelerator."
    )
    classes: tuple[ServiceClassSpec, ...] = Field(strict=False, description="Service classes.")
    services: tuple[ServiceSpec, ...] = Field(strict=False, description="Services.")
    uncertainty: UncertaintySpec | None = Field(
        default=None, description="Loads that may come in place of those of the services."
    )
    horizon: HorizonSpec | None = Field(
        default=None, description="Periods that `fleetopt horizon` plans together."
    )
    optimizer: OptimizerSpec = Field(default_factory=OptimizerSpec, description="How to decide.")
    notes: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="Remarks that travel with the fleet: what an importer could not carry over.",
    )

    @model_validator(mode="after")
    def _fill_in_instances(self) -> Self:
        """Take as many instances as a stated parallelism needs where none are stated."""
        cards = {accelerator.name: accelerator.cards for accelerator in self.accelerators}
        filled = tuple(
            entry
            if entry.parallel_cards is None or "instances" in entry.model_fields_set
            else entry.model_copy(
                update={
                    "instances": max(entry.parallel_cards // cards.get(entry.accelerator, 1), 1)
                }
            )
            for entry in self.performance
        )
        # The model is frozen for its users, and is being made here.
        self.__dict__["performance"] = filled
        return self
