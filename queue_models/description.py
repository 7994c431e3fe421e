"""What a queue model says of itself, in plain values."""

from __future__ import annotations

from dataclasses import dataclass

from queue_models.auto import AutoModel
from queue_models.base import QueueModel
from queue_models.process import OPTIONAL_FIELDS

__all__ = ["ModelDescription"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDescription:
    """A queue model's own account; see the attributes of `QueueModel`.

    Parameters
    ----------
    honours, ignores, refuses
        `OPTIONAL_FIELDS` of a service process, sorted apart: taken into account, of no matter by
        the model's assumptions, and refused where a service asks for them. None for a model that
        leaves the answer to another, which it chooses call by call.
    """

    name: str
    summary: str
    timings: tuple[str, ...]
    assumptions: tuple[str, ...]
    honours: tuple[str, ...] | None
    ignores: tuple[str, ...] | None
    refuses: tuple[str, ...] | None
    keeps_targets: bool
    conservative: bool
    bound: str
    cost: str
    source: str

    @classmethod
    def of(cls, model: QueueModel) -> ModelDescription:
        """Read the attributes of a model."""
        known = model.honours | model.ignores
        chooses = isinstance(model, AutoModel)
        return cls(
            name=model.name,
            summary=model.summary,
            timings=tuple(sorted(timing.__name__ for timing in model.timings)),
            assumptions=model.assumptions,
            honours=None if chooses else tuple(f for f in OPTIONAL_FIELDS if f in model.honours),
            ignores=None if chooses else tuple(f for f in OPTIONAL_FIELDS if f in model.ignores),
            refuses=None if chooses else tuple(f for f in OPTIONAL_FIELDS if f not in known),
            keeps_targets=model.keeps_targets,
            conservative=model.conservative,
            bound=model.bound,
            cost=model.cost,
            source=model.source,
        )
