"""What a sweep is, as its YAML file says it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from optimizer.errors import Fault, SpecError
from optimizer.spec.base import Name, Positive, SpecModel
from optimizer.spec.document import Document, parse
from optimizer.spec.explanation import explain
from optimizer.spec.finding import Finding
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.loading import load
from optimizer.spec.parts import Part
from optimizer.spec.source_text import read_text

__all__ = ["AxisSpec", "SweepSpec", "load_sweep", "sweep_from_data"]

Change = Annotated[str, Field(min_length=1, max_length=10_000)]
_OPTION_AXES = {"solvers": "solver", "queue_models": "queue_model", "seeds": "seed"}


class AxisSpec(SpecModel):
    """Something that varies: a range of one value, or named cases of several changes."""

    name: Name = Field(description="What tables call it.")
    range: Change | None = Field(
        default=None,
        description="PATH=FIRST:LAST:COUNT, PATH=FIRST:LAST:COUNT:log or PATH=[VALUE, VALUE, ...], "
        "with =, *= or +=, as `fleetopt whatif --range` takes it.",
    )
    cases: dict[Name, Annotated[tuple[Change, ...], Field(strict=False)]] | None = Field(
        default=None,
        strict=False,
        min_length=1,
        description="Name by name a list of changes made together: PATH=VALUE, PATH*=FACTOR or "
        "PATH+=NUMBER; an empty list leaves the fleet as it is.",
    )


class SweepSpec(SpecModel):
    """A whole sweep: fleets, what varies, how long each solve may take."""

    schema_version: int = Field(default=1, ge=1, le=1, description="Version of this format.")
    name: Name = Field(default="sweep", description="Name of the sweep.")
    fleets: tuple[Change, ...] = Field(
        strict=False,
        min_length=1,
        description="Files of fleets; relative paths start at the sweep's folder.",
    )
    set: tuple[Change, ...] = Field(
        default=(), strict=False, description="Changes made in every scenario: PATH=VALUE, ..."
    )
    axes: tuple[AxisSpec, ...] = Field(
        default=(), strict=False, description="What varies; all combinations are scenarios."
    )
    solvers: tuple[Name, ...] = Field(
        default=(), strict=False, description="An axis: each scenario by each of these solvers."
    )
    queue_models: tuple[Name, ...] = Field(
        default=(), strict=False, description="An axis: each scenario with each queue model."
    )
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(
        default=(), strict=False, description="An axis: each scenario with each seed."
    )
    time_limit_s: Positive | None = Field(
        default=None, description="Solving time of each scenario [s]; by default the fleet's own."
    )
    limit_s: Positive | None = Field(
        default=None, description="Everything a scenario may take [s]; then it is given up."
    )


def load_sweep(source: str | os.PathLike[str]) -> tuple[SweepSpec, dict[str, FleetSpec]]:
    """Load a sweep from a YAML or JSON file, with the fleets it names.

    Returns
    -------
    sweep
        With the axes `solvers`, `queue_models` and `seeds` among its axes.
    fleets
        By the name the sweep has for them.

    Raises
    ------
    SpecError
        With every fault of the sweep, or of its fleets.
    """
    hint = "begin with the key fleets:"
    document = parse(read_text(source), None, "must be a sweep", hint)
    sweep = _from_document(document)
    folder = Path() if str(source) == "-" else Path(source).parent
    fleets: dict[str, FleetSpec] = {}
    faults: list[Fault] = []
    for name in sweep.fleets:
        try:
            fleets[name] = load(folder / name)
        except SpecError as error:
            faults += error.faults
    if faults:
        raise SpecError(faults)
    return sweep, fleets


def sweep_from_data(data: object, source: str = "<data>") -> SweepSpec:
    """Make a sweep of plain data; see `load_sweep`."""
    return _from_document(Document(data, source))


def _from_document(document: Document) -> SweepSpec:
    whole = Part((), document.data)
    found = [*document.findings]
    try:
        sweep = SweepSpec.model_validate(document.data, by_alias=True, by_name=False)
    except ValidationError as error:
        found += explain(error, root=SweepSpec)
        found += _contradictions(whole)
        raise SpecError(document.faults(found)) from error
    found += _contradictions(whole)
    if found:
        raise SpecError(document.faults(found))
    return _with_option_axes(sweep)


def _contradictions(sweep: Part) -> Iterator[Finding]:
    names = Counter(axis.text("name") for axis in sweep.entries("axes"))
    for axis in sweep.entries("axes"):
        if axis.has("range") == axis.has("cases"):
            yield axis.find("range", "must have range or cases, one of them")
        name = axis.text("name")
        if name is not None and (names[name] > 1 or name in ("fleet", *_OPTION_AXES.values())):
            yield axis.find("name", "names another axis too", "give it another name")


def _with_option_axes(sweep: SweepSpec) -> SweepSpec:
    """Write the axes of options like the others."""
    axes = [
        AxisSpec(
            name=option,
            cases={str(value): (f"optimizer.{option}={value}",) for value in getattr(sweep, key)},
        )
        for key, option in _OPTION_AXES.items()
        if getattr(sweep, key)
    ]
    return sweep.model_copy(update={"axes": (*sweep.axes, *axes)})
