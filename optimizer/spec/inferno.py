"""Importing the systems of inferno (llm-inferno, and the optimiser of llm-d's autoscaler).

Both generations of its performance data are read: `decodeParms` with `prefillParms`, and
`perfParms`. Keys are matched without case, as Go does. What a fleet has no counterpart for is
listed in the fleet's notes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path as FilePath
from typing import IO

from pydantic import ValidationError

from optimizer.errors import Fault, SpecError
from optimizer.spec.document import Document, parse
from optimizer.spec.explanation import explain
from optimizer.spec.finding import Finding
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.inferno_demand import read_classes, read_servers, with_default_class
from optimizer.spec.inferno_groups import (
    System,
    has_groups,
    system_of_document,
    system_of_folder,
)
from optimizer.spec.inferno_options import read_options
from optimizer.spec.inferno_reader import Entry
from optimizer.spec.inferno_supply import read_accelerators, read_capacities, read_performance
from optimizer.spec.options import CapacityMode
from optimizer.spec.references import cross_check
from optimizer.spec.source_text import read_text

__all__ = ["load_inferno", "looks_like_inferno"]

# Names of documents that came from no file are in angle brackets.
_NAME = re.compile(r"[^<].{0,199}")

Sections = Mapping[str, Sequence[Entry]]


def looks_like_inferno(data: object) -> bool:
    """Whether plain data are an inferno system, with or without `system` around its groups."""
    return has_groups(data)


def load_inferno(
    source: str | os.PathLike[str] | IO[str] | IO[bytes] | Document | Mapping[str, object],
) -> FleetSpec:
    """Import an inferno system.

    Rates become requests per second (there per minute), money USD per hour (there cents). Targets
    bound means. Without limits on capacity the objective is `inferno-value`; with them it is cost
    under strict priorities.

    Parameters
    ----------
    source
        A document `{"system": {...}}` or with the groups at its top: the path of a file, `-` for
        the standard input, an open file, a parsed document, or plain data; or the path of a folder
        with the groups in separate `.json` files.

    Returns
    -------
    FleetSpec
        Valid as a fleet of this product's own format is; its `notes` say what was assumed and what
        was not carried over.

    Raises
    ------
    SpecError
        With every fault found, at its place in the inferno document.
    """
    if isinstance(source, str | os.PathLike) and os.path.isdir(source):
        return _fleet_of(system_of_folder(FilePath(source)), FilePath(source).resolve().name)
    if isinstance(source, Mapping):
        document = Document(source, "<data>")
    else:
        document = source if isinstance(source, Document) else parse(read_text(source))
    return _fleet_of(system_of_document(document), FilePath(document.source).stem)


def _fleet_of(system: System, name: str) -> FleetSpec:
    groups = system.groups
    accelerators = read_accelerators(groups["acceleratorData"])
    performance = read_performance(groups["modelData"], accelerators)
    classes = read_classes(groups["serviceClassData"], performance)
    services = read_servers(groups["serverData"], classes, performance, accelerators)
    options = read_options(groups["optimizerData"].record("optimizer"))
    limited = options["capacity"] == CapacityMode.LIMITED
    capacities = read_capacities(groups["capacityData"], accelerators, limited=limited)
    for root in system.roots:
        root.close()
    sections = {
        "accelerators": accelerators.sound(),
        "capacities": capacities.sound(),
        "models": performance.models.sound(),
        "performance": performance.rows,
        "classes": with_default_class(classes, services),
        "services": services.sound(),
    }
    rest = {
        "name": name if _NAME.fullmatch(name) and name.isprintable() else "inferno",
        "optimizer": options,
        "notes": system.ledger.notes(),
    }
    return _validated(system, sections, rest)


def _validated(system: System, sections: Sections, rest: Mapping[str, object]) -> FleetSpec:
    """Make the fleet, or raise its faults together with those that reading it has found."""
    data: dict[str, object] = dict(rest)
    for section, entries in sections.items():
        data[section] = [entry.values for entry in entries]
    fleet, cause = None, None
    try:
        fleet = FleetSpec.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        _report(system, explain(error), sections)
        cause = error
    faults = _faults(system)
    if fleet is not None and not faults:
        _report(system, cross_check(data), sections)
        faults = _faults(system)
    if fleet is None or faults:
        raise SpecError(faults) from cause
    return fleet


def _report(system: System, findings: Iterable[Finding], sections: Sections) -> None:
    """Report faults of the fleet at the places in the inferno document that they come from."""
    for finding in findings:
        if len(finding.path) < 2:  # it concerns a section as a whole, or none
            system.roots[0].fault("", finding.message, hint=finding.hint)
            continue
        section, position, *steps = finding.path
        sections[str(section)][int(position)].report(tuple(steps), finding)


def _faults(system: System) -> list[Fault]:
    return list(chain.from_iterable(page.faults() for page in system.pages))
