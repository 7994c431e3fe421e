"""A plan for uncertain loads: what is decided, and what every load makes of it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.uncertainty import ScenarioOutcome, UncertainPlan
from optimizer.report.figures import percent
from optimizer.report.plan_words import replicas_words
from optimizer.spec.uncertainty import CostMeasure, ProbabilityScope, ReplicaTiming

__all__ = ["minimised_words", "promise_words", "smallest_margin", "uncertain_view"]


def uncertain_view(plan: UncertainPlan) -> RenderableType:
    """Return the view: verdict, what is decided, scenario by scenario what it comes to."""
    if not plan.found:
        words = plan.termination.value.replace("_", " ")
        return Text.assemble((f"{plan.fleet}: ", "bold"), (words, "bold red"), f"\n{plan.detail}")
    parts: list[RenderableType] = [_verdict(plan), _decided(plan)]
    if plan.unserved:
        parts.append(
            Text("\n".join(f"{u.service} unserved: {u.explanation}" for u in plan.unserved), "red")
        )
    parts.append(_scenarios(plan))
    if plan.capacities:
        parts.append(_capacities(plan))
    return Group(*parts)


def _verdict(plan: UncertainPlan) -> Text:
    text = Text(f"{plan.fleet}: ", style="bold")
    text.append(f"{plan.total_cost_per_hour:,.2f} {plan.currency}/h{minimised_words(plan)}")
    gap = "no bound proven" if plan.relative_gap is None else f"gap {plan.relative_gap:.4%}"
    text.append(f", {plan.termination.value}, {gap}\n", style="not bold")
    text.append(promise_words(plan), style="not bold")
    return text


def minimised_words(plan: UncertainPlan) -> str:
    """Say which cost is meant, where it depends on the load."""
    if plan.replicas is ReplicaTiming.FIXED:
        return ""
    return " expected" if plan.minimize is CostMeasure.EXPECTED else " at worst"


def promise_words(plan: UncertainPlan) -> str:
    """Say what holds, whatever comes."""
    if plan.keep_probability is not None:
        return (
            f"replicas follow the load; every capacity and limit is kept with a probability of at "
            f"least {plan.keep_probability:g}, each by itself"
        )
    if plan.at_once is not None:
        return f"every objective and every limit holds with any {plan.at_once} services at peak"
    if plan.serve_probability >= 1:
        return "every objective holds in every scenario"
    if plan.probability_of is ProbabilityScope.SERVICE:
        return (
            f"every service keeps its objectives with a probability of at least "
            f"{plan.serve_probability:g}, each by itself"
        )
    return (
        f"every objective of everyone holds with a probability of {plan.served_probability:g}, "
        f"at least {plan.serve_probability:g} asked"
    )


def _decided(plan: UncertainPlan) -> RenderableType:
    """Return what is decided now; replicas only where they are."""
    fixed = plan.replicas is ReplicaTiming.FIXED
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("service", "accelerator", *(("replicas", "batch") if fixed else ())):
        table.add_column(
            heading,
            overflow="fold",
            justify="left" if heading in ("service", "accelerator") else "right",
        )
    for a in plan.allocations:
        place = f"{a.accelerator or 'scaled to zero'} {a.configuration}".rstrip()
        if a.shared_with and not fixed:
            place += f", shared with {', '.join(a.shared_with)}"
        sizes = (
            (replicas_words(a), "-" if a.max_batch is None else f"{a.max_batch}") if fixed else ()
        )
        table.add_row(Text(a.service), Text(place), *map(Text, sizes))
    return Padding(table, (1, 0, 0, 0), expand=False)


def _scenarios(plan: UncertainPlan) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("load", overflow="fold")
    for heading in ("probability", f"{plan.currency}/h", "margin"):
        table.add_column(heading, justify="right")
    if plan.replicas is ReplicaTiming.ADAPT:
        table.add_column("replicas", justify="right")
    table.add_column("", overflow="fold")
    for outcome in plan.scenarios:
        table.add_row(*_cells(outcome, plan.replicas is ReplicaTiming.ADAPT))
    return Padding(table, (1, 0, 0, 0), expand=False)


def _capacities(plan: UncertainPlan) -> RenderableType:
    """Return what each capacity has to hold over the loads."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("capacity", overflow="fold")
    for heading in ("limit", "expected use", "std", "kept with"):
        table.add_column(heading, justify="right")
    for row in plan.capacities:
        table.add_row(
            Text(row.name),
            Text(f"{row.capacity:,.6g}"),
            Text(f"{row.expected_use:,.4g}"),
            Text(f"{row.standard_deviation:,.3g}"),
            Text(f"{row.kept_probability:.4%}"),
        )
    return Padding(table, (1, 0, 0, 0), expand=False)


def _cells(outcome: ScenarioOutcome, counted: bool) -> tuple[Text, ...]:
    probability = "-" if outcome.probability is None else f"{outcome.probability:g}"
    if outcome.plan is None:
        words = f"too few replicas: {', '.join(outcome.short)}"
        return (Text(outcome.name), Text(probability), Text("-"), Text("-"), Text(words, "red"))
    margin = smallest_margin(outcome)
    replicas = sum(a.replicas for a in outcome.plan.allocations)
    return (
        Text(outcome.name),
        Text(probability),
        Text(f"{outcome.cost_per_hour:,.2f}"),
        Text("-" if margin is None else percent(margin)),
        *((Text(f"{replicas}"),) if counted else ()),
        Text("served"),
    )


def smallest_margin(outcome: ScenarioOutcome) -> float | None:
    """Return the margin of the tightest objective at a load; None where there is none."""
    if outcome.plan is None:
        return None
    margins = (a.margin for a in outcome.plan.allocations if a.margin is not None)
    return min(margins, default=None)
