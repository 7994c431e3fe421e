"""The page on the requirements of an inference engine, and the figures in it.

python -m benchmarks.requirements           # computes, simulates, measures; writes CSV and page
python -m benchmarks.requirements --page    # the page alone, from the CSV
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

from benchmarks.requirements.figures import (
    CAPACITY,
    MEASURED,
    SIMULATED,
    Figure,
    read_figures,
    write_figures,
)
from benchmarks.requirements.page import FIGURES, PAGE, page_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.requirements", description=__doc__)
    parser.add_argument("--page", action="store_true", help="write the page from the CSV alone")
    parser.add_argument("--once", action="store_true", help="compute some: shows that it works")
    arguments = parser.parse_args()
    if arguments.once:
        for figure in _all(CAPACITY):
            print(_line(figure))
        return
    if not arguments.page:
        write_figures(_told(_all((*CAPACITY, *SIMULATED, *MEASURED))), FIGURES)
    PAGE.write_text(page_of(read_figures(FIGURES)), encoding="utf-8")


def _all(makers: tuple[Callable[[], Iterator[Figure]], ...]) -> Iterator[Figure]:
    for made in makers:
        yield from made()


def _told(figures: Iterator[Figure]) -> Iterator[Figure]:
    for figure in figures:
        print(_line(figure), flush=True)
        yield figure


def _line(figure: Figure) -> str:
    holds = {None: "", True: "  holds", False: "  does not hold"}[figure.holds]
    value = f"{figure.value:,.4g} {figure.unit}"
    return f"{figure.requirement:7}{figure.setting}: {figure.figure} {value}{holds}"


if __name__ == "__main__":
    main()
