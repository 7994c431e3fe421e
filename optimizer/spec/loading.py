"""From a file, a text or plain data to a valid `FleetSpec`, or to every fault at once.

Documents of inferno and Mélange are recognised and imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from optimizer.errors import SpecError
from optimizer.spec.document import Document, DocumentFormat, parse
from optimizer.spec.explanation import explain
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.inferno import load_inferno, looks_like_inferno
from optimizer.spec.inferno_groups import folder_has_groups
from optimizer.spec.melange import load_melange, looks_like_melange
from optimizer.spec.references import cross_check
from optimizer.spec.source_text import SourceText, read_text, refuse

__all__ = ["from_data", "from_document", "load", "loads"]

# Together in the documents of plans alone.
_KEYS_OF_PLANS = {"allocations", "termination", "provenance"}


def load(
    source: str | os.PathLike[str] | IO[str] | IO[bytes],
    format: DocumentFormat | None = None,  # noqa: A002
) -> FleetSpec:
    """Load a fleet from a YAML or JSON file of our own format, or from one of inferno's.

    Parameters
    ----------
    source
        A path, `-` for the standard input, or an open file in text or binary mode. A folder with
        the parts of an inferno system as `.json` files is one document.
    format
        `yaml` or `json`; by default the name's suffix tells, then the text's beginning.

    Returns
    -------
    FleetSpec
        Valid in itself: every name refers to something, nothing that is needed is missing.

    Raises
    ------
    SpecError
        With every fault found, in document order.
    """
    if isinstance(source, str | os.PathLike):
        if _is_inferno_folder(source):
            return load_inferno(source)
        fleet = _native_or_foreign(parse(read_text(source), format))
        return _with_configs_beside(fleet, Path(source).parent)
    return _native_or_foreign(parse(read_text(source), format))


def loads(
    text: str,
    source: str = "<string>",
    format: DocumentFormat | None = None,  # noqa: A002
) -> FleetSpec:
    """Load a fleet from a YAML or JSON text of our own format, or from one of inferno's.

    Parameters
    ----------
    text
        The document.
    source
        What messages call it.
    format
        `yaml` or `json`; by default the suffix of `source` tells, then the text's beginning.

    Raises
    ------
    SpecError
        With every fault found, in document order.
    """
    return _native_or_foreign(parse(SourceText(source, text.removeprefix("\ufeff")), format))


def _with_configs_beside(fleet: FleetSpec, folder: Path) -> FleetSpec:
    """Let relative paths of models' configurations start at the fleet file's folder."""
    if all(model.config is None for model in fleet.models):
        return fleet
    models = tuple(
        model
        if model.config is None
        else model.model_copy(update={"config": str(folder / model.config)})
        for model in fleet.models
    )
    return fleet.model_copy(update={"models": models})


def _is_inferno_folder(path: str | os.PathLike[str]) -> bool:
    return os.path.isdir(path) and folder_has_groups(Path(path))


def _native_or_foreign(document: Document) -> FleetSpec:
    if isinstance(document.data, Mapping) and document.data.keys() >= _KEYS_OF_PLANS:
        refuse(document.source, "is a plan: must be a fleet", hint="give the fleet it was made of")
    if looks_like_inferno(document.data):
        return load_inferno(document)
    if looks_like_melange(document.data):
        return load_melange(document)
    return from_document(document)


def from_data(data: object, source: str = "<data>") -> FleetSpec:
    """Make a fleet of plain data, or check a `FleetSpec` that was built in code.

    Parameters
    ----------
    data
        Mappings, lists and scalars with the keys of a document; or a `FleetSpec`, whose parts are
        valid each for itself, to have their names and needs checked against each other.
    source
        What messages call it.

    Raises
    ------
    SpecError
        With every fault found, in document order.
    """
    plain = data.model_dump(by_alias=True) if isinstance(data, FleetSpec) else data
    return from_document(Document(plain, source))


def from_document(document: Document) -> FleetSpec:
    """Make a fleet of a document.

    Raises
    ------
    SpecError
        With every fault found, in document order.
    """
    try:
        fleet = FleetSpec.model_validate(document.data, by_alias=True, by_name=False)
    except ValidationError as error:
        findings = chain(document.findings, explain(error), cross_check(document.data))
        raise SpecError(document.faults(findings)) from error
    faults = document.faults(chain(document.findings, cross_check(document.data)))
    if faults:
        raise SpecError(faults)
    return fleet
