"""What the loading controller decides in each of its modes, on one screen of a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.kv.mode_study import AdaptationStudy, JointRow, JointStudy, SequentialStudy
from optimizer.report.figures import number
from optimizer.report.kv_text import device_table

__all__ = ["mode_view"]

_BYTES_PER_GB = 1e9
_SHOWN_DEVICES = 15


def mode_view(study: SequentialStudy | JointStudy | AdaptationStudy) -> RenderableType:
    """Return the decision, why, and what else there was."""
    if isinstance(study, SequentialStudy):
        return _sequential(study)
    if isinstance(study, JointStudy):
        return _joint(study)
    return _adaptation(study)


def _sequential(study: SequentialStudy) -> RenderableType:
    verb = "stay with" if study.device == study.in_use else f"move from {study.in_use} to"
    style = "bold yellow" if study.unmet else "bold"
    title = Text.assemble((f"{verb} {study.device}", style))
    title.append(f", recompute {study.ratio:.1%}: {number(study.total_ms)} ms; {study.reason}")
    first = f"{study.in_use_ratio:.1%} recomputed, {number(study.in_use_total_ms)} ms"
    parts: list[RenderableType] = [title, Text(f"part 1 on {study.in_use}: {first}")]
    parts += [Text(f"  {words}") for words in study.objections]
    parts += [Text(f"not kept: {words}", style="yellow") for words in study.unmet]
    if study.quality is not None:
        parts.append(Text(f"expected quality: {study.quality:.3f}"))
    if study.devices:
        parts.append(_spaced(device_table(study.devices)))
    return Group(*parts, _spaced(_question(study)))


def _joint(study: JointStudy) -> RenderableType:
    if study.best is None:
        return Group(Text("no device is feasible", style="bold"), _spaced(_question(study)))
    best = study.best
    title = Text.assemble((best.device, "bold yellow" if study.is_fallback else "bold"))
    title.append(f", recompute {best.ratio:.1%}: {number(best.total_ms)} ms, ")
    title.append(f"{best.usd_per_request:.3g} USD a request")
    if study.is_fallback:
        title.append("; a fallback: no option keeps the TTFT budget and the quality floor")
    first_of_device: dict[str, JointRow] = {}
    for option in study.options:
        first_of_device.setdefault(option.device, option)
    table = _table("device", "best ratio", "total ms", "quality", "USD a request")
    table.add_column("")
    for row in list(first_of_device.values())[:_SHOWN_DEVICES]:
        remark = "efficient" if row.is_efficient else ""
        table.add_row(
            Text(row.device),
            f"{row.ratio:.1%}",
            number(row.total_ms),
            "-" if row.quality is None else f"{row.quality:.3f}",
            f"{row.usd_per_request:.3g}",
            remark if row.within_budget else "over the TTFT budget",
        )
    unshown = len(first_of_device) - _SHOWN_DEVICES
    more = [Text(f"and {unshown} devices more, in --json", style="dim")] if unshown > 0 else []
    return Group(title, _spaced(table), *more, _spaced(_question(study)))


def _adaptation(study: AdaptationStudy) -> RenderableType:
    last = study.decisions[-1]
    place = "no device" if last.device is None else last.device
    title = Text.assemble((f"{place}, recompute {last.ratio:.1%}", "bold"))
    title.append(f": {number(last.total_ms)} ms, after {study.events:,} events and ")
    title.append("1 change" if study.changes == 1 else f"{study.changes:,} changes")
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("time s", justify="right")
    table.add_column("event", overflow="fold")
    table.add_column("device", overflow="fold")
    table.add_column("recompute", justify="right")
    table.add_column("total ms", justify="right")
    table.add_column("reason", overflow="fold")
    acted = [one for one in study.decisions if one.rerun != "nothing"]
    for one in acted:
        table.add_row(
            "" if one.time_s is None else f"{one.time_s:,.10g}",
            Text(one.event),
            Text(one.device or "none"),
            f"{one.ratio:.1%}",
            number(one.total_ms),
            Text(one.reason),
        )
    idle = len(study.decisions) - len(acted)
    count = "1 event" if idle == 1 else f"{idle:,} events"
    words = Text(f"{count} led to no decision; --json has the reasons", style="dim")
    return Group(title, _spaced(table), _spaced(words), _question(study))


def _question(study: SequentialStudy | JointStudy | AdaptationStudy) -> Text:
    size = number(study.kv_bytes / _BYTES_PER_GB)
    budget = number(study.ttft_budget_ms)
    words = f"{size} GB for {number(study.context_tokens)} tokens, TTFT budget {budget} ms"
    return Text(words, style="dim")


def _table(first: str, *figures: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(first, overflow="fold")
    for heading in figures:
        table.add_column(heading, justify="right")
    return table


def _spaced(view: RenderableType) -> RenderableType:
    return Padding(view, (1, 0, 0, 0), expand=False)
