"""The scenarios of a sweep: every combination of fleets and axes, each with its own name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product

from optimizer.errors import Fault, SpecError
from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.sweep.sweep_spec import AxisSpec, SweepSpec
from optimizer.spec.assignment import Assignment, assigned, parse_assignment
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.value_range import parse_range

__all__ = ["MOST_SCENARIOS", "AxisValue", "Scenario", "scenarios_of"]

MOST_SCENARIOS = 1_000_000
"""More are a study of years: a slip of the pen, most likely."""

_DIGEST_DIGITS = 16


@dataclass(frozen=True, slots=True)
class AxisValue:
    """One value of an axis: what tables call it, and the changes it means."""

    label: str | float | int | bool | None
    changes: tuple[Assignment, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One fleet with changes.

    Parameters
    ----------
    fleet
        Name of the fleet's file, as the sweep has it.
    labels
        Label by axis.
    changes
        In order; those that all scenarios share come first.
    key
        Digest of fleet, changes and version of fleetopt: equal keys, equal plans.
    """

    fleet: str
    labels: tuple[tuple[str, str | float | int | bool | None], ...]
    changes: tuple[Assignment, ...]
    key: str

    @property
    def name(self) -> str:
        """In one line, for people."""
        return ", ".join([self.fleet, *(f"{axis}={label}" for axis, label in self.labels)])


def scenarios_of(sweep: SweepSpec, fleets: dict[str, FleetSpec]) -> tuple[Scenario, ...]:
    """Combine every fleet with every value of every axis; the last axis runs fastest.

    Parameters
    ----------
    sweep
        A valid sweep.
    fleets
        Its fleets, by the name the sweep has for them.

    Raises
    ------
    SpecError
        With the faults of every single value that does not make a valid fleet.
    ExperimentError
        If there are more than `MOST_SCENARIOS`.
    """
    common = _common_changes(sweep)
    axes = [(axis.name, _values(axis)) for axis in sweep.axes]
    count = len(fleets)
    for _, values in axes:
        count *= len(values)
    if count > MOST_SCENARIOS:
        raise ExperimentError(
            f"the axes combine to {count:,} scenarios, more than {MOST_SCENARIOS:,}; "
            f"give fewer values, or several sweeps"
        )
    for fleet in fleets.values():
        _refuse_values_that_fit_nowhere(fleet, common, axes)
    return tuple(_combined(fleets, common, axes))


def _common_changes(sweep: SweepSpec) -> tuple[Assignment, ...]:
    written = tuple(parse_assignment(text, "set") for text in sweep.set)
    if sweep.time_limit_s is None:
        return written
    return (*written, parse_assignment(f"optimizer.time_limit_s={sweep.time_limit_s!r}"))


def _values(axis: AxisSpec) -> list[AxisValue]:
    source = f"axis {axis.name}"
    if axis.range is not None:
        return [AxisValue(_label(one.value), (one,)) for one in parse_range(axis.range, source)]
    assert axis.cases is not None  # the sweep was checked
    return [
        AxisValue(label, tuple(parse_assignment(text, f"{source}: {label}") for text in changes))
        for label, changes in axis.cases.items()
    ]


def _label(value: object) -> str | float | int | bool | None:
    if value is None or isinstance(value, str | float | int | bool):
        return value
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _refuse_values_that_fit_nowhere(
    fleet: FleetSpec,
    common: tuple[Assignment, ...],
    axes: list[tuple[str, list[AxisValue]]],
) -> None:
    """Try every value by itself: combinations are many, and each is checked when it is solved."""
    faults: list[Fault] = []
    for changes in [(), *(value.changes for _, values in axes for value in values)]:
        try:
            assigned(fleet, (*common, *changes))
        except SpecError as error:
            faults += (fault for fault in error.faults if fault not in faults)
    if faults:
        raise SpecError(faults)


def _combined(
    fleets: dict[str, FleetSpec],
    common: tuple[Assignment, ...],
    axes: list[tuple[str, list[AxisValue]]],
) -> Iterator[Scenario]:
    names = [name for name, _ in axes]
    for fleet_name, fleet in fleets.items():
        digest = _digest(fleet.model_dump_json(by_alias=True), version("fleetopt"))
        for values in product(*(values for _, values in axes)):
            changes = (*common, *(change for value in values for change in value.changes))
            yield Scenario(
                fleet=fleet_name,
                labels=tuple(zip(names, (value.label for value in values), strict=True)),
                changes=changes,
                key=_digest(digest, *map(str, changes)),
            )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGEST_DIGITS]
