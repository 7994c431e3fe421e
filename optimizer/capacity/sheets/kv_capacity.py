"""Sheets `kv` and `concurrency`: tokens in the KV pool, and requests by their length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.capacity.concurrency import concurrency
from optimizer.capacity.errors import CapacityError, require_count
from optimizer.capacity.sheets.case import SheetCase
from optimizer.capacity.sheets.sheet import Cell, Line, Section, Sheet, SheetTable, spelled
from optimizer.capacity.units import GB, GIB

__all__ = ["CONTEXTS", "PoolReading", "concurrency_sheet", "kv_sheet", "pool_readings"]

CONTEXTS = (512, 1024, 2048, 4096, 8192)
_KIB = 1024


@dataclass(frozen=True, slots=True)
class PoolReading:
    """One way to read a pool of so many "GB" and a token of so many bytes.

    Parameters
    ----------
    name, arithmetic
        What it takes the units for, and the division.
    tokens
        Whole tokens in the pool.
    """

    name: str
    arithmetic: str
    tokens: int


def pool_readings(case: SheetCase) -> tuple[PoolReading, PoolReading, PoolReading]:
    """Tokens of the pool by hand: GB as 1e9, GB as 2^30, and both units mixed.

    The third calls a token of 327,680 bytes 320 kB (they are KiB) and divides 1e9 by 1e3.
    """
    pool, token = case.hand_pool_gb, _token_bytes(case)
    rounded = round(token / _KIB)
    if not rounded:
        raise CapacityError("model", case.model.model_id, "keeps less than 1 KiB per token")
    return (
        PoolReading("GB = 1e9 bytes", f"{spelled(pool)}e9 / {token:,}", int(pool * GB // token)),
        PoolReading(
            "GB = 2^30 bytes", f"{spelled(pool)} x 2^30 / {token:,}", int(pool * GIB // token)
        ),
        PoolReading(
            "units mixed",
            f"{spelled(pool)}e9 / {rounded:,}e3",
            int(pool * GB // (rounded * 1e3)),
        ),
    )


def kv_sheet(case: SheetCase) -> Sheet:
    """KV capacity: bytes per token, and tokens in the pool by all readings."""
    block = case.settings.block_tokens
    token = _token_bytes(case)
    found = case.budget
    lines = [
        Line(name=f"pool, {one.name}", arithmetic=one.arithmetic, value=one.tokens, unit="tokens")
        for one in pool_readings(case)
    ]
    lines.append(
        Line(
            name="pool as the engine finds it",
            arithmetic=f"{found.kv_pool_gib:.2f} GiB on each accelerator: {found.blocks:,} blocks",
            value=float(found.kv_tokens),
            unit="tokens",
        )
    )
    lines.append(
        Line(
            name="block",
            arithmetic=f"{block} tokens x {token:,} bytes",
            value=block * token / 1e6,
            unit="MB",
            note=f"{block * token / 2**20:.4g} MiB",
        )
    )
    return Sheet(
        name="kv",
        title=f"KV capacity: {case.title}",
        sections=(
            Section(title="Bytes per token", lines=tuple(_token_lines(case))),
            Section(
                title="Tokens in the pool",
                lines=tuple(lines),
                notes=(
                    "Mixing units calls KiB kilobytes: it divides decimal bytes by binary ones.",
                    "Engines hand out whole blocks, so a request's last block is partly empty.",
                ),
            ),
        ),
    )


def _token_bytes(case: SheetCase) -> int:
    token = case.kv.per_token_memory_bytes
    if not token:
        raise CapacityError("model", case.model.model_id, "keeps no KV cache that grows")
    return token


def _token_lines(case: SheetCase) -> list[Line]:
    number = case.kv.precision_in_bytes
    lines = []
    for layer in case.kv.layers:
        if not layer.row_bytes:
            continue
        heads = f"{layer.kv_heads} heads x {layer.head_row_bytes:,.10g} bytes"
        lines.append(
            Line(
                name=f"a {layer.kind} layer",
                arithmetic=f"{heads} (keys and values, {number:g} bytes a number)",
                value=float(layer.row_bytes),
                unit="bytes",
                note="" if layer.window is None else f"for the last {layer.window:,} tokens",
            )
        )
    parts = [f"{one.layers} x {one.row_bytes:,.10g}" for one in case.kv.layers if one.row_bytes]
    lines.append(
        Line(
            name="all layers",
            arithmetic=" + ".join(parts),
            value=float(case.kv.per_token_memory_bytes),
            unit="bytes",
            note=f"{case.kv.per_token_memory_bytes / _KIB:g} KiB",
        )
    )
    return lines


def concurrency_sheet(
    case: SheetCase, contexts: Sequence[int] = CONTEXTS, shared_prefix_tokens: int = 0
) -> Sheet:
    """Concurrent requests by length: all readings of the pool by hand, and the engine's blocks.

    Parameters
    ----------
    case
        Model and accelerator.
    contexts
        Tokens of a request, prompt and answer.
    shared_prefix_tokens
        Tokens at the start that all requests share.

    Raises
    ------
    CapacityError
        If a length is out of its range; names it.
    """
    if not contexts:
        raise CapacityError("context_lengths", list(contexts), "must not be empty")
    readings = pool_readings(case)
    rows: list[tuple[Cell, ...]] = []
    for given in contexts:
        tokens = require_count("context_lengths", given)
        found = _found(case, tokens, shared_prefix_tokens)
        rows.append((tokens, *(float(one.tokens // tokens) for one in readings), *found))
    return Sheet(
        name="concurrency",
        title=f"Concurrent requests by context: {case.title}",
        sections=(
            Section(
                title="Tokens in the pool",
                lines=tuple(
                    Line(name=r.name, arithmetic=r.arithmetic, value=r.tokens, unit="tokens")
                    for r in readings
                ),
            ),
            Section(
                title="Whole requests at once",
                table=SheetTable(
                    columns=(
                        "tokens of a request",
                        *(one.name for one in readings),
                        "as the engine logs it",
                        "while decoding",
                        "met half-way through",
                    ),
                    rows=tuple(rows),
                ),
                notes=(
                    "By hand: tokens in the pool over tokens of a request, rounded down. The last "
                    "three from the engine's own pool, in whole blocks: what it logs at its start, "
                    "what decoding requests of that length hold, and the mean number of requests "
                    "of half prompt, half answer, which grow while they are there.",
                ),
            ),
        ),
    )


def _found(case: SheetCase, tokens: int, shared_prefix: int) -> tuple[Cell, Cell, Cell]:
    layout = case.budget.layout
    if not case.budget.fits or layout is None:
        return None, None, None
    entry = concurrency(
        layout,
        case.budget.blocks,
        tokens,
        max_batched_tokens=case.settings.max_num_batched_tokens,
        shared_prefix_tokens=shared_prefix,
    )
    half_way = concurrency(
        layout,
        case.budget.blocks,
        max(tokens * 3 // 4, shared_prefix + 1),
        shared_prefix_tokens=shared_prefix,
    )
    return entry.engine_logged, entry.steady_state, half_way.steady_state
