"""Solvers over instances and seeds: every run in its own process, every result kept."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from optimizer.experiments.child_processes import ChildOutcome, run_in_children
from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.protocol import Protocol, now
from optimizer.experiments.results_directory import (
    append_row,
    read_protocol,
    read_rows,
    write_protocol,
)
from optimizer.experiments.run import RunRequest, RunRow, RunStatus
from optimizer.experiments.settings import Settings
from optimizer.experiments.solver_spec import parse_solver
from solvers import get
from solvers.instances import Instance

__all__ = ["Comparison", "Progress", "compare", "read_comparison"]

# Called after each run with its row, the number of runs ended and the number of all.
Progress = Callable[[RunRow, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Rows of a comparison and how they were measured.

    Parameters
    ----------
    rows
        In the order instance, solver, seed, as asked for.
    complete
        False when it was interrupted: runs that were asked for have no row.
    """

    protocol: Protocol
    rows: tuple[RunRow, ...]
    complete: bool = True


def compare(
    instances: Sequence[Instance],
    solvers: Sequence[str],
    *,
    seeds: Sequence[int] = (0,),
    settings: Settings | None = None,
    jobs: int = 1,
    directory: Path | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Run every solver on every instance with every seed.

    Parameters
    ----------
    instances
        See `solvers.instances.instances`; the same instance twice is one.
    solvers
        Names, with options where wanted, such as `milp:backend=CBC`.
    seeds
        Given to the solvers, each 0..2147483647; not the seeds of generated instances.
    settings
        Limits; by default those of `Settings`.
    jobs
        Runs made at a time, >= 1. More than one disturbs the times; the protocol records it.
    directory
        Where each row is written as its run ends; a run that has a row there is not made again.
        None: nothing is written.
    progress
        Called as runs end.

    Returns
    -------
    Comparison
        With `complete` false after Ctrl-C: the rows that were finished by then.

    Raises
    ------
    ExperimentError
        If two instances share a name, a number is out of range, or the directory holds results
        under other settings.
    solvers.UnknownSolverError, solvers.BrokenPluginError, solvers.MissingExtraError
        If a solver cannot be had; before any run.
    """
    settings = settings or Settings()
    requests = _requests(instances, solvers, seeds, settings, jobs)
    rows = {row.key: row for row in read_rows(directory)} if directory else {}
    protocol, environment = _protocol(settings, directory).extended(tuple(solvers), jobs)
    if directory is not None:
        write_protocol(directory, protocol)
    missing = [request for request in requests if request.key not in rows]
    done = len(requests) - len(missing)
    complete = True
    try:
        with closing(_run_all(missing, jobs, environment)) as ended:
            for row in ended:
                rows[row.key] = row
                done += 1
                if directory is not None:
                    append_row(directory, row)
                if progress is not None:
                    progress(row, done, len(requests))
    except KeyboardInterrupt:
        complete = False
    wanted = tuple(rows[request.key] for request in requests if request.key in rows)
    return Comparison(protocol=protocol, rows=wanted, complete=complete)


def read_comparison(directory: Path) -> Comparison:
    """Return what is on disk: all rows ever measured there.

    Raises
    ------
    ExperimentError
        If the directory holds no comparison, or its files are damaged.
    """
    protocol = read_protocol(directory)
    if protocol is None:
        raise ExperimentError(
            f"{directory}: no results of a comparison there; "
            f"`fleetopt compare -o {directory}` makes them"
        )
    order = {solver: place for place, solver in enumerate(protocol.solvers)}
    rows = sorted(
        read_rows(directory),
        key=lambda row: (row.instance, order.get(row.solver, len(order)), row.solver, row.seed),
    )
    return Comparison(protocol=protocol, rows=tuple(rows))


def _requests(
    instances: Sequence[Instance],
    solvers: Sequence[str],
    seeds: Sequence[int],
    settings: Settings,
    jobs: int,
) -> list[RunRequest]:
    _refuse_ranges(instances, solvers, seeds, jobs)
    for solver in solvers:
        get(parse_solver(solver)[0])
    named: dict[str, Instance] = {}
    for instance in instances:
        other = named.setdefault(instance.name, instance)
        if other.fingerprint != instance.fingerprint:
            raise ExperimentError(
                f"{other.source} and {instance.source} would both be called '{instance.name}'; "
                f"compare them apart, or rename one"
            )
    return [
        RunRequest(instance=instance, solver=solver, seed=seed, settings=settings)
        for instance in named.values()
        for solver in dict.fromkeys(solvers)
        for seed in dict.fromkeys(seeds)
    ]


def _refuse_ranges(
    instances: Sequence[Instance], solvers: Sequence[str], seeds: Sequence[int], jobs: int
) -> None:
    for what, given in (("instances", instances), ("solvers", solvers), ("seeds", seeds)):
        if not given:
            raise ExperimentError(f"no {what}: at least one is wanted")
    if jobs < 1:
        raise ExperimentError(f"jobs = {jobs}: a whole number >= 1 is wanted")
    bad = [seed for seed in seeds if not 0 <= seed < 2**31]
    if bad:
        raise ExperimentError(f"seed = {bad[0]}: 0 to 2147483647 is wanted")


def _protocol(settings: Settings, directory: Path | None) -> Protocol:
    """Return the protocol that new rows go under; rows of different settings are no comparison."""
    found = read_protocol(directory) if directory else None
    if found is None:
        return Protocol(settings=settings)
    if found.settings != settings:
        raise ExperimentError(
            f"{directory}: holds results under other settings ({found.settings}); "
            f"ask for the same ones, or give another folder to -o"
        )
    return found


def _run_all(requests: Sequence[RunRequest], jobs: int, environment: str) -> Generator[RunRow]:
    # Closed at once when the iteration is given up, so that no process outlives the comparison.
    with closing(run_in_children(requests, jobs=jobs)) as outcomes:
        for outcome in outcomes:
            yield _row(outcome, environment)


def _row(outcome: ChildOutcome, environment: str) -> RunRow:
    request, instance = outcome.request, outcome.request.instance
    fields = dict(outcome.fields)
    fields["status"] = RunStatus(fields["status"])
    fields["notes"] = tuple(fields.get("notes", ()))
    fields["progress"] = tuple(tuple(point) for point in fields.get("progress", ()))
    return RunRow(
        instance=instance.name,
        family=instance.family,
        source=instance.source,
        fingerprint=instance.fingerprint,
        maximise=instance.maximise,
        solver=request.solver,
        seed=request.seed,
        date=now(),
        environment=environment,
        **fields,
    )
