"""`fleetopt sweep`: many scenarios, here or on a cluster, resumed where they stopped."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json
from optimizer.cli.output import show, tell, write_data

if TYPE_CHECKING:
    from optimizer.experiments.sweep import Sweep, SweepRow

__all__ = ["sweep"]

_SCHEMA_VERSION = 1


def sweep(
    file: Annotated[
        str,
        typer.Argument(
            metavar="SWEEP",
            help="The sweep: a YAML or JSON file that names fleets and axes.",
            show_default=False,
        ),
    ],
    *,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="Who works: serial, local (a process per processor), local:PROCESSES, "
            "dask://HOST:PORT, ray://HOST:PORT or ray://auto.",
        ),
    ] = "local",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for the results; scenarios that it has are not solved again.",
            show_default=False,
        ),
    ] = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Try again what failed, timed out or died."),
    ] = False,
    plans: Annotated[
        bool, typer.Option("--plans", help="Keep the whole plans in results.jsonl.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Solve every combination of fleets, changes, solvers, queue models and seeds.

    Results are kept as they come: after Ctrl-C, or a power cut, the same command goes on from
    there.

    For example:

      fleetopt sweep examples/sweep.yaml -o results

      fleetopt sweep examples/sweep.yaml --engine serial --json
    """
    from optimizer.experiments.sweep import load_sweep
    from optimizer.experiments.sweep import sweep as run_sweep

    spec, fleets = load_sweep(file)
    result = run_sweep(
        spec,
        fleets,
        engine=engine,
        folder=output,
        retry_failed=retry_failed,
        with_plans=plans,
        told=_Progress().told,
    )
    if as_json:
        write_data(_document(result), None)
    else:
        from optimizer.report.sweep_text import sweep_view

        show(sweep_view(result))
    if not result.complete:
        kept = f"; the same command goes on in {output}" if output is not None else ""
        tell(f"fleetopt: interrupted after {len(result.rows)} of {result.scenarios}{kept}")
        raise typer.Exit(ExitCode.INTERRUPTED)


class _Progress:
    """Tells of each scenario, and how long the rest will take."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._solved = 0
        self._terminal = sys.stderr.isatty()

    def told(self, row: SweepRow, done: int, of: int) -> None:
        """Write a line; on a terminal, over the last one."""
        from optimizer.report.sweep_text import sweep_row_line

        self._solved += 1
        left_s = (time.monotonic() - self._begin) / self._solved * (of - done)
        line = f"[{done}/{of}] {sweep_row_line(row)}"
        if not self._terminal:
            tell(line)
            return
        end = "\n" if done == of else ""
        sys.stderr.write(f"\r\x1b[K{line}, {_duration(left_s)} left{end}")
        sys.stderr.flush()


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _document(result: Sweep) -> str:
    import json

    document = {
        "schema_version": _SCHEMA_VERSION,
        "name": result.spec.name,
        "complete": result.complete,
        "scenarios": result.scenarios,
        "results": [row.result for row in result.rows],
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
