"""Logs of observations: CSV with a header, or JSON lines; every fault names its line."""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from optimizer.errors import Fault, SpecError
from optimizer.performance.tuner.observation import (
    Observation,
    ServingObservation,
    StepObservation,
)

__all__ = ["ObservationFileError", "ObservationLog", "ObservedReplica", "read_observations"]

_MOST_FAULTS = 20
# Written for a value that is not there.
_MISSING = ("", "nan", "null", "none", "na", "n/a", "-", "unknown")

# Name of a quantity -> other names of it, units apart.
_QUANTITIES: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp", "t", "end", "end_time"),
    "arrival_rate": ("rate", "request_rate", "arrival", "requests_per", "load"),
    "input_tokens": (
        "isl", "prompt_tokens", "input_length", "input_len", "prompt_length", "context_tokens",
        "contexttokens", "avg_input_tokens", "mean_input_tokens", "in_tokens",
    ),
    "output_tokens": (
        "osl", "generation_tokens", "output_length", "output_len", "generated_tokens",
        "generatedtokens", "avg_output_tokens", "mean_output_tokens", "out_tokens",
    ),
    "ttft": ("mean_ttft", "avg_ttft", "time_to_first_token", "ttft_mean", "ttft_avg"),
    "itl": (
        "tpot", "mean_itl", "avg_itl", "mean_tpot", "avg_tpot", "inter_token_latency", "itl_mean",
        "time_per_output_token", "itl_avg", "tpot_mean",
    ),
    "concurrency": ("running", "num_requests_running", "in_service", "batch", "running_requests"),
    "requests": ("num_requests", "count", "completed", "request_count", "samples"),
    "iteration": ("step", "iteration_time", "step_time", "forward"),
    "decode_tokens": ("decode_requests", "num_decode", "batch_size", "decode_batch"),
    "prefill_tokens": ("num_prefill_tokens", "prompt_tokens_computed"),
    "kv_tokens": ("kv_cache_tokens", "cached_tokens", "context_in_cache"),
    "replicas": ("num_replicas", "pods"),
    "model": ("model_name", "model_id"),
    "accelerator": ("gpu", "acc", "accelerator_name", "device"),
}  # fmt: skip
# Quantity -> field of an observation, and its units with what they are worth.
_PER_SECOND = {"rps": 1.0, "per_s": 1.0, "per_second": 1.0, "qps": 1.0, "hz": 1.0}
_RATES = _PER_SECOND | {"rpm": 1 / 60, "per_minute": 1 / 60, "per_min": 1 / 60, "rph": 1 / 3600}
_TIMES = {"ms": 1.0, "s": 1e3, "seconds": 1e3, "sec": 1e3, "us": 1e-3, "milliseconds": 1.0}
_CLOCK = {"s": 1.0, "seconds": 1.0, "ms": 1e-3, "": 1.0}
_UNITS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "time": ("time_s", _CLOCK),
    "arrival_rate": ("arrival_rate_rps", _RATES),
    "ttft": ("ttft_ms", _TIMES),
    "itl": ("itl_ms", _TIMES),
    "iteration": ("iteration_ms", _TIMES),
}
_ALONE = {
    "rps": ("arrival_rate", 1.0),
    "qps": ("arrival_rate", 1.0),
    "rpm": ("arrival_rate", 1 / 60),
}
_TEXTS = ("model", "accelerator")


class ObservationFileError(SpecError):
    """A log of observations cannot be read; carries every fault with its line."""


@dataclass(frozen=True, slots=True)
class ObservedReplica:
    """The observations of one model on one accelerator, in the order of time.

    Parameters
    ----------
    model, accelerator
        Names; empty where the log has none.
    observations
        With the line of each.
    """

    model: str
    accelerator: str
    observations: tuple[tuple[int, Observation], ...]


