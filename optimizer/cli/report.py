"""`fleetopt report`: a plan, a sweep or a comparison as one HTML file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.output import tell, write_data
from optimizer.cli.plan_options import read_any_plan, read_plan
from optimizer.errors import PlanError

if TYPE_CHECKING:
    from optimizer.engine import PlanSimulation
    from optimizer.fleet import FleetPlan, HorizonPlan, UncertainPlan
    from optimizer.report.html import PlanReport
    from optimizer.spec import FleetSpec

__all__ = ["report"]


def report(
    source: Annotated[
        str,
        typer.Argument(
            metavar="PLAN|DIR",
            help="A plan, as `fleetopt solve --json` or `fleetopt horizon --json` writes it; or "
            "the folder of a sweep or a comparison.",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The page; - for stdout.")
    ] = Path("report.html"),
    previous: Annotated[
        str | None,
        typer.Option(
            "--previous",
            metavar="PLAN",
            help="Show what changes from this plan.",
            show_default=False,
        ),
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option(
            "--pareto",
            metavar="MEASURE",
            help="Show cost against a measure of `fleetopt pareto --against`, such as e2e_ms.",
            show_default=False,
        ),
    ] = None,
    tornado: Annotated[
        bool,
        typer.Option("--tornado", help="Solve anew with every figure less and more."),
    ] = False,
    share: Annotated[
        float, typer.Option("--share", min=0.01, max=0.99, help="With --tornado: by how much.")
    ] = 0.2,
    prices: Annotated[
        bool, typer.Option("--prices", help="Show shadow prices of the relaxation.")
    ] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate the plan, and show both.")
    ] = False,
) -> None:
    """Write one HTML file that opens without a network, in light and dark, and prints well.

    Of a plan for uncertain loads it shows all of them, and the costliest in full.

    For example:

      fleetopt report plan.json

      fleetopt report plan.json --tornado --prices -o report.html
    """
    asked = _Asked(previous, pareto, share if tornado else None, prices, simulate)
    if Path(source).is_dir():
        if asked != _Asked():
            raise typer.BadParameter("a folder takes no option but -o", param_hint="PLAN|DIR")
        page = _folder_page(Path(source))
    else:
        page = _page_of(read_any_plan(source), asked)
    write_data(page, output)
    if str(output) != "-":
        tell(f"fleetopt: wrote {output}, {len(page.encode()) / 1e6:.2f} MB")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to stand in the page beside the plan."""

    previous: str | None = None
    pareto: str | None = None
    tornado_share: float | None = None
    prices: bool = False
    simulation: bool = False

    @property
    def solves(self) -> bool:
        """Whether the fleet itself is needed."""
        return bool(self.pareto or self.tornado_share or self.prices)


def _page_of(plan: FleetPlan | HorizonPlan | UncertainPlan, asked: _Asked) -> str:
    from optimizer.fleet import HorizonPlan, UncertainPlan
    from optimizer.report.html import horizon_page, plan_page, uncertain_page

    if isinstance(plan, HorizonPlan):
        if asked != _Asked():
            raise typer.BadParameter("a plan of a horizon takes no option but -o")
        return horizon_page(plan)
    if isinstance(plan, UncertainPlan):
        at_worst = None if plan.costliest is None else _shown(plan.costliest, asked)
        return uncertain_page(plan, at_worst)
    return plan_page(_shown(plan, asked))


def _shown(plan: FleetPlan, asked: _Asked) -> PlanReport:
    from optimizer.fleet import (
        ParetoMeasure,
        difference,
        pareto_front,
        shadow_prices,
        tornado,
    )
    from optimizer.report.html import PlanReport

    measures = [measure.value for measure in ParetoMeasure]
    if asked.pareto is not None and asked.pareto not in measures:
        raise typer.BadParameter(f"--pareto {asked.pareto!r}: must be one of {', '.join(measures)}")
    fleet = _fleet_of(plan) if asked.solves else None
    shown = PlanReport(
        plan=plan,
        previous=None if asked.previous is None else difference(read_plan(asked.previous), plan),
        simulation=_simulated(plan) if asked.simulation else None,
    )
    if fleet is not None:
        shown = replace(
            shown,
            front=pareto_front(fleet, ParetoMeasure(asked.pareto)) if asked.pareto else None,
            tornado=(
                tornado(fleet, plan, share=asked.tornado_share) if asked.tornado_share else None
            ),
            prices=shadow_prices(fleet) if asked.prices else None,
        )
    return shown


def _fleet_of(plan: FleetPlan) -> FleetSpec:
    from optimizer.engine.plan_simulation import fleet_of

    if not plan.found:
        raise PlanError(f"there is no plan to report more of: {plan.termination}")
    return fleet_of(plan)


def _simulated(plan: FleetPlan) -> PlanSimulation:
    from optimizer.engine import simulate

    return simulate(plan)


def _folder_page(folder: Path) -> str:
    from optimizer.experiments import (
        TableRules,
        read_comparison,
        summarise,
    )
    from optimizer.experiments.sweep import is_sweep_folder, read_sweep_folder
    from optimizer.report.html import comparison_page, sweep_page

    if is_sweep_folder(folder):
        return sweep_page(*read_sweep_folder(folder))
    comparison = read_comparison(folder)
    limit_s = comparison.protocol.settings.time_limit_s
    summary = summarise(comparison.rows, time_limit_s=limit_s, known={}, rules=TableRules())
    return comparison_page(comparison, summary, {})
