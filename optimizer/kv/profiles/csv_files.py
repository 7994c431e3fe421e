"""Profiles as CSV: with a column `device` those of devices, else prefill times."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from optimizer.errors import Fault, SpecError
from optimizer.kv.profiles.records import DeviceProfile, PrefillTime

__all__ = ["read_profiles", "write_profiles"]

_SHOWN_FAULTS = 5
_SET_BY_DATABASE = ("recorded_at", "superseded_at")
_WHOLE, _REAL = ("context_tokens",), ("prefill_ms", "prefill_s", "bandwidth_gb_s", "latency_ms")

Record = PrefillTime | DeviceProfile


def read_profiles(path: str) -> list[Record]:
    """Read records; `prefill_s` may stand for `prefill_ms`; `-`: standard input.

    Former records of an export (with a date in `superseded_at`) are left out: a database keeps its
    own history.

    Raises
    ------
    SpecError
        If the file cannot be read, a column is missing or unknown, or lines are wrong, by number.
    """
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SpecError([Fault(f"cannot be read: {error.strerror}", source=path)]) from error
    except UnicodeDecodeError as error:
        raise SpecError([Fault("is not text in UTF-8", source=path)]) from error
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    kind = _kind(path, reader.fieldnames or ())
    records, faults = list[Record](), list[Fault]()
    for row in reader:
        try:
            if None in row or None in row.values():
                raise SpecError([Fault("has another number of cells than there are columns")])
            if not row.get("superseded_at"):
                records.append(_record(kind, row))
        except SpecError as error:
            faults += [replace(fault, source=path, line=reader.line_num) for fault in error.faults]
    if faults:
        raise SpecError(faults[:_SHOWN_FAULTS])
    if not records:
        raise SpecError([Fault("has no profile", source=path)])
    return records


def write_profiles(records: Sequence[Record]) -> str:
    """Write records of one kind as CSV, with their dates."""
    text = io.StringIO()
    if records:
        names = [field.name for field in fields(records[0])]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        for record in records:
            cells = (getattr(record, name) for name in names)
            writer.writerow("" if cell is None else cell for cell in cells)
    return text.getvalue()


def _kind(path: str, columns: Sequence[str]) -> type[Record]:
    kind: type[Record] = DeviceProfile if "device" in columns else PrefillTime
    known = {field.name for field in fields(kind)}
    needed = {"device", "bandwidth_gb_s"}
    if kind is PrefillTime:
        known |= {"prefill_s"}
        time = "prefill_s" if "prefill_s" in columns else "prefill_ms"
        needed = {"model", "accelerator", "context_tokens", time}
    faults = [
        Fault(
            "is no column of a profile",
            source=path,
            value=repr(name),
            hint=", ".join(sorted(known)),
        )
        for name in columns
        if name not in known
    ]
    faults += [
        Fault(f"lacks the column {name}", source=path) for name in sorted(needed - {*columns})
    ]
    if faults:
        raise SpecError(faults)
    return kind


def _record(kind: type[Record], row: dict[str, str]) -> Record:
    values: dict[str, object] = {}
    for name, cell in row.items():
        if name in _SET_BY_DATABASE or not cell.strip():
            continue
        if name in _WHOLE or name in _REAL:
            values[name] = _number(name, cell)
        else:
            values[name] = cell.strip()
    if "prefill_s" in values:
        values["prefill_ms"] = 1e3 * float(str(values.pop("prefill_s")))
    missing = [
        name
        for name in ("model", "accelerator", "context_tokens", "prefill_ms")
        if kind is PrefillTime and name not in values
    ]
    if missing:
        raise SpecError([Fault("must not be empty", path=name, value="''") for name in missing])
    return kind(**values)  # type: ignore[arg-type]


def _number(name: str, cell: str) -> float | int:
    try:
        number = float(cell)
    except ValueError:
        raise SpecError([Fault("must be a number", path=name, value=repr(cell))]) from None
    if name not in _WHOLE:
        return number
    if number != number or abs(number) == float("inf") or number != int(number):
        raise SpecError([Fault("must be a whole number", path=name, value=repr(cell))])
    return int(number)