@dataclass(frozen=True, slots=True)
class ObservationLog:
    """A log of observations.

    Parameters
    ----------
    source
        Name of the file.
    kind
        What it observes: windows of serving, or iterations of the engine.
    replicas
        By model and accelerator, in the order of their first lines.
    ignored
        Columns that are not read.
    """

    source: str
    kind: type[Observation]
    replicas: tuple[ObservedReplica, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    factor: float


def read_observations(path: Path | str, text: str | None = None) -> ObservationLog:
    """Read a log of observations; `text` instead of the file's content.

    Commas, semicolons or tabs part the cells. Columns may have the names of `ServingObservation` or
    `StepObservation`, or other usual ones; times and rates state their unit in the name, as in
    `ttft_ms`, `ttft_s`, `rate_rpm`. Cells that are empty or say `nan` are missing. With a column
    `replicas`, rates, requests and concurrencies are those of all together, and are divided.

    Raises
    ------
    ObservationFileError
        If the file cannot be read, has no rows, lacks what is needed, or a cell is no number.
    """
    source = str(path)
    text = _content(path, source) if text is None else text
    rows = list(_json_rows(text, source) if _is_json(text) else _csv_rows(text, source))
    if not rows:
        hint = "give a header and a row per observation, or one JSON object per line"
        raise ObservationFileError([Fault("has no observations", source=source, hint=hint)])
    names = tuple(dict.fromkeys(name for _, row in rows for name in row))
    columns, ignored = _columns(names, source)
    kind = _kind(columns, names, source)
    return ObservationLog(source, kind, _replicas(rows, columns, kind, source), ignored)


def _content(path: Path | str, source: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ObservationFileError([Fault(f"cannot be read: {reason}", source=source)]) from error


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _json_rows(text: str, source: str) -> Iterator[tuple[int, dict[str, object]]]:
    faults = []
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except ValueError as error:
            faults.append(Fault(f"is no JSON: {error}", source=source, line=line))
            continue
        if not isinstance(row, dict):
            faults.append(Fault("must be a JSON object", source=source, line=line))
            continue
        yield line, {str(name): value for name, value in row.items()}
    if faults:
        raise ObservationFileError(faults[:_MOST_FAULTS])


def _csv_rows(text: str, source: str) -> Iterator[tuple[int, dict[str, object]]]:
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text))
    header: list[str] = []
    faults = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                twice = {name for name in header if header.count(name) > 1}
                faults += [
                    Fault("the column comes twice", name, source=source, line=reader.line_num)
                    for name in sorted(twice)
                ]
            elif len(cells) != len(header):
                words = f"{len(cells)} cells, the header has {len(header)}"
                faults.append(Fault(words, source=source, line=reader.line_num))
            else:
                yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        faults.append(Fault(f"is no CSV: {error}", source=source, line=reader.line_num))
    if faults:
        raise ObservationFileError(faults[:_MOST_FAULTS])


def _delimiter(text: str) -> str:
    """Return what stands between the columns of the header: comma, semicolon or tab."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=header.count)


def _columns(names: Sequence[str], source: str) -> tuple[dict[str, _Column], tuple[str, ...]]:
    """Return what each column that is read stands for, and the columns that are not."""
    columns: dict[str, _Column] = {}
    ignored, faults = [], []
    taken: dict[str, str] = {}
    for name in names:
        found = _meaning(name)
        if isinstance(found, str):
            faults.append(Fault(found, name, source=source, line=1))
        elif found is None:
            ignored.append(name)
        elif found.name in taken:
            words = f"means {found.name}, as {taken[found.name]!r} does: leave one of them out"
            faults.append(Fault(words, name, source=source, line=1))
        else:
            taken[found.name] = name
            columns[name] = found
    if faults:
        raise ObservationFileError(faults)
    return columns, tuple(ignored)


def _meaning(name: str) -> _Column | str | None:
    """Return what a column stands for; words where it lacks a unit; None where it is unknown."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    plain = re.sub(r"^(vllm|sglang|tgi)_", "", plain)
    if plain in _ALONE:
        quantity, factor = _ALONE[plain]
        return _Column(_UNITS[quantity][0], factor)
    for quantity, others in _QUANTITIES.items():
        for known in (quantity, *others):
            if quantity not in _UNITS:
                if plain == known:
                    return _Column(quantity, 1.0)
                continue
            own, units = _UNITS[quantity]
            for unit, factor in units.items():
                if plain == (f"{known}_{unit}" if unit else known):
                    return _Column(own, factor)
            if plain == known:
                wanted = ", ".join(f"{known}_{unit}" for unit in list(units)[:3])
                return f"states no unit; name it {wanted} or the like"
    return None


