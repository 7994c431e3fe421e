"""A valid fleet, and ways to spoil it."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.errors import Fault, SpecError
from optimizer.spec import load, loads

VALID_PATH = Path(__file__).with_name("valid_fleet.yaml")
VALID = VALID_PATH.read_text(encoding="utf-8")


def changed(*replacements: tuple[str, str]) -> str:
    """Replace texts of the valid document, each at its first place."""
    text = VALID
    for old, new in replacements:
        assert old in text, f"the valid document has no {old!r}"
        text = text.replace(old, new, 1)
    return text


def faults_of(document: object, **options: object) -> tuple[Fault, ...]:
    """Load a document, by text or by what `load` takes; it must be faulty."""
    if isinstance(document, str):
        options = {"source": "fleet.yaml", **options}
    read = loads if isinstance(document, str) else load
    with pytest.raises(SpecError) as caught:
        read(document, **options)  # type: ignore[arg-type]
    faults = caught.value.faults
    assert faults
    assert str(caught.value) == "\n".join(map(str, faults))
    return faults


def only_fault_of(document: object, **options: object) -> Fault:
    """Load a document with exactly one fault."""
    (fault,) = faults_of(document, **options)
    return fault
