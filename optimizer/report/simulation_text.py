"""A simulated plan on one screen of a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.engine import PlanSimulation, SimulatedService, SimulatedStatistic
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
    head = Text.assemble(
        (service.service, "bold"), f"  {where}  {number(service.arrival_rate_rps)} requests/s"
    )
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
            "" if row.kept_by is None else f"{row.kept_by:.2%}",
            _holds(row),
        )
    return table


def _holds(row: SimulatedStatistic) -> Text:
    if row.holds is None:
        return Text("")
    words, style = ("holds", "green") if row.holds else ("misses", "bold red")
    return Text(words if row.certain else f"{words}, within the error", style=style)


def _footer(service: SimulatedService) -> RenderableType:
    usage = service.usage
    assert usage is not None
    parts = [f"{service.requests:,} requests", f"{number(service.throughput_rps)} done/s"]
    if any(row.bound is not None for row in service.statistics):
        parts.append(f"goodput {number(service.goodput_rps)}/s ({service.attainment:.2%})")
    if service.refused_share:
        parts.append(f"{service.refused_share:.2%} refused")
    parts += [f"batch {usage.batch:.0%}", f"busy {usage.busy:.0%}"]
    if usage.kv is not None:
        parts.append(f"KV {usage.kv:.0%}")
    if usage.preemptions:
        parts.append(f"{usage.preemptions:,} preemptions")
    if usage.prefix_hit_share:
        parts.append(f"prefix hits {usage.prefix_hit_share:.0%}")
    if service.precise is False:
        parts.append("less precise than asked for")
    return Padding(Text(", ".join(parts), style="dim"), (0, 0, 0, 2))