def _kind(columns: Mapping[str, _Column], names: Sequence[str], source: str) -> type[Observation]:
    """Tell what the columns observe, and that nothing needed is missing."""
    known = {column.name for column in columns.values()}
    kind: type[Observation] = StepObservation if "iteration_ms" in known else ServingObservation
    missing = [name for name in kind.required if name not in known]
    if kind is ServingObservation:
        if not known & {"ttft_ms", "itl_ms"}:
            missing.append("ttft_ms or itl_ms")
        if not known & {"arrival_rate_rps", "concurrency"}:
            missing.append("arrival_rate_rps or concurrency")
    if missing:
        unread = [name for name in names if name not in columns]
        raise ObservationFileError([_missing(name, unread, source) for name in missing])
    return kind


def _missing(name: str, unread: Sequence[str], source: str) -> Fault:
    near = difflib.get_close_matches(name.split(" ")[0], unread, n=1)
    hint = f"did you mean {near[0]!r}? rename it" if near else ""
    return Fault("the column is missing", name, source=source, line=1, hint=hint)


def _replicas(
    rows: Sequence[tuple[int, dict[str, object]]],
    columns: Mapping[str, _Column],
    kind: type[Observation],
    source: str,
) -> tuple[ObservedReplica, ...]:
    """Read the rows, by model and accelerator, each in the order of time."""
    wanted = {field.name for field in fields(kind)}
    groups: dict[tuple[str, str], list[tuple[int, Observation]]] = {}
    faults: list[Fault] = []
    for line, row in rows:
        values: dict[str, float | None] = {}
        names = dict.fromkeys(_TEXTS, "")
        for name, column in columns.items():
            if column.name in _TEXTS:
                names[column.name] = str(row.get(name) or "").strip()
                continue
            try:
                values[column.name] = _value(row.get(name), column)
            except ValueError:
                words = "must be a number, or empty where it is not known"
                faults.append(Fault(words, name, repr(row[name]), source=source, line=line))
        replicas = values.pop("replicas", None)
        if replicas and kind is ServingObservation:
            for name in ("arrival_rate_rps", "concurrency", "requests"):
                whole = values.get(name)
                values[name] = None if whole is None else whole / replicas
        seen = kind(**{name: value for name, value in values.items() if name in wanted})
        groups.setdefault((names["model"], names["accelerator"]), []).append((line, seen))
    if faults:
        raise ObservationFileError(faults[:_MOST_FAULTS])
    return tuple(ObservedReplica(*key, _in_time(group)) for key, group in groups.items())


def _in_time(group: list[tuple[int, Observation]]) -> tuple[tuple[int, Observation], ...]:
    """Return observations in the order of time where all of them state it."""
    times = [seen.time_s for _, seen in group]
    if any(time is None or not math.isfinite(time) for time in times):
        return tuple(group)
    return tuple(sorted(group, key=lambda one: one[1].time_s or 0.0))


def _value(cell: object, column: _Column) -> float | None:
    """Return a cell as a number in our unit; None where it is missing.

    Raises
    ------
    ValueError
        If it is something else.
    """
    if cell is None:
        return None
    if isinstance(cell, bool):
        raise ValueError(cell)
    if isinstance(cell, int | float):
        return None if math.isnan(cell) else column.factor * cell
    text = str(cell).strip()
    if text.lower() in _MISSING:
        return None
    try:
        return column.factor * float(text)
    except ValueError:
        if column.name != "time_s":
            raise
    stamp = datetime.fromisoformat(text)
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()
