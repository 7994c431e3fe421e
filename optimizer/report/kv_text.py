"""What the loading controller says, on one screen of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.kv.device_study import DeviceRow, DeviceStudy
from optimizer.kv.ratio_study import RatioStudy
from optimizer.kv.restoration_study import RestorationStudy
from optimizer.report.figures import number

__all__ = ["device_table", "device_view", "ratio_view", "restoration_view"]

_BYTES_PER_GB = 1e9


def ratio_view(study: RatioStudy) -> RenderableType:
    """Return the ratio, both delays and every reading of the total."""
    title = Text.assemble(
        (f"recompute {study.ratio:.1%}", "bold"),
        f" of {number(study.context_tokens)} tokens while loading "
        f"{number(study.kv_bytes / _BYTES_PER_GB)} GB from {study.device}: "
        f"{number(study.total_ms)} ms",
    )
    layer_ms = study.recompute_per_layer_ms
    crossover = "nowhere" if study.crossover_ratio is None else f"{study.crossover_ratio:.1%}"
    rows = [
        ("crossover, uncapped", crossover),
        ("load", f"{number(study.load_ms)} ms ({number(study.load_per_layer_ms)} ms per layer)"),
        ("recompute", f"{number(study.recompute_ms)} ms ({number(layer_ms)} ms per layer)"),
        ("recompute hidden by loading", _yes(study.recompute_hidden)),
        ("loading hidden by recompute", _yes(study.loading_hidden)),
        ("full prefill", f"{number(study.prefill_ms)} ms"),
        (
            "within the TTFT budget",
            f"{_yes(study.within_budget)}, {number(study.ttft_budget_ms)} ms",
        ),
        ("one after the other", f"{number(study.sequential_ms)} ms"),
        ("side by side", f"{number(study.parallel_ms)} ms"),
        ("layer pipeline", f"{number(study.layer_pipeline_ms)} ms"),
        ("first layer in full", f"{number(study.first_layer_full_ms)} ms"),
        ("bidirectional, exact prefix", f"{number(study.bidirectional_ms)} ms"),
    ]
    if study.quality is not None:
        score = f"{study.quality.score:.3f} of {study.quality.with_full_recompute:.3f}"
        rows.append((f"expected {study.quality.metric}", score))
    return Group(title, _spaced(_pairs(rows)), *_notes(study.notes))


def device_view(study: DeviceStudy) -> RenderableType:
    """Return the device, why it, and the alternatives."""
    chosen = study.chosen or "no device"
    title = Text.assemble((chosen, "bold yellow" if study.is_fallback else "bold"))
    title.append(f": {study.reason}", style="not bold")
    words = (
        f"{number(study.kv_bytes / _BYTES_PER_GB)} GB kept for {number(study.duration_h)} h, "
        f"{study.ratio:.1%} recomputed, TTFT budget {number(study.ttft_budget_ms)} ms, "
        f"no extra delay: {study.hiding}"
    )
    return Group(title, _spaced(device_table(study.devices)), _spaced(Text(words, style="dim")))


def device_table(rows: Sequence[DeviceRow]) -> Table:
    """Return candidates as a table; those that do not qualify are dim."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("device", overflow="fold")
    for heading in ("GB/s", "load ms", "recompute ms", "total ms", "USD", "best ratio"):
        table.add_column(heading, justify="right")
    table.add_column("hidden")
    table.add_column("", overflow="fold")
    for row in rows:
        table.add_row(*_device_cells(row), style="" if row.qualifies else "dim")
    return table


def restoration_view(study: RestorationStudy) -> RenderableType:
    """Return the split beside what else one could do."""
    title = Text.assemble(
        (f"{number(study.time_ms)} ms", "bold"),
        f": compute the first {number(study.computed_tokens)} of {number(study.prefix_tokens)} "
        f"tokens, load {number(study.loaded_tokens)} from {study.device}",
    )
    rows = [
        ("compute everything", f"{number(study.full_recompute_ms)} ms"),
        ("load everything, under the suffix", f"{number(study.layerwise_preload_ms)} ms"),
        ("load everything, then the suffix", f"{number(study.load_then_compute_ms)} ms"),
        ("bidirectional, then the suffix", f"{number(study.bidirectional_ms)} ms"),
        ("saved against the better single way", f"{study.gain_over_best_single:.0%}"),
    ]
    if study.break_even_bandwidth_gb_s is not None:
        rows.append(("loading pays above", f"{number(study.break_even_bandwidth_gb_s)} GB/s"))
    if study.striping is not None:
        parts = ", ".join(f"{number(v)} {k}" for k, v in study.striping.loaded_tokens.items())
        rows.append(
            (
                "several devices",
                f"{number(study.striping.time_ms)} ms: {number(study.striping.computed_tokens)} "
                f"computed, {parts}",
            )
        )
    if study.retention is not None:
        interval = study.retention.break_even_interval_h
        rows.append(("worth keeping if used within", f"{number(interval)} h"))
        if study.retention.keep is not None:
            rows.append(("keep", _yes(study.retention.keep)))
    return Group(title, _spaced(_pairs(rows)), *_notes(study.notes))


def _device_cells(row: DeviceRow) -> Iterable[Text]:
    hidden = [
        word
        for word, holds in (("load", row.loading_hidden), ("recompute", row.recompute_hidden))
        if holds
    ]
    remark = "; ".join(row.obstacles)
    if not remark and not row.within_budget:
        remark = "over the TTFT budget"
    ratio = "-" if row.optimal_ratio is None else f"{row.optimal_ratio:.0%}"
    cells = (
        row.device,
        number(row.bandwidth_gb_s),
        number(row.load_ms),
        number(row.recompute_ms),
        number(row.total_ms),
        f"{row.total_usd:.3g}",
        ratio,
        ", ".join(hidden) or "-",
        remark,
    )
    return map(Text, cells)


def _pairs(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table


def _notes(notes: Sequence[str]) -> Iterable[RenderableType]:
    return [Text(f"note: {note}", style="dim") for note in notes]


def _spaced(view: RenderableType) -> RenderableType:
    return Padding(view, (1, 0, 0, 0), expand=False)


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"
