"""`fleetopt solve` of a fleet whose loads are uncertain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from optimizer.cli.delivery import end_as_deserved, write_or_show
from optimizer.cli.live_solve import LiveLine, run_interruptibly

if TYPE_CHECKING:
    from optimizer.spec import FleetSpec

__all__ = ["solve_uncertain"]


def solve_uncertain(
    spec: FleetSpec, line: LiveLine | None, *, as_json: bool, output: Path | None
) -> None:
    """Solve, show or write the plan, and end with the exit status that it deserves."""
    from optimizer.fleet import optimize_uncertain
    from optimizer.report import uncertain_view
    from solvers import CancelFlag

    cancel = CancelFlag()
    progress = None if line is None else line.tell
    plan = run_interruptibly(
        lambda: optimize_uncertain(spec, progress=progress, cancel=cancel), cancel, line
    )
    write_or_show(plan, uncertain_view, as_json=as_json, output=output)
    end_as_deserved(plan, cancel)
