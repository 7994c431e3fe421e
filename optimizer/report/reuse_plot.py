"""Hit rate against capacity, by policy (needs matplotlib)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.report.matplotlib_figure import new_figure, save_figure

if TYPE_CHECKING:
    from optimizer.kv.reuse import ReuseStudy

__all__ = ["draw_hit_rates"]

_SIZE_INCHES = (7.0, 4.5)
_LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))


def draw_hit_rates(study: ReuseStudy, path: Path) -> None:
    """Draw a line per policy and Belady's bound; the file's ending says in which format.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed; says how to add it.
    """
    figure = new_figure(*_SIZE_INCHES)
    axes = figure.add_subplot()
    capacities = list(dict.fromkeys(point.capacity_blocks for point in study.curve))
    bound = {point.capacity_blocks: point.belady_block_hit_rate for point in study.curve}
    axes.plot(
        capacities, [100 * bound[c] for c in capacities], color="black", label="bound (Belady)"
    )
    for place, policy in enumerate(dict.fromkeys(point.policy for point in study.curve)):
        line = [point for point in study.curve if point.policy == policy]
        axes.plot(
            [point.capacity_blocks for point in line],
            [100 * point.block_hit_rate for point in line],
            linestyle=_LINE_STYLES[place % len(_LINE_STYLES)],
            linewidth=2.5 if policy == study.policy else 1.2,
            marker="o",
            markersize=3,
            label=policy,
        )
    axes.axhline(100 * study.unlimited_block_hit_rate, color="grey", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(capacities, [f"{capacity:,}" for capacity in capacities])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"capacity [blocks of {study.block_tokens} tokens] (log scale)")
    axes.set_ylabel("prompt blocks found [%]")
    axes.set_title(
        f"{Path(study.trace).name}: {study.requests:,} requests, "
        f"{study.distinct_blocks:,} distinct blocks",
        fontsize="medium",
    )
    axes.grid(visible=True, which="major", alpha=0.3)
    axes.legend(fontsize="small")
    save_figure(figure, path)
