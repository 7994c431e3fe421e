"""Capacity of models as text: parameters, KV cache, memory budget, recommendations."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from optimizer.capacity import (
    Concurrency,
    GPURecommendation,
    KVCacheDetail,
    MemoryBudget,
    ModelArchitecture,
    Recommendations,
    StageBudget,
)
from optimizer.report.figures import number

__all__ = ["budget_view", "kv_view", "model_view", "recommendation_view", "sweep_view"]

_GB = 10**9
_GIB = 2**30
# Rejections shown; --json has all.
_SHOWN_REJECTIONS = 12


def model_view(model: ModelArchitecture, precision: str | None) -> RenderableType:
    """Return parameters by role, weights, feasible parallelism and context of a model."""
    form = model.weights_in(precision)
    parts = _table("weights", "parameters")
    for role, count in model.parameters_by_role.items():
        parts.add_row(role.replace("_", " "), f"{count:,}")
    parts.add_row("total", f"{model.num_parameters:,}", style="bold")
    parts.add_row("active per token", f"{model.num_active_parameters:,}")
    facts = _table("", "")
    facts.add_row("weights as", form.name)
    facts.add_row("weights", _both(model.model_memory_bytes(precision)))
    facts.add_row("attention", _attention(model))
    facts.add_row("longest context", f"{model.max_context_tokens:,} tokens")
    facts.add_row("tensor parallelism", _degrees(model.possible_tensor_parallel(precision)))
    facts.add_row("pipeline parallelism", _degrees(model.possible_pipeline_parallel()))
    facts.add_row("expert parallelism", _degrees(model.possible_expert_parallel()))
    return Group(Text(model.model_id, style="bold"), Text(), parts, Text(), facts)


def kv_view(detail: KVCacheDetail) -> RenderableType:
    """Return a KV cache per token, request and batch, and what the layers of each kind keep."""
    facts = _table("", "")
    facts.add_row("attention", detail.attention_type.value)
    facts.add_row(
        "format", f"{detail.kv_data_type}, {detail.precision_in_bytes:g} bytes per number"
    )
    facts.add_row("per token", f"{detail.per_token_memory_bytes:,} bytes")
    facts.add_row(
        f"request of {detail.context_len:,} tokens", _both(detail.per_request_kv_cache_bytes)
    )
    facts.add_row(f"batch of {detail.batch_size:,}", _both(detail.kv_cache_size_bytes))
    layers = _table(
        "layers", "of kind", "KV heads", "bytes per token", "per head", "window", "state"
    )
    for layer in detail.layers:
        layers.add_row(
            f"{layer.layers}",
            layer.kind,
            f"{layer.kv_heads}",
            f"{layer.row_bytes:,.10g}",
            f"{layer.head_row_bytes:,.10g}",
            "-" if layer.window is None else f"{layer.window:,}",
            f"{layer.state_bytes:,}",
        )
    note = Text("bytes of one layer; a window is in tokens, a state in bytes per request")
    return Group(Text(detail.model, style="bold"), Text(), facts, Text(), layers, note)


def sweep_view(details: Sequence[KVCacheDetail]) -> RenderableType:
    """Return a row per context length."""
    table = _table("context", "request GB", "request GiB", f"batch of {details[0].batch_size} GB")
    for detail in details:
        table.add_row(
            f"{detail.context_len:,}",
            f"{detail.per_request_kv_cache_gb:.4f}",
            f"{detail.per_request_kv_cache_gib:.4f}",
            f"{detail.kv_cache_size_gb:.3f}",
        )
    return table


def budget_view(
    title: str, budget: MemoryBudget, concurrencies: Sequence[Concurrency]
) -> RenderableType:
    """Return what an accelerator's memory is used for, and how many requests the rest holds."""
    table = _table("per accelerator", "GB", "GiB")
    rows = [("memory", budget.device_bytes), ("the engine may use", budget.requested_bytes)]
    for place, stage in enumerate(budget.stages):
        name = f", stage {place + 1}" if len(budget.stages) > 1 else ""
        rows += _stage_rows(stage, name)
    rows.append(("outside of the budget", budget.outside_bytes))
    rows.append(("CUDA graphs, about", budget.graph_bytes))
    for name, size in rows:
        table.add_row(name, f"{size / _GB:.2f}", f"{size / _GIB:.2f}")
    views: list[RenderableType] = [Text(title, style="bold"), Text(), table, Text()]
    if not budget.fits:
        return Group(*views, Text("The model does not fit.", style="red"))
    views.append(Text(f"KV pool: {budget.blocks:,} blocks, {budget.kv_tokens:,} tokens"))
    requests = _table("context", "requests, as the engine logs", "requests, while decoding")
    for entry in concurrencies:
        requests.add_row(
            f"{entry.context_len:,}", f"{entry.engine_logged:.2f}", f"{entry.steady_state:.2f}"
        )
    return Group(*views, requests)


