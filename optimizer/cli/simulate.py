"""`fleetopt simulate`: a plan against a simulation of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json, read_fleet
from optimizer.cli.live_solve import run_interruptibly
from optimizer.cli.option_groups import with_option_groups
from optimizer.cli.output import require_writable, show, tell, write_data, writing_to
from optimizer.cli.plan_options import PlanFile, read_plan
from optimizer.cli.simulation_options import EffortOptions, OfferedLoadOptions

if TYPE_CHECKING:
    from optimizer.engine import PlanProgress, PlanSimulation
    from optimizer.fleet import FleetPlan
    from optimizer.spec import FleetSpec

__all__ = ["simulate", "simulation_progress"]

_FORMATS = (".png", ".svg", ".pdf")


@with_option_groups
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
    load: OfferedLoadOptions,
    effort: EffortOptions,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot",
            metavar="FILE",
            help="Draw predicted and simulated latencies against the objectives, and attainment: "
            ".png, .svg or .pdf.",
            show_default=False,
        ),
    ] = None,
    plot_latencies: Annotated[
        Path | None,
        typer.Option(
            "--plot-latencies",
            metavar="FILE",
            help="Draw the distributions of TTFT, of the gaps between tokens and of E2E.",
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
    the plan gives it, or at one given here. The exit status is 0 whether or not a service misses.

    For example:

      fleetopt simulate plan.json

      fleetopt simulate plan.json chat-premium --precision 0.01 --plot simulated.png

      fleetopt simulate plan.json --arrivals chat-premium=mmpp:1@60,4@15 --precise ttft_p99

      fleetopt simulate plan.json --slo examples/slo.yaml

    Ctrl-C shows what has been simulated by then; a second one aborts.
    """
    for option, path in (("--plot", plot), ("--plot-latencies", plot_latencies)):
        if path is not None:
            _require_plots(path, option)
            require_writable(path, option)
    require_writable(output, "-o")
    from optimizer.engine import simulate as simulated
    from solvers import CancelFlag

    made = read_plan(plan)
    spec, loads, precise = _fleet_in(made, fleet, slo), load.loads(), effort.statistics
    cancel = CancelFlag()
    with simulation_progress(shown=not as_json) as progress:
        found = run_interruptibly(
            lambda: simulated(
                made,
                spec,
                services=services or None,
                loads=loads,
                precision=effort.precision,
                precise=precise,
                least_requests=min(50_000, max(effort.most_requests, 1)),
                most_requests=effort.most_requests,
                replications=effort.replications,
                seed=effort.seed,
                progress=progress,
                stopped=cancel.is_set,
            ),
            cancel,
            None,
        )
    if output is not None:
        write_data(found.to_json(), output)
    _draw(found, plot, plot_latencies)
    if as_json:
        write_data(found.to_json(), None)
    else:
        from optimizer.report import simulation_view

        show(simulation_view(found))
    if found.interrupted:
        tell("fleetopt: interrupted; what is shown is what was simulated by then")
        raise typer.Exit(ExitCode.INTERRUPTED)


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

        def tell(service: str, place: int, count: int, requests: int, reached: float) -> None:
            exact = f", ± {reached:.1%} so far" if isfinite(reached) else ""
            words = f"{service}: {requests:,} requests{exact}"
            bar.update(task, total=count, completed=place, description=words)

        yield tell


def _require_plots(path: Path, option: str) -> None:
    from optimizer.report.matplotlib_figure import require_matplotlib

    if path.suffix.lower() not in _FORMATS:
        wanted = ", ".join(_FORMATS)
        raise typer.BadParameter(f"'{path}': the name must end in {wanted}", param_hint=option)
    require_matplotlib()


def _draw(simulation: PlanSimulation, plot: Path | None, latencies: Path | None) -> None:
    if plot is not None:
        from optimizer.report.simulation_plots import draw_simulation

        with writing_to(plot, "--plot"):
            draw_simulation(simulation, plot)
    if latencies is not None:
        from optimizer.report.latency_plots import draw_latencies

        with writing_to(latencies, "--plot-latencies"):
            draw_latencies(simulation, latencies)
