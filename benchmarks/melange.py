"""Mélange's instances: our cost, bound and CPU seconds beside the listed ones.

    python -m benchmarks.melange [--solver auto] [--repeat 3] [-o results.csv]

Needs the instances beside the checkout (../shared/data/melange). One process, one thread. Ours is
the least of the repeats, after one solve that loads the back ends: `solve` is the array problem
alone, what Mélange's own solving time is to be held against; `whole` goes from the file to the
plan. Mélange's CPU seconds are those listed (PuLP with CBC, without its imports); where it ran out
of time none are.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "melange"
# Costs this close to the listed optimum have reached it.
REACHED = 1e-6


@dataclass(frozen=True)
class Row:
    """One instance; costs per hour, times in CPU seconds, None where nothing is listed."""

    instance: str
    cost: float
    bound: float
    gap: float
    optimum: float
    melange_cost: float | None
    solve_s: float
    whole_s: float
    melange_s: float | None

    @property
    def reached(self) -> bool:
        """Whether the cost is the listed optimum, with a proven gap of 0."""
        close = math.isclose(self.cost, self.optimum, rel_tol=REACHED, abs_tol=REACHED)
        return close and self.gap == 0.0


def measure(entry: dict[str, Any], folder: Path, solver: str, repeat: int) -> Row:
    """Solve one instance, in whole and the array problem alone."""
    import optimizer as fo
    from solvers import solve

    path = folder / f"{entry['instance']}.json"
    arrays = fo.build_problem(fo.load(path)).arrays
    assert arrays is not None
    plan = fo.optimize(fo.load(path), solver=solver)
    assert plan.total_cost_per_hour is not None
    assert plan.dual_bound is not None
    assert plan.relative_gap is not None
    return Row(
        instance=entry["instance"],
        cost=plan.total_cost_per_hour,
        bound=plan.dual_bound,
        gap=plan.relative_gap,
        optimum=entry["reference"]["divisible_load_optimum"]["cost"],
        melange_cost=entry["melange"].get("cost"),
        solve_s=_cpu_s(lambda: solve(arrays, solver), repeat),
        whole_s=_cpu_s(lambda: fo.optimize(fo.load(path), solver=solver), repeat),
        melange_s=entry["melange"].get("solve_cpu_s"),
    )


def _cpu_s(action: Callable[[], object], repeat: int) -> float:
    times = []
    for _ in range(repeat):
        began = time.process_time()
        action()
        times.append(time.process_time() - began)
    return min(times)


def table(rows: list[Row]) -> str:
    """Return the rows and their sums as text."""
    lines = [
        f"{'instance':36} {'ours':>9} {'optimum':>9} {'gap':>7} {'Mélange':>9} "
        f"{'solve s':>8} {'whole s':>8} {'Mélange s':>9}"
    ]
    for row in rows:
        lines.append(
            f"{row.instance:36} {row.cost:9.3f} {row.optimum:9.3f} {row.gap:7.1%} "
            f"{_shown(row.melange_cost, 9, 3)} {row.solve_s:8.4f} {row.whole_s:8.4f} "
            f"{_shown(row.melange_s, 9, 2)}"
        )
    timed = [row for row in rows if row.melange_s is not None]
    listed = math.fsum(row.melange_s or 0.0 for row in timed)
    ours, whole = (math.fsum(getattr(row, name) for row in rows) for name in ("solve_s", "whole_s"))
    lines += [
        f"{sum(row.reached for row in rows)} of {len(rows)} at the optimum, gap 0",
        f"CPU: {ours:.3f} s for all {len(rows)}, whole {whole:.3f} s",
        f"Mélange {listed:.2f} s for the {len(timed)} it finished: {listed / ours:.0f} times that",
    ]
    return "\n".join(lines)


def _shown(value: float | None, width: int, digits: int) -> str:
    return "time out".rjust(width) if value is None else f"{value:{width}.{digits}f}"


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; 1 where an optimum was missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--solver", default="auto")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args(arguments)
    entries = json.loads((options.data / "results.json").read_text(encoding="utf-8"))
    folder = options.data / "instances"
    measure(entries[0], folder, options.solver, 1)  # loads the back ends
    rows = [measure(entry, folder, options.solver, options.repeat) for entry in entries]
    print(table(rows))
    if options.output is not None:
        with options.output.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, [field.name for field in fields(Row)])
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
