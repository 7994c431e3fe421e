"""`fleetopt control`: a live fleet kept at its optimum, and the laboratory of doing so."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.control_serve import serve
from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json
from optimizer.cli.interruption import ending_at_interrupt
from optimizer.cli.output import show, tell, write_data, writing_to

if TYPE_CHECKING:
    from optimizer.control.controller import Cycle
    from optimizer.control.lab import Series
    from optimizer.control.lab.results import LabProgress

__all__ = ["app"]

app = typer.Typer(
    help="Keep a live fleet at its optimum: observe, forecast, optimise, change little.",
    no_args_is_help=True,
)

app.command("serve")(serve)

SloSheet = Annotated[
    str | None,
    typer.Option(
        "--slo",
        metavar="SHEET",
        help="SLO sheet to hold the fleet to, in place of the configuration's own.",
        show_default=False,
    ),
]


@app.command("run")
def run(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="The control configuration.", show_default=False),
    ],
    *,
    once: Annotated[bool, typer.Option("--once", help="One look and one plan, then end.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count replicas, decide, and change nothing.")
    ] = False,
    slo: SloSheet = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print every cycle as one line of JSON.")
    ] = False,
) -> None:
    """Control a fleet until interrupted; the cycles are told on standard error.

    For example:

      fleetopt control run examples/control/control.yaml --once --dry-run

      fleetopt control run examples/control/control.yaml --slo examples/slo.yaml
    """
    from optimizer.control.configured import ConfiguredControl

    control = ConfiguredControl(config, slo=slo, dry_run=dry_run)
    try:
        if once:
            cycle = control.step(time.time())
            if as_json:
                write_data(_line(cycle), None)
            else:
                from optimizer.report.control_text import cycle_view

                show(cycle_view(cycle, control.controller.fleet.currency))
            return
        stop = threading.Event()
        try:
            control.run(time.time, stop.wait, _json_told if as_json else _Told().told)
        except KeyboardInterrupt:
            tell("fleetopt: interrupted; the replicas stay as they are")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
    finally:
        control.close()


@app.command("lab")
def lab(
    scenario: Annotated[
        Path,
        typer.Argument(metavar="SCENARIO", help="The scenario.", show_default=False),
    ],
    *,
    slo: SloSheet = None,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines", help="Run what the controller is compared with, too."
        ),
    ] = True,
    page: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write a page with tables and pictures to this file.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write the result as JSON to this file."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the controller against a simulated fleet on a virtual clock, beside other autoscalers.

    For example:

      fleetopt control lab examples/control/lab.yaml

      fleetopt control lab examples/control/lab.yaml --no-baselines --html lab.html
    """
    from optimizer.control.configured import fleet_of_control
    from optimizer.control.lab import run_scenario
    from optimizer.control.spec import load_scenario

    spec = load_scenario(scenario)
    if not baselines:
        spec = spec.model_copy(update={"baselines": ()})
    fleet = fleet_of_control(spec.control, scenario.parent, slo)
    if page is not None:
        from optimizer.report.html import require_pages

        require_pages()
    with ending_at_interrupt(), _progress(shown=not as_json) as progress:
        result = run_scenario(spec, fleet, scenario.parent, progress)
    if output is not None:
        write_data(result.to_json(indent=2) + "\n", output)
    if page is not None:
        from optimizer.report.html import lab_page

        with writing_to(page, "--html"):
            page.write_text(lab_page(result, fleet.currency), encoding="utf-8")
    if as_json:
        write_data(result.to_json(indent=2) + "\n", None)
    else:
        from optimizer.report.control_text import lab_view

        show(lab_view(result))


@app.command("approve")
def approve(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="The control configuration.", show_default=False),
    ],
    digest: Annotated[
        str,
        typer.Argument(
            metavar="DIGEST",
            help="What the condition Approved asks to be approved.",
            show_default=False,
        ),
    ],
) -> None:
    """Let a running controller do what its circuit breaker holds.

    For example:

      fleetopt control approve control.yaml 3f9a0c21b7de

      fleetopt control approve /etc/fleetopt/control.yaml 3f9a0c21b7de
    """
    from optimizer.control.spec import load_control

    spec = load_control(config)
    if spec.state is None:
        raise typer.BadParameter(
            "the configuration has no `state`: approvals are given in a file beside it",
            param_hint="CONFIG",
        )
    path = config.parent / f"{spec.state}.approve"
    with writing_to(path, "CONFIG"):
        path.write_text(digest, encoding="utf-8")
    tell(f"fleetopt: the controller will read {path} within {spec.observe_s:g} s")


def _line(cycle: Cycle) -> str:
    return cycle.document().to_json()


def _json_told(cycle: Cycle) -> None:
    write_data(_line(cycle) + "\n", None)
    sys.stdout.flush()


class _Told:
    """Tells of cycles in which something happened, once."""

    def __init__(self) -> None:
        self._last = ""

    def told(self, cycle: Cycle) -> None:
        """Tell of a cycle, unless it is as the last one."""
        from optimizer.report.control_text import cycle_line

        line = cycle_line(cycle)
        _, _, what = line.partition("; ")
        if cycle.outcomes or what != self._last:
            tell(f"fleetopt: {line}")
        self._last = what


@contextmanager
def _progress(*, shown: bool) -> Iterator[LabProgress | None]:
    """Show on standard error how far a run is, at a terminal alone."""
    if not (shown and sys.stderr.isatty()):
        yield None
        return

    def told(policy: str, share: float, _: Series) -> None:
        sys.stderr.write(f"\r{policy:<12} {share:4.0%}")
        sys.stderr.flush()

    yield told
    sys.stderr.write("\r" + " " * 20 + "\r")
    sys.stderr.flush()
