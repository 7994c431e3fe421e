"""A sweep from beginning to end: what is in its folder is not solved again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from optimizer.experiments.sweep.engine import Engine, parse_engine
from optimizer.experiments.sweep.mapping import map_scenarios
from optimizer.experiments.sweep.scenario import Scenario, scenarios_of
from optimizer.experiments.sweep.solved_scenario import ScenarioTask, solve_scenario
from optimizer.experiments.sweep.sweep_folder import SweepFolder
from optimizer.experiments.sweep.sweep_row import SweepRow, row_of
from optimizer.experiments.sweep.sweep_spec import SweepSpec
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Sweep", "sweep"]

# What a solver may take to return after it was asked to, before the scenario is given up.
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep's results.

    Parameters
    ----------
    spec
        What was asked.
    rows
        In the order of the scenarios; those that were not reached are absent.
    scenarios
        How many there are.
    taken_over
        How many rows were found in the folder.
    """

    spec: SweepSpec
    rows: tuple[SweepRow, ...]
    scenarios: int
    taken_over: int = 0

    @property
    def complete(self) -> bool:
        """Whether every scenario has a row."""
        return len(self.rows) == self.scenarios


def sweep(
    spec: SweepSpec,
    fleets: dict[str, FleetSpec],
    *,
    engine: Engine | str = "serial",
    folder: Path | None = None,
    retry_failed: bool = False,
    with_plans: bool = False,
    told: Callable[[SweepRow, int, int], None] | None = None,
) -> Sweep:
    """Solve every scenario of a sweep.

    Parameters
    ----------
    spec, fleets
        As from `load_sweep`.
    engine
        Who works, see `parse_engine`.
    folder
        Where results are kept as they come. Scenarios that it has are not solved again.
    retry_failed
        Whether those that failed, timed out or whose worker died are, all the same.
    with_plans
        Whether rows carry the whole plans.
    told
        Called with a row, how many are done, and how many there are, as each ends.

    Returns
    -------
    Sweep
        After Ctrl-C, what was reached.

    Raises
    ------
    SpecError
        If a value of an axis makes no valid fleet.
    ExperimentError
        If the engine does not answer, or the folder holds something else or is in use.
    """
    engine = parse_engine(engine) if isinstance(engine, str) else engine
    scenarios = {scenario.key: scenario for scenario in scenarios_of(spec, fleets)}
    with _opened(folder, spec) as kept:
        done = {
            row.key: row
            for row in (kept.rows() if kept is not None else ())
            if row.key in scenarios
            and (row.answered or not retry_failed)
            and (not with_plans or "plan" in row.figures or not row.answered)
        }
        taken_over = len(done)
        try:
            for row in _solved(spec, fleets, scenarios, set(done), engine, with_plans):
                if kept is not None:
                    kept.append(row)
                done[row.key] = row
                if told is not None:
                    told(row, len(done), len(scenarios))
        except KeyboardInterrupt:
            pass  # the caller sees that the sweep is not complete
        rows = tuple(done[key] for key in scenarios if key in done)
        if kept is not None:
            kept.write_tables(rows)
    return Sweep(spec, rows, len(scenarios), taken_over)


def _solved(
    spec: SweepSpec,
    fleets: dict[str, FleetSpec],
    scenarios: dict[str, Scenario],
    done: set[str],
    engine: Engine,
    with_plans: bool,
) -> Iterator[SweepRow]:
    documents = {name: fleet.model_dump_json(by_alias=True) for name, fleet in fleets.items()}
    tasks = {
        key: ScenarioTask(documents[one.fleet], one.changes, spec.limit_s, with_plans)
        for key, one in scenarios.items()
        if key not in done
    }
    limit_s = None if spec.limit_s is None else spec.limit_s + _GRACE_S
    for outcome in map_scenarios(solve_scenario, tasks, engine=engine, limit_s=limit_s):
        yield row_of(scenarios[outcome.name], outcome)


@contextmanager
def _opened(folder: Path | None, spec: SweepSpec) -> Iterator[SweepFolder | None]:
    if folder is None:
        yield None
        return
    with SweepFolder.opened(folder, spec) as kept:
        yield kept
