"""Simulate reference cases and write them as a table, or score a queue model on such tables.

python -m benchmarks.queue_accuracy --group core --count 40 -o reference_core.csv
python -m benchmarks.queue_accuracy --group bursty,kv_limited --count 6 -o reference_groups.csv
python -m benchmarks.queue_accuracy --ranges unseen --count 40 --seed 7 -o reference_unseen.csv
python -m benchmarks.queue_accuracy score reference_core.csv reference_groups.csv
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.queue_accuracy.configurations import GROUPS, RANGES, random_configurations
from benchmarks.queue_accuracy.reference_table import Row, rows_of, write_table
from benchmarks.queue_accuracy.scoring import read_cases, scores, table_of
from queue_models import TableTiming, UnknownQueueModelError, get


def main() -> None:
    if sys.argv[1:2] == ["score"]:
        _score(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.queue_accuracy", description=__doc__
    )
    parser.add_argument("--group", default="core", help=f"'all', or of {', '.join(GROUPS)}")
    parser.add_argument("--count", type=int, default=6, help="configurations of each group")
    parser.add_argument("--seed", type=int, default=1, help="of configurations and runs")
    parser.add_argument(
        "--ranges", choices=RANGES, default="design", help="what configurations are drawn from"
    )
    parser.add_argument("--replications", type=int, default=4, help="runs of each row, 2 to 9")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on the length of runs")
    parser.add_argument("--loads", help="parts of capacity, with commas between")
    parser.add_argument("--compact", action="store_true", help="fewer columns and digits")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the CSV to write")
    arguments = parser.parse_args()
    groups = GROUPS if arguments.group == "all" else tuple(arguments.group.split(","))
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise SystemExit(f"unknown group {unknown[0]}; there are: {', '.join(GROUPS)}")
    write_table(_rows(groups, arguments), arguments.output, compact=arguments.compact)


def _score(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue_accuracy score")
    parser.add_argument("tables", type=Path, nargs="+", help="CSV files of simulated references")
    parser.add_argument("--model", default="iteration-level", help="name of the queue model")
    parser.add_argument("--table-model", default="tabled", help="the one for bent iteration times")
    chosen = parser.parse_args(arguments)
    missing = [str(path) for path in chosen.tables if not path.is_file()]
    if missing:
        parser.error(f"no such table: {', '.join(missing)}")
    try:
        model, table_model = get(chosen.model), get(chosen.table_model)
    except UnknownQueueModelError as error:
        parser.error(str(error))
    for path in chosen.tables:
        print(path.name)
        found = []
        for case in read_cases(path):
            tabled = isinstance(case.service.timing, TableTiming)
            found += scores(table_model if tabled else model, case)
        print(table_of(found))


def _rows(groups: tuple[str, ...], arguments: argparse.Namespace) -> Iterator[Row]:
    loads = [float(load) for load in arguments.loads.split(",")] if arguments.loads else None
    case = 0
    for group in groups:
        for configuration in random_configurations(
            group, arguments.count, arguments.seed, arguments.ranges
        ):
            for row in rows_of(
                configuration,
                seed=arguments.seed,
                replications=arguments.replications,
                scale=arguments.scale,
                loads=loads,
            ):
                yield {"case_id": case} | row
                case += 1
                print(f"{case} {configuration.name} load {row['load']:g}", flush=True)


if __name__ == "__main__":
    main()
