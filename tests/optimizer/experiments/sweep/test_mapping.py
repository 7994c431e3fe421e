"""A function applied to items, here and in processes beside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optimizer.experiments import ExperimentError
from optimizer.experiments.sweep import Ending, Outcome, map_scenarios, mapping
from tests.optimizer.experiments.sweep import work

needs_signals = pytest.mark.skipif(os.name != "posix", reason="no process can be killed on Windows")


def by_name(outcomes: object) -> dict[str, Outcome[int]]:
    """Every outcome once."""
    found: dict[str, Outcome[int]] = {}
    for outcome in outcomes:  # type: ignore[attr-defined]
        assert outcome.name not in found
        found[outcome.name] = outcome
    return found


@pytest.mark.parametrize("engine", ["serial", "local:1", "local:2"])
def test_every_item_has_its_outcome_and_a_fault_is_its_items_alone(engine: str) -> None:
    """12 / n for 0, 1, 2, 3: the first fails, the others are done."""
    items = {f"n={n}": n for n in range(4)}
    found = by_name(map_scenarios(work.divide, items, engine=engine))
    assert set(found) == set(items)
    assert found["n=0"].ending is Ending.FAILED
    assert found["n=0"].error == "ZeroDivisionError: division by zero"
    assert [found[f"n={n}"].value for n in (1, 2, 3)] == [12.0, 6.0, 4.0]
    assert all(outcome.worker and outcome.wall_s >= 0 for outcome in found.values())


def test_serial_keeps_the_order_and_works_only_when_asked() -> None:
    """The first outcome is there before the second item is touched."""
    touched: list[int] = []
    outcomes = map_scenarios(touched.append, {"a": 1, "b": 2}, engine="serial")
    assert next(outcomes).name == "a"
    assert touched == [1]
    assert [outcome.name for outcome in outcomes] == ["b"]


def test_no_items_no_outcomes() -> None:
    """Nothing is started."""
    assert list(map_scenarios(work.double, {}, engine="local:2")) == []


@needs_signals
@pytest.mark.parametrize("engine", ["serial", "local:2"])
def test_an_item_is_given_up_at_its_limit(engine: str) -> None:
    """One item never ends; the others are done."""
    items = {str(n): n for n in range(3)}
    found = by_name(map_scenarios(work.sleep_at_zero, items, engine=engine, limit_s=0.2))
    assert {name: outcome.ending for name, outcome in found.items()} == {
        "0": Ending.TIMED_OUT, "1": Ending.DONE, "2": Ending.DONE,
    }  # fmt: skip
    assert found["0"].error == "stopped after 0.2 s"


@needs_signals
def test_an_item_that_kills_its_worker_is_found_and_the_others_are_done() -> None:
    """It is tried alone before it is blamed, so no neighbour is."""
    items = {str(n): n for n in range(6)}
    found = by_name(map_scenarios(work.die_at_zero, items, engine="local:2"))
    assert found["0"].ending is Ending.DIED
    assert "died twice" in found["0"].error
    assert [found[str(n)].value for n in range(1, 6)] == [1, 2, 3, 4, 5]


@needs_signals
def test_a_worker_killed_from_outside_costs_nothing_but_a_second_try(tmp_path: Path) -> None:
    """The first try of the item dies; the second is done."""
    items = {name: tmp_path / name for name in ("a", "b")}
    found = by_name(map_scenarios(work.die_once, items, engine="local:2"))
    assert {name: outcome.value for name, outcome in found.items()} == {"a": "a", "b": "b"}


def test_a_cluster_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, with what to do."""
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    monkeypatch.setattr(mapping, "_ANSWERS_WITHIN_S", 0.5)
    with pytest.raises(ExperimentError, match=r"dask://127\.0\.0\.1:9: no scheduler answers"):
        list(map_scenarios(work.double, {"a": 1}, engine="dask://127.0.0.1:9"))
