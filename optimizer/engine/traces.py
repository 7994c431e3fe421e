"""Recorded requests: Azure's and Mooncake's traces, and CSV files of one's own."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.errors import WorkloadError
from optimizer.engine.traffic import Traffic

__all__ = ["Trace", "read_trace"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOONCAKE_BLOCK = 512
_ENDLESS = 2**31 - 1
_LONGEST = 2**30

# Names of columns, lower case, in the order of preference.
_ARRIVAL_S = ("arrival_s", "timestamp_s", "time_s", "timestamp", "arrival", "time")
_ARRIVAL_MS = ("arrival_ms", "timestamp_ms")
_INPUT = ("contexttokens", "input_tokens", "input_length", "prompt_tokens", "request tokens")
_OUTPUT = ("generatedtokens", "output_tokens", "output_length", "response tokens")


@dataclass(frozen=True, eq=False)
class Trace:
    """Recorded requests in the order of arrival.

    Parameters
    ----------
    arrival_ms
        From 0, never falling, (C,).
    prompt, output
        Tokens, >= 1, (C,).
    segment_of, keys, ends
        Content as in `Traffic`; without records of it, one segment of its own per request.
    """

    arrival_ms: FloatArray
    prompt: NDArray[np.int32]
    output: NDArray[np.int32]
    segment_of: IntArray
    keys: IntArray
    ends: NDArray[np.int32]

    @property
    def size(self) -> int:
        """How many requests there are."""
        return int(self.arrival_ms.size)

    @property
    def mean_rps(self) -> float:
        """Requests per second between the first and the last."""
        span = float(self.arrival_ms[-1] - self.arrival_ms[0]) if self.size > 1 else 0.0
        return 1e3 * (self.size - 1) / span if span > 0 else float("inf")

    @property
    def has_prefixes(self) -> bool:
        """Whether it records what prompts have in common."""
        return bool(self.keys.size > self.size)

    def at_rate(self, rate_rps: float) -> Trace:
        """Return the trace faster or slower, so that it has this mean rate [1/s]."""
        factor = self.mean_rps / rate_rps
        if not (np.isfinite(factor) and factor > 0):
            raise WorkloadError(
                f"the trace cannot be brought to {rate_rps:g} requests/s: all its requests come at "
                "one time; take it as recorded, or spread its times"
            )
        return replace(self, arrival_ms=self.arrival_ms * factor)

    def spread(self, bucket_ms: float, seed: int = 0) -> Trace:
        """Return the trace with arrivals of one time spread over the bucket that follows."""
        rng = np.random.default_rng(seed)
        times = self.arrival_ms + bucket_ms * rng.random(self.size)
        order = np.argsort(times, kind="stable")
        counts = np.diff(self.segment_of)[order]
        pieces = [np.arange(self.segment_of[i], self.segment_of[i + 1]) for i in order]
        take = np.concatenate(pieces) if pieces else np.zeros(0, np.int64)
        return Trace(
            times[order] - times[order[0]],
            self.prompt[order],
            self.output[order],
            np.concatenate([[0], np.cumsum(counts)]),
            self.keys[take],
            self.ends[take],
        )

    def traffic(self, deadline_ms: float = float("inf"), priority: int = 1) -> Traffic:
        """Return the requests as an engine takes them."""
        return Traffic(
            arrival_ms=self.arrival_ms,
            prompt=self.prompt,
            output=self.output,
            given=np.zeros(self.size, np.int32),
            priority=np.full(self.size, priority, np.int32),
            deadline_ms=np.full(self.size, deadline_ms),
            first_ms=np.full(self.size, -1.0),
            segment_of=self.segment_of,
            keys=self.keys,
            ends=self.ends,
        )


def read_trace(source: str | os.PathLike[str]) -> Trace:
    """Read a trace from a file.

    JSON lines are Mooncake's: `timestamp` (ms), `input_length`, `output_length`, `hash_ids` (one
    per 512 prompt tokens); with `hash_block_tokens` they are of so many tokens each, and go on in
    the output. CSV files have columns for the arrival (`TIMESTAMP` as a date as in
    Azure's, or `arrival_s`, `arrival_ms`), the prompt (`ContextTokens`, `input_tokens`) and the
    output (`GeneratedTokens`, `output_tokens`). Rows are sorted by arrival, which then starts at 0.

    Raises
    ------
    WorkloadError
        Naming file and line, if the file is absent, empty, or not so.
    """
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise WorkloadError(f"{path}: cannot be read: {error}") from error
    if not text.strip():
        raise WorkloadError(f"{path}: is empty; a trace has one request a line")
    first = text.lstrip()[0]
    rows = list(_mooncake_rows(path, text) if first == "{" else _csv_rows(path, text))
    if not rows:
        raise WorkloadError(f"{path}: has no requests")
    rows.sort(key=lambda row: row[0])
    return _trace(rows)


_Row = tuple[float, int, int, Sequence[int], Sequence[int]]
"""Arrival, prompt, output, and content: keys and ends of its segments."""


def _trace(rows: Sequence[_Row]) -> Trace:
    arrivals = np.array([row[0] for row in rows])
    contents = [row[3] for row in rows]
    borders = [row[4] for row in rows]
    counts = np.array([len(content) + 1 for content in contents])
    segment_of = np.concatenate([[0], np.cumsum(counts)])
    keys = np.empty(segment_of[-1], np.int64)
    ends = np.full(segment_of[-1], _ENDLESS, np.int32)
    for number, content in enumerate(contents):
        start, stop = segment_of[number], segment_of[number + 1]
        keys[start : stop - 1] = content
        ends[start : stop - 1] = borders[number]
        keys[stop - 1] = -1 - number  # what follows is of this request alone
    return Trace(
        arrivals - arrivals[0],
        np.array([row[1] for row in rows], np.int32),
        np.array([row[2] for row in rows], np.int32),
        segment_of,
        keys,
        ends,
    )


def _mooncake_rows(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            content = np.array([int(key) for key in row.get("hash_ids", ())], np.int64).tolist()
            values = row["timestamp"], row["input_length"], row["output_length"]
            size = row.get("hash_block_tokens")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise WorkloadError(
                f"{path}:{number}: not a request with timestamp, input_length, output_length and "
                f"hash_ids: {type(error).__name__}: {error}"
            ) from error
        time, prompt, output = _checked(path, number, *values)
        if size is not None and not (type(size) is int and 1 <= size <= _LONGEST):
            raise WorkloadError(
                f"{path}:{number}: hash_block_tokens {size}: must be a whole number >= 1"
            )
        ends = (size or MOONCAKE_BLOCK) * np.arange(1, len(content) + 1)
        # Mooncake's last block is as far as the prompt goes; those of a stated size are full.
        ends = np.minimum(ends, prompt if size is None else prompt + output)
        yield time, prompt, output, content, ends.tolist()


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(text))
    names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    arrival, scale = _column(names, _ARRIVAL_MS), 1.0
    if arrival is None:
        arrival, scale = _column(names, _ARRIVAL_S), 1e3
    prompt, output = _column(names, _INPUT), _column(names, _OUTPUT)
    if arrival is None or prompt is None or output is None:
        raise WorkloadError(
            f"{path}:1: columns {', '.join(names) or 'none'}: a trace needs one of "
            f"{', '.join((*_ARRIVAL_MS, *_ARRIVAL_S))}; one of {', '.join(_INPUT)}; one of "
            f"{', '.join(_OUTPUT)}"
        )
    for number, row in enumerate(reader, 2):
        values = _time_ms(row[arrival], scale), row[prompt], row[output]
        yield (*_checked(path, number, *values), (), ())


def _column(names: Mapping[str, str], wanted: Sequence[str]) -> str | None:
    return next((names[name] for name in wanted if name in names), None)


def _time_ms(text: str | None, scale: float) -> float | str | None:
    """Return a number of seconds or ms, or a date, in ms; what it is if neither."""
    try:
        return float(text or "") * scale
    except ValueError:
        pass
    try:
        # Azure writes 100 ns digits, of which datetime takes six.
        whole, _, digits = (text or "").strip().partition(".")
        date = datetime.fromisoformat(whole)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return 1e3 * (date.timestamp() + float(f"0.{digits or 0}"))
    except ValueError:
        return text


def _checked(
    path: Path, line: int, arrival: object, prompt: object, output: object
) -> tuple[float, int, int]:
    """Return the values of a row as numbers.

    A request without output, of which there are some on record, is taken to emit one token.
    """
    try:
        time = float(arrival)  # type: ignore[arg-type]
        lengths = [float(prompt), float(output)]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        time, lengths = float("nan"), [0.0, 0.0]
    whole = all(0 <= n <= _LONGEST and n == int(n) for n in lengths)
    if not np.isfinite(time) or lengths[0] < 1 or not whole:
        raise WorkloadError(
            f"{path}:{line}: arrival {arrival}, prompt {prompt}, output {output}: must be a time, "
            f"a whole number >= 1 and a whole number >= 0"
        )
    return time, int(lengths[0]), max(int(lengths[1]), 1)
