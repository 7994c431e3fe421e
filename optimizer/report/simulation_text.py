"""A simulated plan on one screen of a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.engine import PlanSimulation, SimulatedService, SimulatedStatistic, Usage
from optimizer.report.figures import number

__all__ = ["simulation_view"]


def simulation_view(simulation: PlanSimulation) -> RenderableType:
    """Return the view: the verdict, then every service with what was predicted and simulated."""
    parts: list[RenderableType] = [_verdict(simulation)]
    for service in simulation.services:
        parts.append(Padding(_service(service), (1, 0, 0, 0)))
    return Group(*parts)


def _verdict(simulation: PlanSimulation) -> Text:
    done = [s for s in simulation.services if s.skipped is None]
    missing = simulation.missing
    text = Text()
    if not done:
        return text.append("nothing was simulated", style="bold")
    if missing:
        text.append(f"would miss: {', '.join(missing)}", style="bold red")
    else:
        text.append(f"all of {len(done)} simulated keep their objectives", style="bold green")
    text.append(
        f"\npredicted by queue model {simulation.queue_model}; simulated with seed "
        f"{simulation.seed}, ± is half of the 95 % interval",
        style="dim",
    )
    return text


def _service(service: SimulatedService) -> RenderableType:
    where = f"{service.replicas} x {service.accelerator}" if service.accelerator else "-"
    if (decode := service.decode) is not None:
        where = f"prefill {where}, decode {decode.replicas} x {decode.accelerator}"
    head = Text.assemble(
        (service.service, "bold"), f"  {where}  {number(service.arrival_rate_rps)} requests/s"
    )
    if service.load:
        head.append(f"  {service.load}")
    if service.skipped is not None:
        return head.append(f"  not simulated: {service.skipped}", style="dim")
    if service.keeps_up is False:
        head.append("  cannot keep up: the backlog grows", style="bold red")
    return Group(head, Padding(_statistics(service), (0, 0, 0, 2)), _footer(service))


def _statistics(service: SimulatedService) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("latency [ms]")
    for heading in ("predicted", "simulated", "", "objective", "kept by"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for row in service.statistics:
        table.add_row(
            f"{row.metric.removesuffix('_ms')} {row.statistic}",
            number(row.predicted),
            number(row.simulated),
            "" if row.half_width is None else f"± {number(row.half_width)}",
            "" if row.bound is None else f"≤ {number(row.bound)}",
            _kept_by(row),
            _holds(row),
        )
    return table


def _kept_by(row: SimulatedStatistic) -> str:
    if row.kept_by is None:
        return ""
    width = "" if row.kept_by_half_width is None else f" ± {row.kept_by_half_width:.2%}"
    return f"{row.kept_by:.2%}{width}"


def _holds(row: SimulatedStatistic) -> Text:
    if row.holds is None:
        return Text("")
    words, style = ("holds", "green") if row.holds else ("misses", "bold red")
    return Text(words if row.certain else f"{words}, within the error", style=style)


def _footer(service: SimulatedService) -> RenderableType:
    usage = service.usage
    assert usage is not None
    runs = f" in {service.replications} runs" if service.replications > 1 else ""
    parts = [f"{service.requests:,} requests{runs}", f"{number(service.throughput_rps)} done/s"]
    if any(row.bound is not None for row in service.statistics):
        width = service.attainment_half_width
        within = "" if width is None else f" ± {width:.2%}"
        parts.append(f"goodput {number(service.goodput_rps)}/s ({service.attainment:.2%}{within})")
    if service.refused_share:
        parts.append(f"{service.refused_share:.2%} refused")
    if service.decode is None:
        parts += _used(usage)
    if service.precise is False:
        parts.append("less precise than asked for")
    lines = [", ".join((*parts, *service.notes))]
    if service.decode is not None:
        lines.append(f"prefill: {', '.join(_used(usage))}")
        if service.decode.usage is not None:
            lines.append(f"decode: {', '.join(_used(service.decode.usage))}")
    return Padding(Text("\n".join(lines), style="dim"), (0, 0, 0, 2))


def _used(usage: Usage) -> list[str]:
    parts = [f"batch {usage.batch:.0%}", f"busy {usage.busy:.0%}"]
    if usage.kv is not None:
        parts.append(f"KV {usage.kv:.0%}")
    if usage.preemptions:
        parts.append(f"{usage.preemptions:,} preemptions")
    if usage.prefix_hit_share:
        parts.append(f"prefix hits {usage.prefix_hit_share:.0%}")
    if usage.loading_ms is not None:
        parts.append(f"loads of {number(usage.loading_ms)} ms, store {usage.store_busy:.0%} busy")
    return parts
