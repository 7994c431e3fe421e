"""The public MMKP instances, solver beside solver: value, gap to the LP bound, reference value.

    python -m benchmarks.public_mmkp --solvers milp,cp-sat --time-limit 60 -o results/mmkp

Needs the instances beside the checkout (../shared/data/mmkp). Interrupted runs go on where they
stopped when asked again with the same folder.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from optimizer.experiments import Comparison, RunRow, Settings, compare, shifted_geometric_mean
from solvers.instances import Instance, instances

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "mmkp"
SETS = {
    "khan": "khan_I01-I13/I*",
    "inst01-20": "inst01-20/INST*",
    "inst21-30": "inst21-30/INST*",
    "hiremath-hill": "hiremath_hill/TestSet*.gz",
}
DEFAULT_SETS = "khan,inst01-20,inst21-30"

# Shift of the geometric mean of CPU seconds.
SHIFT_S = 0.1

# A value this close to the reference has reached it: sums of decimal profits end in noise.
REACHED = 1e-9


@dataclass(frozen=True)
class Reference:
    """What is listed of an instance; both are profits, None where nothing is listed."""

    lp_bound: float | None
    value: float | None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.public_mmkp", description=__doc__)
    parser.add_argument("--solvers", default="auto,milp", help="names, with commas between")
    parser.add_argument("--sets", default=DEFAULT_SETS, help=f"of {', '.join(SETS)}")
    parser.add_argument("--only", default="", help="names of instances, with commas between")
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds a run")
    parser.add_argument("--gap", type=float, default=1e-9, help="proven relative gap to stop at")
    parser.add_argument("--jobs", type=int, default=1, help="runs made at a time")
    parser.add_argument("-o", "--output", type=Path, help="folder for the raw results")
    arguments = parser.parse_args()
    chosen = _instances(arguments.sets.split(","), set(filter(None, arguments.only.split(","))))
    comparison = compare(
        chosen,
        arguments.solvers.split(","),
        settings=Settings(time_limit_s=arguments.time_limit, relative_gap=arguments.gap),
        jobs=arguments.jobs,
        directory=arguments.output,
    )
    show(comparison, references())


def references() -> dict[str, Reference]:
    """Return what is listed, by the names that `solvers.instances` gives."""
    listed = {
        row["instance"]: Reference(_number(row["lp_bound"]), _number(row["reference_value"]))
        for row in _table("reference_values.csv")
    }
    for row in _table("hiremath_hill/exact_values.csv"):
        test_set = row["test_set"].replace("TestSet1.", "TestSet.")
        name = f"{test_set}-{int(row['problem_no']):02d}"
        listed[name] = Reference(None, _number(row["exact_xpress_value"]))
    return listed


def show(comparison: Comparison, listed: dict[str, Reference]) -> None:
    """Print the protocol, a line per instance and solver, and a line per solver over all."""
    settings = comparison.protocol.settings
    print(f"{settings.time_limit_s:g} s a run, gap {settings.relative_gap:g}, one thread each")
    for environment in comparison.protocol.environments.values():
        print(f"{environment['cpu']}, {environment['since'][:10]}, {environment['packages']}")
    print(
        f"\n{'instance':<26}{'solver':<12}{'value':>12}{'bound':>14}{'LP gap':>10}{'reference':>11}"
        f"{'to it':>10}{'proven':>10}{'CPU s':>8}  status"
    )
    for row in comparison.rows:
        print(_line(row, listed.get(row.instance, Reference(None, None))))
    print()
    for solver in dict.fromkeys(row.solver for row in comparison.rows):
        print(_over_all([row for row in comparison.rows if row.solver == solver], listed))


def _instances(sets: list[str], only: set[str]) -> list[Instance]:
    if not DATA.is_dir():
        raise SystemExit("the public instances are not beside this checkout (../shared/data/mmkp)")
    unknown = [name for name in sets if name not in SETS]
    if unknown:
        raise SystemExit(f"unknown set {unknown[0]}; there are: {', '.join(SETS)}")
    found = [instance for name in sets for instance in instances(str(DATA / SETS[name]))]
    missing = only - {instance.name for instance in found}
    if missing:
        raise SystemExit(f"no instance {', '.join(sorted(missing))} in {', '.join(sets)}")
    return [instance for instance in found if not only or instance.name in only]


def _line(row: RunRow, reference: Reference) -> str:
    status = f"{row.termination or row.status}" + (f" ({row.limit})" if row.limit else "")
    to_lp, to_reference = (_below(row.value, v) for v in (reference.lp_bound, reference.value))
    return (
        f"{row.instance:<26}{row.solver:<12}{_show(row.value, '.10g'):>12}"
        f"{_show(row.bound, '.10g'):>14}{_show(to_lp, '.4%'):>10}"
        f"{_show(reference.value, '.10g'):>11}{_show(to_reference, '.4%'):>10}"
        f"{_show(row.gap, '.4%'):>10}{_show(row.cpu_s, '.2f'):>8}  {status}"
        + (f" {row.error[:80]}" if row.error else "")
    )


def _over_all(rows: list[RunRow], listed: dict[str, Reference]) -> str:
    none = Reference(None, None)
    of_lp = [_below(row.value, listed.get(row.instance, none).lp_bound) for row in rows]
    of_reference = [_below(row.value, listed.get(row.instance, none).value) for row in rows]
    lp_gaps = [gap for gap in of_lp if gap is not None]
    gaps = [gap for gap in of_reference if gap is not None]
    times = [row.cpu_s for row in rows if row.cpu_s is not None]
    return (
        f"{rows[0].solver}: {sum(row.termination == 'optimal' for row in rows)} of {len(rows)} "
        f"proven; reference reached or passed on {sum(gap <= REACHED for gap in gaps)} of "
        f"{len(gaps)}; mean gap to the LP bound "
        f"{_show(fmean(lp_gaps) if lp_gaps else None, '.4%')} over {len(lp_gaps)}; CPU "
        f"{_show(shifted_geometric_mean(times, SHIFT_S) if times else None, '.3g')} s (shifted "
        f"geometric mean, shift {SHIFT_S:g} s, over {len(times)}); "
        f"{sum(row.value is None for row in rows)} without a value"
    )


def _below(value: float | None, reference: float | None) -> float | None:
    """How far a profit is below another one, relative to that; negative when above."""
    if value is None or reference is None:
        return None
    return (reference - value) / abs(reference)


def _show(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _number(text: str) -> float | None:
    return float(text) if text else None


def _table(name: str) -> list[dict[str, str]]:
    path = DATA / name
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


if __name__ == "__main__":
    main()
