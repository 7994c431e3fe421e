"""Sheets `roofline` and `batch`: least times by bandwidth and throughput, beside predicted ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from optimizer.capacity.errors import CapacityError, require_count
from optimizer.capacity.sheets.case import SheetCase
from optimizer.capacity.sheets.sheet import Cell, Line, Section, Sheet, SheetTable, spelled

__all__ = ["BATCHES", "BATCH_CONTEXT", "batch_sheet", "roofline_sheet"]

BATCHES = (1, 4, 8, 16, 32, 64)
# With so many tokens of context the reference sheet's column of times comes out.
BATCH_CONTEXT = 1200
_MOE_NOTE = (
    "By hand a step reads all weights, which is right for dense models; of a mixture of experts it "
    "reads those that the batch touches, and each token works with the active ones."
)


def roofline_sheet(case: SheetCase, prompt_tokens: int = 1000) -> Sheet:
    """Arithmetic intensity, and bounds of decode and prefill, beside predicted times.

    Raises
    ------
    CapacityError
        If the prompt is out of its range.
    """
    require_count("prompt_tokens", prompt_tokens)
    return Sheet(
        name="roofline",
        title=f"Roofline: {case.title}",
        sections=(_ridge(case), _decode(case), _prefill(case, prompt_tokens)),
    )


def _ridge(case: SheetCase) -> Section:
    ridge = case.tflops * 1e3 / case.bandwidth_gb_s
    per_weight = 2 / case.bytes_per_weight
    return Section(
        title="Where bandwidth and throughput meet",
        lines=(
            Line(
                name="bandwidth",
                arithmetic=f"{case.tensor_parallel} x {case.facts.bandwidth_gb_s:g} GB/s",
                value=case.bandwidth_gb_s,
                unit="GB/s",
            ),
            Line(
                name="throughput",
                arithmetic=f"{case.tensor_parallel} x {case.tflops / case.tensor_parallel:g} "
                f"TFLOPS with {case.weights.name} weights, dense",
                value=case.tflops,
                unit="TFLOPS",
            ),
            Line(
                name="ridge",
                arithmetic=f"{case.tflops * 1e3:,.6g} / {case.bandwidth_gb_s:g}",
                value=ridge,
                unit="operations/byte",
            ),
            Line(
                name="intensity at batch 1",
                arithmetic=f"2 operations / {case.bytes_per_weight:g} bytes per weight",
                value=per_weight,
                unit="operations/byte",
            ),
            Line(
                name="batch at the ridge",
                arithmetic=f"{spelled(ridge)} / {per_weight:g}",
                value=ridge / per_weight,
                unit="sequences",
                note="below it bandwidth binds, the KV cache not counted",
            ),
        ),
    )


def _decode(case: SheetCase) -> Section:
    weights, bandwidth = case.nominal_weight_gb, case.bandwidth_gb_s
    bound = 1e3 * weights / bandwidth
    read = case.work.decode_bytes(1.0, 0.0) * case.tensor_parallel / 1e9
    predicted = case.decode_ms(1, 1)
    operations = 2 * case.model.num_active_parameters / 1e9
    lines = (
        Line(
            name="decode bound at batch 1",
            arithmetic=f"{spelled(weights)} GB / {bandwidth:g} GB/s",
            value=bound,
            unit="ms",
        ),
        Line(
            name="tokens/s at that bound",
            arithmetic=f"1000 / {bound:.1f}",
            value=1e3 / bound,
            unit="tokens/s",
        ),
        Line(
            name="operations of a token",
            arithmetic=f"2 x {case.model.num_active_parameters / 1e9:.2f}e9 active parameters",
            value=operations,
            unit="GFLOP",
            note=f"{operations / case.tflops:.3g} ms at full throughput",
        ),
        Line(
            name="weights that a step reads",
            arithmetic=f"no embedding, experts of one token, {case.weights.name} with scales",
            value=read,
            unit="GB",
            note=f"bound of {1e3 * read / bandwidth:.1f} ms",
        ),
        Line(
            name="predicted decode at batch 1",
            arithmetic=f"{bandwidth:g} GB/s reached to "
            f"{float(case.replica.efficiencies.weight_bandwidth):.0%}, kernels, engine",
            value=predicted,
            unit="ms",
            note=f"{1e3 / predicted:.0f} tokens/s",
        ),
    )
    notes = (_MOE_NOTE,) if case.model.architecture.is_mixture_of_experts else ()
    return Section(title="Decode", lines=lines, notes=notes)


def _prefill(case: SheetCase, tokens: int) -> Section:
    active = case.model.num_active_parameters
    by_hand = 2 * active * tokens
    exact = case.work.prefill_flops(tokens) * case.tensor_parallel
    rate = case.tflops * 1e12
    attention = exact - tokens * case.work.prefill_flops_per_token * case.tensor_parallel
    return Section(
        title=f"Prefill of {tokens:,} tokens",
        lines=(
            Line(
                name="operations by hand",
                arithmetic=f"2 x {active / 1e9:.2f}e9 active parameters x {tokens:,} tokens",
                value=by_hand / 1e12,
                unit="TFLOP",
                note="a product and a sum per weight and token",
            ),
            Line(
                name="operations counted",
                arithmetic=f"matrices, attention ({attention / exact:.1%}), one row of logits",
                value=exact / 1e12,
                unit="TFLOP",
            ),
            Line(
                name="prefill bound",
                arithmetic=f"{exact / 1e12:.4g} / {case.tflops:g} TFLOPS",
                value=1e3 * exact / rate,
                unit="ms",
            ),
            Line(
                name="with a factor of 6",
                arithmetic=f"6 x 2 x {spelled(case.nominal_parameters)} x {tokens:,} / "
                f"{case.tflops:g}e12",
                value=1e3 * 6 * 2 * case.nominal_parameters * tokens / rate,
                unit="ms",
                note="6 x parameters x tokens is a training step, the 2 included",
            ),
            Line(
                name="predicted prefill",
                arithmetic="the share of the peak that is reached, kernels, engine",
                value=case.prefill_ms(tokens),
                unit="ms",
            ),
        ),
    )


def batch_sheet(
    case: SheetCase, batches: Sequence[int] = BATCHES, context_tokens: int = BATCH_CONTEXT
) -> Sheet:
    """Throughput against batch: bytes over bandwidth, what fits the pool, and predicted times.

    Raises
    ------
    CapacityError
        If a batch or the context is out of its range.
    """
    if not batches:
        raise CapacityError("batches", list(batches), "must not be empty")
    context = require_count("context_tokens", context_tokens)
    cache = case.kv.at(context, 1).per_request_kv_cache_bytes / 1e9
    weights, bandwidth = case.nominal_weight_gb, case.bandwidth_gb_s
    hand, found = case.hand_pool_gb / cache, case.held(context)
    rows: list[tuple[Cell, ...]] = []
    for given in batches:
        batch = require_count("batches", given)
        bound = 1e3 * (weights + batch * cache) / bandwidth
        whole = math.floor(bound)
        predicted = case.decode_ms(batch, context)
        rows.append(
            (
                batch,
                bound,
                whole,
                1e3 * batch / whole if whole else None,
                1e3 / whole if whole else None,
                batch * cache,
                "yes" if batch <= hand else "no",
                predicted,
                1e3 * batch / predicted,
                "yes" if batch <= found else "no",
            )
        )
    return Sheet(
        name="batch",
        title=f"Throughput against batch: {case.title}",
        sections=(
            Section(
                title="A decode step",
                lines=(
                    Line(
                        name="weights",
                        arithmetic=f"{spelled(weights)} GB / {bandwidth:g} GB/s",
                        value=1e3 * weights / bandwidth,
                        unit="ms",
                    ),
                    Line(
                        name="KV cache of a sequence",
                        arithmetic=f"{context:,} tokens: {cache:.4f} GB / {bandwidth:g} GB/s",
                        value=1e3 * cache / bandwidth,
                        unit="ms",
                    ),
                    Line(
                        name="sequences in the pool by hand",
                        arithmetic=f"{spelled(case.hand_pool_gb)} GB / {cache:.4f} GB",
                        value=hand,
                        unit="sequences",
                    ),
                    Line(
                        name="sequences in the pool found",
                        arithmetic=f"{case.budget.blocks:,} blocks",
                        value=found,
                        unit="sequences",
                    ),
                ),
            ),
            Section(
                title="By batch",
                table=SheetTable(
                    columns=(
                        "batch",
                        "bound ms",
                        "rounded down",
                        "tokens/s",
                        "per request",
                        "KV GB",
                        "in the pool by hand",
                        "predicted ms",
                        "tokens/s predicted",
                        "in the pool found",
                    ),
                    rows=tuple(rows),
                ),
                notes=(
                    "The bound reads all weights and each sequence's cache once at full bandwidth; "
                    "predicted times have what bandwidth is reached, kernels and the engine.",
                    *((_MOE_NOTE,) if case.model.architecture.is_mixture_of_experts else ()),
                ),
            ),
        ),
    )
