"""The page of the benchmarks, made from committed raw results alone.

python -m benchmarks.page             # print it
python -m benchmarks.page --write     # write docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "peers.jsonl"
PAGE = ROOT / "docs" / "benchmarks.md"

Row = dict[str, Any]

HEAD = """\
# Benchmarks

Made by `python -m benchmarks.page --write` from the raw results that are committed; not to be
edited. Times are CPU seconds of one process with one thread, imports and a first small question
excluded. A ratio is a peer's time over ours. Runs that ended at their limit, failed or gave nothing
stay in, and say so.
"""

# What, the module that measures it, its raw results, the page that reads them.
OTHERS = (
    ("public MMKP instances, 60 s", "public_mmkp", "public_mmkp_60s.csv", "how-to-choose.md"),
    (
        "queue models against simulation",
        "queue_validation",
        "queue_validation/answers.csv",
        "background/queue-validation.md",
    ),
    (
        "iteration times against measurements",
        "iteration_time",
        "iteration_time/mlperf_llama2_70b.csv",
        "background/iteration-times.md",
    ),
    ("learning times", "tuner", "tuner/results.csv", "background/tuner.md"),
    ("forecasts", "forecast", "forecast/results.csv", "background/forecasts.md"),
    (
        "requirements of an engine",
        "requirements",
        "requirements/figures.csv",
        "background/requirements.md",
    ),
)

ELSEWHERE = """\
## More, on pages of their own

| what | command | raw results | page |
| --- | --- | --- | --- |
{rows}
"""


def page(rows: list[Row]) -> str:
    """Return the page of these rows; of repeated runs the peer's best counts."""
    best: dict[tuple[str, str, str], Row] = {}
    for row in rows:
        run = (row["kind"], row["peer"], row["instance"])
        best[run] = min(best.get(run, row), row, key=_merit)
    found = list(best.values())
    parts = [HEAD, *_protocol(found)]
    parts += ["## Selection problems, beside general MIP solvers\n", *_selection(found)]
    parts += ["## Mélange's inputs, beside its published model\n", *_slices(found)]
    parts += ["## Times without measurements, beside tables of operators\n", *_estimates(found)]
    parts += ["## A queue, beside a simulation library\n", *_queues(found), _others()]
    return "\n".join(parts)


def _merit(row: Row) -> tuple[bool, float, float]:
    """Least for the best run: something found, of least value, in least time."""
    value = row.get("value")
    return value is None, value or 0.0, row.get("cpu_s", 0.0)


def _others() -> str:
    rows = (
        f"| {what} | `python -m benchmarks.{module}` | `benchmarks/{raw}` | [page]({place}) |"
        for what, module, raw, place in OTHERS
    )
    return ELSEWHERE.format(rows="\n".join(rows))


def _protocol(rows: list[Row]) -> Iterator[str]:
    here = rows[0]["environment"]
    dates = sorted(row["date"][:10] for row in rows)
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    yield (
        f"The three tables: `python -m benchmarks.peers` on {when}, {here['cpus']} cores of "
        f"{here['cpu']}, Python {here['python']}, a machine shared with other work, at most "
        f"{rows[0]['limit_s']:g} s of wall-clock time a run. Raw: "
        "`benchmarks/results/peers.jsonl`; versions pinned in "
        "`benchmarks/peers/requirements.txt`.\n"
    )


def _selection(rows: list[Row]) -> Iterator[str]:
    chosen = [row for row in rows if row["kind"] == "selection"]
    yield (
        "One column per service out of 13 on ten types of accelerators (`solvers.instances`: "
        f"`family:services:seed`); a gap of {chosen[0]['gap_asked']:g} is asked of everyone. A "
        "cell is CPU s (ratio), then how far the value is above the best of the row.\n"
    )
    yield from _table(chosen, _cell)
    versions = sorted({row["version"].split(",")[0] for row in chosen if "version" in row})
    yield f"Versions: {', '.join(versions)}.\n"


def _slices(rows: list[Row]) -> Iterator[str]:
    chosen = [row for row in rows if row["kind"] == "slices"]
    yield (
        "The inputs are its release's example and others made in its format. `melange`: the "
        "published model, a binary per slice and type, in PuLP with CBC. `ours` lets load be "
        "divided; its time goes from reading the file to the plan.\n"
    )
    yield from _table(chosen, _cell)


def _estimates(rows: list[Row]) -> Iterator[str]:
    chosen = [row for row in rows if row["kind"] == "estimates"]
    yield (
        "Time per output token, and TTFT as each defines it, in ms; prompts of 4,000 tokens, "
        "answers of 1,000. CPU s are those of the whole command. Who is nearer to measured times "
        "is said [elsewhere](background/iteration-times.md).\n"
    )
    yield "| | peer | ms per token | TTFT | CPU s |\n| --- | --- | --- | --- | --- |"
    for row in chosen:
        yield (
            f"| {row['instance']} | {row['version']} | {row['value']:.1f} | {row['detail']} | "
            f"{_digits(row['cpu_s'])} |"
        )
    yield ""


def _queues(rows: list[Row]) -> Iterator[str]:
    chosen = {row["peer"]: row for row in rows if row["kind"] == "queues"}
    ours, ciw = chosen["ours"], chosen["ciw"]
    yield "Mean wait in M/M/8 at 90 % of its capacity, services of 1 s.\n"
    yield "| | mean wait [s] | CPU s |\n| --- | --- | --- |"
    yield f"| closed form, ours | {ours['value']:.4f} | {_digits(ours['cpu_s'])} |"
    yield (
        f"| {ciw['version']}, 5 replications of 4,000 s | {ciw['value']:.3f} ± "
        f"{ciw['detail']} | {_digits(ciw['cpu_s'])} |\n"
    )


def _table(rows: list[Row], cell: Callable[[Row, float, Row], str]) -> Iterator[str]:
    """A line per instance, a column per peer, ours first."""
    peers = list(dict.fromkeys(row["peer"] for row in rows))
    by = {(row["instance"], row["peer"]): row for row in rows}
    yield f"| | {' | '.join(peers)} |\n|{' --- |' * (len(peers) + 1)}"
    for instance in dict.fromkeys(row["instance"] for row in rows):
        of_instance = [by[instance, peer] for peer in peers if (instance, peer) in by]
        values = [row["value"] for row in of_instance if row.get("value") is not None]
        ours = by[instance, "ours"]
        cells = [
            cell(by[instance, peer], min(values), ours) if (instance, peer) in by else "not run"
            for peer in peers
        ]
        yield f"| `{instance}` | {' | '.join(cells)} |"
    yield ""


def _cell(row: Row, best: float, ours: Row) -> str:
    if row.get("error"):
        return f"failed: {row['error']}"
    ratio = "" if row is ours else f" ({_digits(row['cpu_s'] / ours['cpu_s'])})"
    if row["value"] is None:
        return f"{_digits(row['cpu_s'])}{ratio}, nothing found"
    above = row["value"] / best - 1
    distance = "best" if above < 1e-9 else f"+{above:.2g}" if above < 1e-4 else f"+{above:.2%}"
    stopped = ", at its limit" if row["wall_s"] >= row["limit_s"] else ""
    return f"{_digits(row['cpu_s'])}{ratio}, {distance}{stopped}"


def _digits(value: float) -> str:
    """Two of them, or all of a larger number."""
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"


def written() -> str:
    """Return the page of the committed results."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines()
    return page([json.loads(line) for line in lines])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    if parser.parse_args().write:
        PAGE.write_text(written(), encoding="utf-8")
    else:
        print(written())


if __name__ == "__main__":
    main()
