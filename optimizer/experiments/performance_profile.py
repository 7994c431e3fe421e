"""Performance profiles: which fraction of the problems is solved within a factor of the fastest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optimizer.experiments.best_known import best_values
from optimizer.experiments.run import RunRow
from optimizer.experiments.summary import TableRules, is_solved

__all__ = ["SHORTEST_TIME_S", "Profile", "performance_profile"]

# Shorter times count as this: the clocks do not tell them apart, and 0 has no ratio.
SHORTEST_TIME_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Curve of one solver.

    Parameters
    ----------
    ratios
        Where the curve steps up, ascending, >= 1: time over the fastest solver's on that problem.
    fractions
        Height from there on, in (0, 1]; the last is the fraction solved at all.
    problems
        Number of problems (instance and seed), those that nobody solved among them.
    """

    solver: str
    ratios: tuple[float, ...]
    fractions: tuple[float, ...]
    problems: int

    def at(self, ratio: float) -> float:
        """Return the fraction of problems solved within this factor of the fastest."""
        steps = [f for r, f in zip(self.ratios, self.fractions, strict=True) if r <= ratio]
        return steps[-1] if steps else 0.0


def performance_profile(
    rows: Sequence[RunRow],
    *,
    known: Mapping[str, float] | None = None,
    rules: TableRules | None = None,
) -> tuple[Profile, ...]:
    """Return a curve per solver, in the order of the rows.

    Parameters
    ----------
    rows
        A problem is an instance with a seed; a solver without a row for it has not solved it.
    known, rules
        What "solved" and "time" mean, see `TableRules`.

    Notes
    -----
    rho_s(tau) = |{p: t_ps / min_s' t_ps' <= tau}| / |{p}|, with t infinite where not solved. The
    curves rank against the fastest alone: to compare the second with the third, draw the pair.

    References
    ----------
    .. [1] Dolan, E. D., Moré, J. J. (2002). Benchmarking optimization software with performance
       profiles. *Mathematical Programming* 91, 201-213.
    """
    rules = rules or TableRules()
    best = best_values(rows, known or {})
    solvers = tuple(dict.fromkeys(row.solver for row in rows))
    times: dict[tuple[str, int], dict[str, float]] = {}
    for row in rows:
        seconds = row.cpu_s if rules.time == "cpu_s" else row.total_s
        solved = is_solved(row, best, rules.solved_at) and seconds is not None
        times.setdefault((row.instance, row.seed), {})[row.solver] = (
            max(seconds or 0.0, SHORTEST_TIME_S) if solved else math.inf
        )
    return tuple(_profile(solver, list(times.values())) for solver in solvers)


def _profile(solver: str, problems: Sequence[Mapping[str, float]]) -> Profile:
    ratios = sorted(
        own / min(times.values())
        for times in problems
        if math.isfinite(own := times.get(solver, math.inf))
    )
    last = {ratio: count / len(problems) for count, ratio in enumerate(ratios, start=1)}
    return Profile(
        solver=solver,
        ratios=tuple(last),
        fractions=tuple(last.values()),
        problems=len(problems),
    )
