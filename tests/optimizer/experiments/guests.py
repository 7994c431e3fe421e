"""Solvers of another distribution that misbehave, each in its own way."""

from __future__ import annotations

from pathlib import Path

_MODULE = """
import os

import numpy as np

from solvers import Feature, Limit, Reason, SolveResult, Solver, Termination


class Guest(Solver):
    summary = "a guest of the tests"
    features = frozenset({Feature.TIME_LIMIT})

    def answer(self, problem, cost=None):
        x = np.zeros(problem.columns, dtype=np.int64)
        x[np.flatnonzero(np.diff(problem.group, append=-1))] = 1
        return SolveResult(
            termination=Termination(Reason.FEASIBLE, Limit.COMPLETED),
            primal_bound=float(problem.cost @ x) if cost is None else cost,
            x=x,
        )


class LastColumns(Guest):
    name = "last-columns"
    features = frozenset()

    def solve(self, problem, params, start=None):
        self.require(problem, params)
        print("a back end that prints where the report goes", flush=True)
        return self.answer(problem)


class Deaf(Guest):
    name = "deaf"

    def solve(self, problem, params, start=None):
        with open(os.environ["DEAF_PID_FILE"], "w") as file:
            file.write(str(os.getpid()))
        while True:
            pass


class AfterDeaf(Guest):
    name = "after-deaf"

    def solve(self, problem, params, start=None):
        while not os.path.exists(os.environ["DEAF_PID_FILE"]):
            pass
        return self.answer(problem)


class Raising(Guest):
    name = "raising"

    def solve(self, problem, params, start=None):
        raise RuntimeError("no licence found")


class Dying(Guest):
    name = "dying"

    def solve(self, problem, params, start=None):
        os.write(2, b"last words")
        os._exit(7)


class Lying(Guest):
    name = "lying"

    def solve(self, problem, params, start=None):
        return self.answer(problem, cost=-1e6)
"""

_CLASSES = {
    "last-columns": "LastColumns",
    "deaf": "Deaf",
    "after-deaf": "AfterDeaf",
    "raising": "Raising",
    "dying": "Dying",
    "lying": "Lying",
}


def write_guests(folder: Path) -> None:
    """Write the distribution as an installer would leave it."""
    (folder / "comparison_guests.py").write_text(_MODULE)
    metadata = folder / "comparison_guests-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: comparison-guests\nVersion: 1.0\n"
    )
    points = "".join(f"{name} = comparison_guests:{cls}\n" for name, cls in _CLASSES.items())
    (metadata / "entry_points.txt").write_text(f"[fleetopt.solvers]\n{points}")
