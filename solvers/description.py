"""What a solver says of itself, in plain values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from solvers.base import Feature, Solver

__all__ = ["SolverDescription"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverDescription:
    """A solver's own account; see the attributes of `Solver`.

    Parameters
    ----------
    features, lacks
        `Feature`s that it has, and those that it has not.
    options
        Its own options with their defaults.
    requires
        What has to be installed for it.
    """

    name: str
    summary: str
    features: tuple[str, ...]
    lacks: tuple[str, ...]
    options: dict[str, object]
    requires: tuple[str, ...]

    @classmethod
    def of(cls, solver: Solver) -> SolverDescription:
        """Read the attributes of a solver."""
        return cls(
            name=solver.name,
            summary=solver.summary,
            features=tuple(str(f) for f in Feature if f in solver.features),
            lacks=tuple(str(f) for f in Feature if f not in solver.features),
            options={f.name: _default(f) for f in dataclasses.fields(solver.Options)},
            requires=solver.requires,
        )


def _default(option: dataclasses.Field[object]) -> object:
    if option.default_factory is not dataclasses.MISSING:
        return option.default_factory()
    return option.default
