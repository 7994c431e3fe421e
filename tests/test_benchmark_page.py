"""The page of the benchmarks is made from the committed results, by one command."""

from __future__ import annotations

import json

from benchmarks.page import PAGE, RESULTS, page, written


def test_the_page_is_what_the_command_makes() -> None:
    """docs/benchmarks.md is `python -m benchmarks.page`."""
    assert PAGE.read_text(encoding="utf-8") == written()


def test_every_raw_result_says_how_it_was_made() -> None:
    """Date, environment, limit; a value with its version and times, or what went wrong."""
    for line in RESULTS.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert {"kind", "peer", "instance", "limit_s", "date", "environment"} <= row.keys()
        assert {"value", "version", "cpu_s", "wall_s"} <= row.keys() or row["error"]


def test_runs_that_failed_or_found_nothing_stay_in_the_tables() -> None:
    """A cell each, in words."""
    here = {"cpus": 2, "cpu": "x", "python": "3.11"}
    common = {"limit_s": 5, "gap_asked": 1e-4, "date": "2026-11-22T00:00:00", "environment": here}
    times = {"cpu_s": 1.0, "wall_s": 5.0, "version": "V 1", "detail": "0.1"}
    rows = [
        {"kind": "selection", "peer": "ours", "instance": "a", "value": 2.0, **times, **common},
        {"kind": "selection", "peer": "b", "instance": "a", "error": "fell over", **common},
        {"kind": "selection", "peer": "c", "instance": "a", "value": None, **times, **common},
        {"kind": "slices", "peer": "ours", "instance": "s", "value": 1.0, **times, **common},
        {"kind": "queues", "peer": "ours", "instance": "q", "value": 1.0, **times, **common},
        {"kind": "queues", "peer": "ciw", "instance": "q", "value": 1.0, **times, **common},
    ]
    made = page(rows)
    assert "failed: fell over" in made
    assert "1 (1), nothing found" in made
    assert "1, best, at its limit" in made
