"""Every queue model against the engine's simulation, by regime; raw answers and tables.

python -m benchmarks.queue_validation -o benchmarks/queue_validation/answers.csv
python -m benchmarks.queue_validation --table benchmarks/queue_validation/answers.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.queue_validation.study import (
    read_answers,
    study,
    table_of,
    write_answers,
)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.queue_validation", description=__doc__
    )
    parser.add_argument("--count", type=int, default=8, help="configurations of each regime")
    parser.add_argument("--seed", type=int, default=1, help="of configurations and runs")
    parser.add_argument("--precision", type=float, default=0.01, help="of simulated figures")
    parser.add_argument("--most-requests", type=int, default=300_000, help="of every run")
    parser.add_argument("--once", action="store_true", help="small runs: shows that it works")
    parser.add_argument("-o", "--output", type=Path, help="the CSV to write")
    parser.add_argument("--table", type=Path, help="make the tables from this CSV")
    arguments = parser.parse_args()
    if arguments.table is not None:
        print(table_of(read_answers(arguments.table)), end="")
        return
    count, most = (1, 40_000) if arguments.once else (arguments.count, arguments.most_requests)
    answers = study(count, arguments.seed, arguments.precision, most)
    if arguments.output is None:
        print(table_of(list(answers)), end="")
        return
    write_answers(answers, arguments.output)
    print(table_of(read_answers(arguments.output)), end="")


if __name__ == "__main__":
    main()
