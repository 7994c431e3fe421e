"""What a person wants otherwise than the fleet says: changes, and how to solve."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from optimizer.errors import Fault, SpecError
from optimizer.spec import FleetSpec, assigned, parse_assignment, with_options

__all__ = ["Wanted", "refuse_new_files"]

_MOST_CHANGES = 2000
_OPTIONS = {
    "solver": "--solver",
    "time_limit_s": "--time-limit",
    "relative_gap": "--gap",
    "seed": "--seed",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Changes of a fleet.

    Parameters
    ----------
    changes
        As `fleetopt solve --set` has them, in order.
    options
        Fields of the fleet's `optimizer` that are replaced: solver, time_limit_s, relative_gap,
        seed.
    """

    changes: tuple[str, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)

    def of(self, fleet: FleetSpec) -> FleetSpec:
        """Return the fleet with the changes.

        Raises
        ------
        SpecError
            If a change cannot be made, makes the fleet invalid, or would open a file.
        """
        if len(self.changes) > _MOST_CHANGES:
            raise SpecError([Fault(f"{len(self.changes)} changes: at most {_MOST_CHANGES}")])
        changed = fleet
        if self.changes:
            changed = assigned(fleet, [parse_assignment(text, "change") for text in self.changes])
            refuse_new_files(changed, fleet)
        return with_options(changed, **self.options) if self.options else changed

    def command(self, path: str, verb: str = "solve") -> str:
        """Return the command line that makes the same plan of the fleet at a path."""
        words = ["fleetopt", verb, path]
        for change in self.changes:
            words += ["--set", change]
        for name, value in self.options.items():
            words += [_OPTIONS[name], f"{value}"]
        return shlex.join([*words, "--json"])


def refuse_new_files(fleet: FleetSpec, known: FleetSpec | None = None) -> None:
    """Refuse a fleet from a browser that names files, for this machine would open them.

    Parameters
    ----------
    fleet
        The fleet.
    known
        One whose files may be opened, as it was named on the command line.

    Raises
    ------
    SpecError
        Naming every model with a file of its own.
    """
    allowed = {model.config for model in known.models} if known is not None else set()
    faults = [
        Fault(
            "files are not opened for a browser",
            path=f"models[{place}].config",
            value=model.config,
            hint="give the fleet on the command line: fleetopt dashboard FLEET",
        )
        for place, model in enumerate(fleet.models)
        if model.config is not None and model.config not in allowed
    ]
    if faults:
        raise SpecError(faults)
