"""What a prefix cache finds, on one screen of a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.kv.reuse import ReuseStudy
from optimizer.report.figures import number

__all__ = ["reuse_view"]


def reuse_view(study: ReuseStudy) -> RenderableType:
    """Return the hit rate, the tiers and the curve."""
    title = Text.assemble(
        (f"prefix hit rate {study.prefix_hit_rate:.1%}", "bold"),
        f" of {number(study.prompt_tokens)} prompt tokens, {number(study.requests)} requests, "
        f"with {number(study.capacity_blocks)} blocks of {study.block_tokens} tokens "
        f"({study.policy}, {study.write})",
    )
    bound = study.belady_block_hit_rate
    words = (
        f"of the blocks {study.block_hit_rate:.1%} are found; with foresight {bound:.1%} would be "
        f"(Belady), without limit {study.unlimited_block_hit_rate:.1%}"
    )
    parts: list[RenderableType] = [title, _spaced(Text(words)), _spaced(_tiers(study))]
    if study.saved_prefill_s is not None and study.prefill_s is not None:
        loaded = [tier.load_s for tier in study.tiers if tier.load_s is not None]
        saved = (
            f"prefill saved: {number(study.saved_prefill_s)} s of {number(study.prefill_s)} s"
            + (f"; loading instead: {number(sum(loaded))} s" if loaded else "")
        )
        parts.append(_spaced(Text(saved)))
    if study.curve:
        parts.append(_spaced(_curve(study)))
    return Group(*parts)


def _tiers(study: ReuseStudy) -> Table:
    table = _table("tier", "blocks", "hit rate", "prefetched", "written", "read GB", "written GB")
    for tier in study.tiers:
        table.add_row(
            tier.name,
            number(tier.capacity_blocks),
            f"{tier.hit_rate:.1%}",
            number(tier.prefetched_blocks),
            number(tier.written_blocks),
            "" if tier.read_gb is None else number(tier.read_gb),
            "" if tier.written_gb is None else number(tier.written_gb),
        )
    return table


def _curve(study: ReuseStudy) -> Table:
    """Block hit rates, the best of a capacity in bold; beside Belady's."""
    policies = list(dict.fromkeys(point.policy for point in study.curve))
    table = _table("blocks", *policies, "Belady")
    for capacity in dict.fromkeys(point.capacity_blocks for point in study.curve):
        row = [point for point in study.curve if point.capacity_blocks == capacity]
        best = max(point.block_hit_rate for point in row)
        cells = [
            Text(
                f"{point.block_hit_rate:.1%}",
                style="bold" if point.block_hit_rate == best else "",
            )
            for point in row
        ]
        table.add_row(number(capacity), *cells, f"{row[0].belady_block_hit_rate:.1%}")
    return table


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold")
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _spaced(part: RenderableType) -> Padding:
    return Padding(part, (1, 0, 0, 0))
