"""Traces with block hashes as files: JSON lines as Mooncake and Qwen-Bailian publish them."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from optimizer.errors import Fault, SpecError
from optimizer.kv.reuse.block_trace import BlockTrace, TracedRequest

__all__ = ["read_trace"]

_LARGEST_TOKENS = 10**9
_SHOWN_FAULTS = 5


def read_trace(
    path: str,
    *,
    block_tokens: int | None = None,
    times_in: str = "auto",
    with_answers: bool = False,
    from_s: float = 0.0,
    to_s: float = math.inf,
) -> BlockTrace:
    """Read a trace.

    Each line is an object with `timestamp`, `input_length`, `output_length`, `hash_ids` (one per
    block of the prompt) and perhaps `answer_hash_ids`.

    Parameters
    ----------
    path
        A file; `-`: standard input.
    block_tokens
        Tokens of a full block; None: the smallest power of two that fits all requests.
    times_in
        `ms` (Mooncake), `s` (Qwen-Bailian), or `auto`: ms where every timestamp is whole and
        they are far apart.
    with_answers
        As in `BlockTrace.of_requests`.
    from_s, to_s
        The part of the trace that is read.

    Raises
    ------
    SpecError
        Naming the lines that are wrong.
    """
    rows = list(_rows(path))
    if not rows:
        raise SpecError([Fault("has no request", source=path)])
    scale = {"ms": 1e-3, "s": 1.0}.get(times_in) or _guessed_scale(rows)
    requests = sorted(
        (_request(row, scale) for row in rows), key=lambda request: request.time_s
    )  # stable: requests at one time stay in the order of the file
    part = [request for request in requests if from_s <= request.time_s < to_s]
    if not part:
        message = f"has no request between {from_s:g} s and {to_s:g} s"
        raise SpecError([Fault(message, source=path)])
    size = block_tokens or _block_tokens(path, requests)
    _check_lengths(path, requests, size)
    return BlockTrace.of_requests(part, size, with_answers=with_answers)


def _rows(path: str) -> Iterator[dict[str, Any]]:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError([Fault(f"cannot be read: {error.strerror}", source=path)]) from error
    except UnicodeDecodeError as error:
        raise SpecError([Fault("is not text in UTF-8", source=path)]) from error
    faults = list[Fault]()
    rows = list[dict[str, Any]]()
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            row = _row(line)
            if isinstance(row, str):
                faults.append(Fault(row, source=path, line=number))
                if len(faults) == _SHOWN_FAULTS:
                    break
            else:
                rows.append(row)
    if faults:
        raise SpecError(faults)
    yield from rows


def _row(line: str) -> dict[str, Any] | str:
    """Return the object of a line, or what is wrong with it."""
    try:
        row = json.loads(line)
    except ValueError as error:
        return f"is not JSON: {error}"
    if not isinstance(row, dict):
        return "must be an object with timestamp, input_length, output_length and hash_ids"
    for name in ("timestamp", "input_length", "hash_ids"):
        if name not in row:
            return f"lacks {name}"
    if not _is_number(row["timestamp"]) or not 0 <= row["timestamp"] < 1e15:
        return f"timestamp = {row['timestamp']!r}: must be a number, at least 0"
    for name in ("input_length", "output_length"):
        value = row.get(name, 0)
        if not _is_number(value) or value != int(value) or not 0 <= value <= _LARGEST_TOKENS:
            return f"{name} = {value!r}: must be a whole number of tokens, at least 0"
    for name in ("hash_ids", "answer_hash_ids"):
        value = row.get(name, [])
        if not isinstance(value, list) or not all(isinstance(h, int | str) for h in value):
            return f"{name}: must be a list of whole numbers or words"
    return row


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _guessed_scale(rows: Sequence[dict[str, Any]]) -> float:
    """Milliseconds are whole, and after a thousand of them only a second has gone."""
    times = [row["timestamp"] for row in rows]
    whole = all(time == int(time) for time in times)
    return 1e-3 if whole and max(times) >= 1000 and _mean_gap(times) >= 1.0 else 1.0


def _mean_gap(times: Sequence[float]) -> float:
    return (max(times) - min(times)) / max(len(times) - 1, 1)


def _request(row: dict[str, Any], scale: float) -> TracedRequest:
    return TracedRequest(
        time_s=row["timestamp"] * scale,
        input_tokens=int(row["input_length"]),
        output_tokens=int(row.get("output_length", 0)),
        blocks=row["hash_ids"],
        answer_blocks=row.get("answer_hash_ids", ()),
    )


def _block_tokens(path: str, requests: Sequence[TracedRequest]) -> int:
    for exponent in range(20):
        if all(_fits(request, 2**exponent) for request in requests):
            return int(2**exponent)
    message = "no power of two fits prompts and their blocks as tokens per block: say it"
    raise SpecError([Fault(message, source=path)])


def _check_lengths(path: str, requests: Sequence[TracedRequest], size: int) -> None:
    for number, request in enumerate(requests, start=1):
        if not _fits(request, size):
            message = (
                f"request {number} has {len(request.blocks)} blocks for {request.input_tokens} "
                f"tokens: with {size} tokens per block it must have "
                f"{-(-request.input_tokens // size)}"
            )
            raise SpecError([Fault(message, source=path)])


def _fits(request: TracedRequest, size: int) -> bool:
    """Whether the blocks are those of the prompt; the partial last one may be left out."""
    full = request.input_tokens // size
    return len(request.blocks) in (full, -(-request.input_tokens // size))
