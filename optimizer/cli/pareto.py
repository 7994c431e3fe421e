"""`fleetopt pareto`: cost against latency, power, carbon, cards or moves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import FleetFile, Json, SolveOptions, read_fleet
from optimizer.cli.option_groups import with_option_groups
from optimizer.cli.output import show, tell, write_data

if TYPE_CHECKING:
    from optimizer.fleet import ParetoFront

__all__ = ["pareto"]


@with_option_groups
def pareto(
    fleet: FleetFile,
    *,
    against: Annotated[
        str,
        typer.Option(
            "--against",
            help="ttft_ms, itl_ms or e2e_ms (means over all requests), power_kw, "
            "carbon_kg_per_hour, cards, or moves (services that leave their accelerator).",
        ),
    ] = "e2e_ms",
    points: Annotated[
        int,
        typer.Option("--points", min=2, max=1000, help="Most points; all where there are fewer."),
    ] = 10,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw the front to this file (.png, .svg, .pdf)."),
    ] = None,
    options: SolveOptions,
    as_json: Json = False,
) -> None:
    """Show what the next better latency, or less power, would cost.

    Each point is a plan that no other beats in both, found by exact solves.

    For example:

      fleetopt pareto examples/fleet.yaml

      fleetopt pareto examples/fleet.yaml --against moves --json
    """
    from optimizer.fleet import ParetoMeasure, pareto_front

    measures = [measure.value for measure in ParetoMeasure]
    if against not in measures:
        raise typer.BadParameter(f"--against {against!r}: must be one of {', '.join(measures)}")
    if plot is not None:
        from optimizer.report.matplotlib_figure import require_matplotlib

        require_matplotlib()
    front = pareto_front(read_fleet(fleet, **options.overrides()), ParetoMeasure(against), points)
    if plot is not None:
        _draw(front, plot)
    if as_json:
        write_data(json.dumps(_document(front), indent=2, ensure_ascii=False) + "\n", None)
    else:
        from optimizer.report import pareto_view

        show(pareto_view(front))


def _draw(front: ParetoFront, path: Path) -> None:
    from optimizer.report.pareto_plot import draw_pareto

    try:
        draw_pareto(front, path)
    except (OSError, ValueError) as error:
        tell(f"fleetopt: cannot draw {path}: {error}; give a path that ends in .png, .svg or .pdf")
        raise typer.Exit(ExitCode.USAGE) from error


def _document(front: ParetoFront) -> dict[str, Any]:
    plan = front.points[0].plan
    return {
        "schema_version": 1,
        "fleet": plan.fleet,
        "currency": plan.currency,
        "against": front.measure.value,
        "complete": front.complete,
        "points": [
            {
                "cost_per_hour": point.cost_per_hour,
                "value": point.value,
                "proven": point.proven,
                "plan": point.plan.model_dump(mode="json"),
            }
            for point in front.points
        ],
    }
