"""`fleetopt simulate`: a plan against a simulation of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json, read_fleet
from optimizer.cli.output import show, tell, write_data
from optimizer.cli.plan_options import PlanFile, read_plan

if TYPE_CHECKING:
    from optimizer.engine import PlanProgress, PlanSimulation
    from optimizer.fleet import FleetPlan
    from optimizer.spec import FleetSpec

__all__ = ["simulate", "simulation_progress"]

_FORMATS = (".png", ".svg", ".pdf")


def simulate(
    plan: PlanFile,
    services: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SERVICE]...",
            help="Services to simulate; by default all.",
            show_default=False,
        ),
    ] = None,
    *,
    fleet: Annotated[
        str | None,
        typer.Option(
            "--fleet",
            help="The plan's fleet, of a plan that does not carry it, or with other figures.",
            show_default=False,
        ),
    ] = None,
    slo: Annotated[
        str | None,
        typer.Option(
            "--slo",
            metavar="SHEET",
            help="SLO sheet whose latencies are looked at too: a YAML or JSON file.",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        float,
        typer.Option(
            "--precision",
            help="Half-width of the 95 % interval to reach, as a share of every figure.",
        ),
    ] = 0.02,
    most_requests: Annotated[
        int, typer.Option("--most-requests", help="Requests simulated of a service at most.")
    ] = 1_000_000,
    seed: Annotated[int, typer.Option("--seed", help="Seed.")] = 0,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw predicted and simulated latencies against the objectives: .png, .svg or "
            ".pdf.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the result as JSON to this file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Simulate the services of a plan, and say which would miss their objectives.

    Every replica schedules its requests as vLLM does, iteration by iteration, at the load that
    the plan gives it. The exit status is 0 whether or not a service misses.

    For example:

      fleetopt simulate plan.json

      fleetopt simulate plan.json chat-premium --precision 0.01 --plot simulated.png

      fleetopt simulate plan.json --slo examples/slo.yaml
    """
    if plot is not None:
        _require_plots(plot)
    from optimizer.engine import simulate as simulated

    made = read_plan(plan)
    with simulation_progress(shown=not as_json) as progress:
        found = simulated(
            made,
            _fleet_in(made, fleet, slo),
            services=services or None,
            precision=precision,
            least_requests=min(50_000, max(most_requests, 1)),
            most_requests=most_requests,
            seed=seed,
            progress=progress,
        )
    if output is not None:
        write_data(found.to_json(), output)
    if plot is not None:
        _draw(found, plot)
    if as_json:
        write_data(found.to_json(), None)
    else:
        from optimizer.report import simulation_view

        show(simulation_view(found))


def _fleet_in(plan: FleetPlan, fleet: str | None, slo: str | None) -> FleetSpec | None:
    """Fleet to simulate the plan in, held to a sheet; None: the one that the plan carries."""
    if fleet is not None:
        return read_fleet(fleet, slo=slo)
    if slo is None:
        return None
    from optimizer.engine.plan_simulation import fleet_of
    from optimizer.spec import load_slo, with_slo_sheet

    return with_slo_sheet(fleet_of(plan), load_slo(slo))


@contextmanager
def simulation_progress(*, shown: bool) -> Iterator[PlanProgress | None]:
    """Show a bar on standard error while services are simulated, at a terminal alone."""
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("simulating"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def tell(service: str, place: int, count: int, requests: int) -> None:
            words = f"{service}: {requests:,} requests"
            bar.update(task, total=count, completed=place, description=words)

        yield tell


def _require_plots(path: Path) -> None:
    from optimizer.report.matplotlib_figure import require_matplotlib

    if path.suffix.lower() not in _FORMATS:
        wanted = ", ".join(_FORMATS)
        raise typer.BadParameter(f"'{path}': the name must end in {wanted}", param_hint="--plot")
    require_matplotlib()


def _draw(simulation: PlanSimulation, path: Path) -> None:
    from optimizer.report.simulation_plots import draw_simulation

    try:
        draw_simulation(simulation, path)
    except OSError as error:
        tell(f"fleetopt: cannot write {path}: {error.strerror}; give another path to --plot")
        raise typer.Exit(ExitCode.USAGE) from error
