"""The figures of a comparison's table: per family or instance and solver."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from optimizer.experiments.best_known import best_values, gap_to_best
from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.run import RunRow, RunStatus

__all__ = [
    "ALL",
    "Cell",
    "Grouping",
    "Summary",
    "TableRules",
    "counted_time",
    "is_solved",
    "shifted_geometric_mean",
    "summarise",
]

Grouping = Literal["family", "instance"]
TimeField = Literal["cpu_s", "total_s"]

ALL = "all"  # name of the last line, over everything

# Termination reasons that are complete answers.
_PROVEN = ("optimal", "infeasible")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRules:
    """How rows become figures; printed with every table.

    Parameters
    ----------
    by
        What a line of the table is.
    reference
        Solver whose time is 1; None: the first.
    time
        CPU or wall-clock seconds of the solve.
    shift_s
        Shift of the geometric mean of times, > 0.
    solved_at
        A run is solved when its gap to the best-known value is at most this; None: when the solver
        proved the gap that was asked, or infeasibility.
    """

    by: Grouping = "family"
    reference: str | None = None
    time: TimeField = "cpu_s"
    shift_s: float = 0.1
    solved_at: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.shift_s < math.inf:
            raise ExperimentError(f"shift = {self.shift_s}: a number of seconds > 0 is wanted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A solver on the instances of one line; None where there is nothing to average.

    Parameters
    ----------
    line, solver
        Which cell.
    runs, solved, failed, valueless
        Numbers of runs; of those solved; of those that raised, died, were killed or gave a wrong
        answer; and of those without any value, which the gaps leave out.
    gap_mean, gap_worst
        Gap to the best-known value.
    proven_mean, proven_worst
        Proven gap, of the runs that have one; their number is `proven_runs`.
    time_s
        Shifted geometric mean of `counted_time` over the runs that the reference also has.
    time_ratio
        That over the reference's.
    memory_mb
        Largest peak memory.
    """

    line: str
    solver: str
    runs: int
    solved: int
    failed: int
    valueless: int
    gap_mean: float | None
    gap_worst: float | None
    proven_mean: float | None
    proven_worst: float | None
    proven_runs: int
    time_s: float | None
    time_ratio: float | None
    memory_mb: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Cells line by line and solver by solver, the line `ALL` last, and the rules behind them."""

    rules: TableRules
    lines: tuple[str, ...]
    solvers: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]


def summarise(
    rows: Sequence[RunRow],
    *,
    time_limit_s: float,
    known: Mapping[str, float] | None = None,
    rules: TableRules | None = None,
) -> Summary:
    """Return the figures of a table.

    Parameters
    ----------
    rows
        In the order in which lines and solvers are to appear.
    time_limit_s
        What the runs were given; counted for those that failed.
    known
        Best-known values by instance; where there is none, the best value of the rows.

    Raises
    ------
    ExperimentError
        If the reference solver has no row.
    """
    rules = rules or TableRules()
    solvers = tuple(dict.fromkeys(row.solver for row in rows))
    reference = rules.reference or (solvers[0] if solvers else "")
    if rows and reference not in solvers:
        raise ExperimentError(f"reference '{reference}': one of {', '.join(solvers)} is wanted")
    best = best_values(rows, known or {})
    by_line: dict[str, list[RunRow]] = defaultdict(list)
    for row in rows:
        by_line[row.family if rules.by == "family" else row.instance].append(row)
    if len(by_line) > 1:
        by_line[ALL] = list(rows)
    cells = {
        (line, solver): _cell(line, solver, reference, members, best, time_limit_s, rules)
        for line, members in by_line.items()
        for solver in solvers
    }
    return Summary(rules=rules, lines=tuple(by_line), solvers=solvers, cells=cells)


def shifted_geometric_mean(values: Iterable[float], shift: float) -> float:
    """Return exp(mean(log(v + shift))) - shift of values >= 0.

    Damps what tiny values, in ratios, and huge ones, in sums, would do to a mean of times.

    References
    ----------
    .. [1] Achterberg, T. (2007). *Constraint Integer Programming*, PhD thesis, TU Berlin,
       appendix A.3.
    """
    logs = [math.log(value + shift) for value in values]
    return max(math.exp(fmean(logs)) - shift, 0.0)


def counted_time(row: RunRow, time: TimeField, time_limit_s: float) -> float:
    """Return the seconds that a run counts: its own, or at least the limit when it has no answer.

    An answer is a value or a proof of infeasibility: a solver that gives up at once without one is
    not fast.
    """
    seconds = row.cpu_s if time == "cpu_s" else row.total_s
    has_answer = row.status is RunStatus.ANSWERED and (
        row.value is not None or row.termination in _PROVEN
    )
    if has_answer and seconds is not None:
        return seconds
    return max(seconds or 0.0, time_limit_s)


def is_solved(row: RunRow, best: Mapping[str, float], solved_at: float | None) -> bool:
    """Whether a run counts as solved, see `TableRules.solved_at`."""
    if row.status is not RunStatus.ANSWERED:
        return False
    if solved_at is None or row.termination == "infeasible":
        return row.termination in _PROVEN
    gap = gap_to_best(row, best)
    return gap is not None and gap <= solved_at


def _cell(
    line: str,
    solver: str,
    reference: str,
    members: Sequence[RunRow],
    best: Mapping[str, float],
    time_limit_s: float,
    rules: TableRules,
) -> Cell:
    rows = [row for row in members if row.solver == solver]
    gaps = [gap for row in rows if (gap := gap_to_best(row, best)) is not None]
    proven = [row.gap for row in rows if row.gap is not None]
    memory = [row.peak_memory_mb for row in rows if row.peak_memory_mb is not None]
    mine, theirs = (
        {
            (row.instance, row.seed): counted_time(row, rules.time, time_limit_s)
            for row in members
            if row.solver == name
        }
        for name in (solver, reference)
    )
    common = sorted(mine.keys() & theirs.keys())
    time_s = _mean_time([mine[key] for key in common], rules.shift_s)
    reference_s = _mean_time([theirs[key] for key in common], rules.shift_s)
    return Cell(
        line=line,
        solver=solver,
        runs=len(rows),
        solved=sum(is_solved(row, best, rules.solved_at) for row in rows),
        failed=sum(row.status is not RunStatus.ANSWERED for row in rows),
        valueless=sum(row.value is None for row in rows),
        gap_mean=fmean(gaps) if gaps else None,
        gap_worst=max(gaps, default=None),
        proven_mean=fmean(proven) if proven else None,
        proven_worst=max(proven, default=None),
        proven_runs=len(proven),
        time_s=time_s,
        time_ratio=time_s / reference_s if time_s is not None and reference_s else None,
        memory_mb=max(memory, default=None),
    )


def _mean_time(times: Sequence[float], shift_s: float) -> float | None:
    return shifted_geometric_mean(times, shift_s) if times else None
