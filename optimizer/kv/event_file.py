"""Reading what happened to devices and to quality: bandwidth samples and events, in a file."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import IO

from optimizer.errors import Fault, SpecError
from optimizer.kv.adaptation import (
    BandwidthSample,
    DeviceLost,
    DeviceRestored,
    Event,
    MinimumRatioChanged,
)
from optimizer.kv.ranges import Range, refuse_outside
from optimizer.spec.source_text import read_text
from optimizer.spec.wording import kind_of, show_value, suggestion

__all__ = ["EventFile", "FiledEvent", "read_events"]

_NUMBERS = {
    "time_s": Range("s"),
    "bandwidth_gb_s": Range("GB/s", above=True, high=1e6),
    "minimum_ratio": Range(high=1.0),
}
_HAPPENINGS = ("bandwidth_gb_s", "minimum_ratio", "event")
_COLUMNS = ("time_s", "device", *_HAPPENINGS)
_EVENTS: Mapping[str, type[DeviceLost | DeviceRestored]] = {
    "lost": DeviceLost,
    "restored": DeviceRestored,
}
_SHOWN_FAULTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FiledEvent:
    """An event, and the line that it was read from."""

    line: int
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFile:
    """All events of a file, as they stand there, and the name that messages give it."""

    name: str
    events: tuple[FiledEvent, ...]


def read_events(source: str | os.PathLike[str] | IO[str]) -> EventFile:
    """Read events from CSV with a header, or from a JSON object per line.

    Parameters
    ----------
    source
        A path, `-` for the standard input, or an open file. Each line has `time_s` and one of
        `bandwidth_gb_s` (of `device`), `event` (`lost` or `restored`, of `device`) and
        `minimum_ratio` (what quality needs from then on).

    Raises
    ------
    SpecError
        If the file cannot be read or holds no event, or with the first lines that are wrong.
    """
    text = read_text(source)
    read = _json_lines if text.text.lstrip().startswith("{") else _csv_lines
    events, faults = list[FiledEvent](), list[Fault]()
    for line, row in read(text.name, text.text):
        try:
            if isinstance(row, SpecError):
                raise row
            events.append(FiledEvent(line=line, event=_event(row)))
        except SpecError as error:
            faults += [replace(fault, source=text.name, line=line) for fault in error.faults]
    if faults:
        raise SpecError(faults[:_SHOWN_FAULTS])
    if not events:
        hint = "give a header with time_s,device,bandwidth_gb_s and a line per sample"
        raise SpecError([Fault("holds no sample or event", source=text.name, hint=hint)])
    return EventFile(name=text.name, events=tuple(events))


def _csv_lines(name: str, text: str) -> Iterator[tuple[int, Mapping[str, object] | SpecError]]:
    reader = csv.reader(io.StringIO(text), skipinitialspace=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        if not any(header):
            return
        _check_keys(header)
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            if len(cells) != len(header):
                wrong = f"has {len(cells)} cells, the header has {len(header)}"
                yield reader.line_num, SpecError([Fault(wrong)])
                continue
            row = zip(header, map(str.strip, cells), strict=True)
            yield reader.line_num, {key: cell for key, cell in row if cell}
    except csv.Error as error:
        raise SpecError(
            [Fault(f"is no CSV: {error}", source=name, line=reader.line_num)]
        ) from error
    except SpecError as error:
        raise SpecError([replace(fault, source=name, line=1) for fault in error.faults]) from error


def _json_lines(name: str, text: str) -> Iterator[tuple[int, Mapping[str, object] | SpecError]]:
    for line, content in enumerate(io.StringIO(text), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except (ValueError, RecursionError):
            message = "is no JSON object on one line"
            raise SpecError([Fault(message, source=name, line=line)]) from None
        if isinstance(row, dict):
            yield line, {key: value for key, value in row.items() if value is not None}
        else:
            yield line, SpecError([Fault(f"must be a JSON object, not {kind_of(row)}")])


def _check_keys(keys: list[str]) -> None:
    """Refuse columns that are unknown, missing or there twice."""
    faults = [
        Fault("unknown column", repr(key), hint=suggestion(key, _COLUMNS))
        for key in keys
        if key not in _COLUMNS
    ]
    faults += [
        Fault("stands there twice", key) for key in dict.fromkeys(keys) if keys.count(key) > 1
    ]
    if not faults and "time_s" not in keys:
        faults.append(Fault("is missing", "time_s"))
    if faults:
        raise SpecError(faults)


def _event(row: Mapping[str, object]) -> Event:
    _check_keys(list(row))
    numbers = {name: _number(name, row[name]) for name in _NUMBERS if name in row}
    refuse_outside({name: numbers.get(name) for name in _NUMBERS}, _NUMBERS)
    said = [name for name in _HAPPENINGS if name in row]
    if len(said) != 1:
        message = f"must give one of {', '.join(_HAPPENINGS)}, not {' and '.join(said) or 'none'}"
        raise SpecError([Fault(message)])
    at_s, happening = numbers["time_s"], said[0]
    if happening == "minimum_ratio":
        if "device" in row:
            message = "must be empty beside minimum_ratio, which holds for every device"
            raise SpecError([Fault(message, "device", show_value(row["device"]))])
        return MinimumRatioChanged(at_s=at_s, minimum_ratio=numbers[happening])
    device = row.get("device")
    if not isinstance(device, str):
        shown = None if device is None else show_value(device)
        raise SpecError([Fault(f"must name the device of {happening}", "device", shown)])
    if happening == "bandwidth_gb_s":
        return BandwidthSample(at_s=at_s, device=device, bandwidth_gb_s=numbers[happening])
    kind = row["event"]
    if not isinstance(kind, str) or kind not in _EVENTS:
        hint = suggestion(str(kind), _EVENTS)
        raise SpecError([Fault("is no event", "event", show_value(kind), hint)])
    return _EVENTS[kind](at_s=at_s, device=device)


def _number(name: str, value: object) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise SpecError([Fault("must be a number", name, show_value(value))])