def recommendation_view(found: Recommendations, most: int) -> RenderableType:
    """Return the best ways to serve a model, and why others do not work."""
    title = (
        f"{found.model}: {found.batch_size} requests of {found.context_length:,} tokens, "
        f"by {found.rank_by.value}"
    )
    views: list[RenderableType] = [Text(title, style="bold"), Text()]
    if found.ranked:
        views += [_ranking(found.ranked[:most])]
        views += [
            Text(
                f"{len(found.ranked)} of {len(found.ranked) + len(found.rejected)} combinations "
                f"work. Times are predicted, within {_spread(found.ranked[:most])} two times in "
                f"three; answers of {found.output_tokens:,} tokens"
            )
        ]
    else:
        views.append(Text("Nothing works.", style="red"))
    if found.rejected:
        rejected = _table("accelerator", "spread", "weights", "rejected because")
        for entry in found.rejected[:_SHOWN_REJECTIONS]:
            rejected.add_row(entry.accelerator, str(entry.layout), entry.precision, entry.reason)
        views += [Text(), rejected]
        more = len(found.rejected) - _SHOWN_REJECTIONS
        if more > 0:
            views.append(Text(f"and {more} more; --json has all"))
    return Group(*views)


def _ranking(ranked: Sequence[GPURecommendation]) -> Table:
    table = _table(
        "accelerator",
        "spread",
        "weights",
        "GiB",
        "KV GiB",
        "requests",
        "decode ms",
        "ITL ms",
        "TTFT ms",
        "tokens/s",
        "at most",
        "USD/h",
        "USD/1e6 tokens",
    )
    for entry in ranked:
        table.add_row(
            entry.accelerator,
            str(entry.layout),
            entry.precision,
            f"{entry.weights_gib:.1f}",
            f"{entry.kv_pool_gib:.1f}",
            f"{entry.max_concurrent:,}",
            number(entry.decode_ms),
            number(entry.itl_ms),
            number(entry.ttft_ms),
            number(entry.tokens_per_s),
            number(entry.max_tokens_per_s),
            number(entry.usd_per_hour),
            number(entry.usd_per_million_tokens),
        )
    return table


def _spread(ranked: Sequence[GPURecommendation]) -> str:
    """Return the least and the largest uncertainty of predicted times in per cent."""
    low, high = (
        f"{100 * (math.exp(choose(entry.log_sd for entry in ranked)) - 1):.0f}"
        for choose in (min, max)
    )
    return f"{low} %" if low == high else f"{low} to {high} %"


def _stage_rows(stage: StageBudget, name: str) -> list[tuple[str, float]]:
    return [
        (f"weights{name}", stage.weight_bytes),
        (f"activations{name}", stage.activation_bytes),
        (f"outside the framework{name}", stage.non_torch_bytes),
        (f"KV pool{name}", stage.kv_pool_bytes),
    ]


def _attention(model: ModelArchitecture) -> str:
    detail = model.get_kv_cache_detail()
    kinds = ", ".join(
        f"{layer.layers} {layer.kind}" + (f" ({layer.window:,})" if layer.window else "")
        for layer in detail.layers
    )
    return f"{detail.attention_type.value}: {kinds}"


def _degrees(degrees: Sequence[int]) -> str:
    return ", ".join(map(str, degrees))


def _both(size: float) -> str:
    return f"{size / _GB:.3f} GB ({size / _GIB:.3f} GiB)"


def _table(*headings: str) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        padding=(0, 1),
        show_header=any(headings),
    )
    for place, heading in enumerate(headings):
        numeric = place > 0 and any(headings) and "because" not in heading
        table.add_column(heading, justify="right" if numeric else "left", overflow="fold")
    return table
