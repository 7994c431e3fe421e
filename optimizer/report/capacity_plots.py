"""KV cache over context length as a figure (needs matplotlib)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from optimizer.capacity import KVCacheDetail
from optimizer.report.matplotlib_figure import new_figure, save_figure

__all__ = ["draw_context_sweep"]

_SIZE_INCHES = (7.0, 4.5)
_LINE_STYLES = ("-", "--", "-.", ":")


def draw_context_sweep(
    sweeps: Sequence[Sequence[KVCacheDetail]], path: Path, *, budget_gb: float | None = None
) -> None:
    """Draw the KV cache of a batch over the context, a line per sweep.

    Parameters
    ----------
    sweeps
        For each format of the cache, details at ascending context lengths.
    path
        The file; its ending says in which format.
    budget_gb
        Draws a line at this size [GB = 1e9 bytes].

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed; says how to add it.
    """
    figure = new_figure(*_SIZE_INCHES)
    axes = figure.add_subplot()
    for place, sweep in enumerate(sweeps):
        axes.plot(
            [detail.context_len for detail in sweep],
            [detail.kv_cache_size_gb for detail in sweep],
            linestyle=_LINE_STYLES[place % len(_LINE_STYLES)],
            marker="o",
            markersize=3,
            label=f"{sweep[0].kv_data_type}: {sweep[0].per_token_memory_bytes:,} bytes per token",
        )
    if budget_gb is not None:
        axes.axhline(budget_gb, color="black", linewidth=1, label=f"budget: {budget_gb:g} GB")
    first = sweeps[0][0]
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks([detail.context_len for detail in sweeps[0]])
    axes.xaxis.set_major_formatter(lambda value, _: _tokens(value))
    axes.tick_params(axis="x", labelrotation=45)
    axes.set_xlabel("context length [tokens] (log scale)")
    axes.set_ylabel(f"KV cache of {first.batch_size} request(s) [GB = 1e9 bytes] (log scale)")
    axes.set_title(f"{first.model}: {first.attention_type.value}", fontsize="medium")
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend()
    save_figure(figure, path)


def _tokens(value: float) -> str:
    """Write 4096 as 4K, as context lengths are called."""
    return f"{value / 1024:g}K" if value >= 1024 and value % 1024 == 0 else f"{value:g}"
