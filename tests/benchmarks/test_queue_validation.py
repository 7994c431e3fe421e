"""The validation study: small runs, files, tables."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from benchmarks.queue_validation.regimes import REGIMES, configurations
from benchmarks.queue_validation.study import (
    SIMULATION,
    Answer,
    read_answers,
    table_of,
    write_answers,
)

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "benchmarks" / "queue_validation" / "answers.csv"


def _answer(model: str, ttft: float | None, regime: str = "calm", **more: object) -> Answer:
    values = {"ttft_mean": ttft, "ttft_p99": None, "itl_mean": 2.0, "e2e_mean": 30.0}
    if model == SIMULATION:
        values["ttft_p99"] = 40.0
    widths = dict.fromkeys(values, 0.1) if model == SIMULATION else {}
    given = {"configuration": 0, "load": 0.5, "rate_rps": 1.0, "status": "ok", "us_per_point": 3.0}
    return Answer(regime, model=model, values=values, half_widths=widths, **(given | more))


def test_errors_are_against_the_simulation_of_the_same_point() -> None:
    """12 against 10 is 20 %; a refusal is no error, but no answer either."""
    answers = [
        _answer(SIMULATION, 10.0),
        _answer("good", 12.0),
        _answer("mute", None, status="refused", us_per_point=math.nan),
        _answer("good", 99.0, "wild"),  # whose simulation had no steady state
    ]
    table = table_of(answers)
    assert "| `good` | 100% | 20 / 20 | - | 0.0 / 0.0 | 0.0 / 0.0 | 3 |" in table
    assert "| `mute` | 0% | - |" in table
    assert "wild" not in table


def test_answers_survive_a_file(tmp_path: Path) -> None:
    """What is unknown stays unknown."""
    answers = [_answer(SIMULATION, 10.0), _answer("mute", None, us_per_point=math.nan)]
    write_answers(answers, tmp_path / "a.csv")
    one, two = read_answers(tmp_path / "a.csv")
    assert one == answers[0]
    assert math.isnan(two.us_per_point)
    assert two.values["ttft_mean"] is None


@pytest.mark.parametrize("regime", REGIMES)
def test_configurations_are_processes(regime: str) -> None:
    """Every regime can be drawn, twice the same, and asked about by both kinds of times."""
    one, again = (configurations(regime, 2, 1) for _ in range(2))
    assert [c.base for c in one] == [c.base for c in again]
    for configuration in one:
        assert configuration.process().shape == (1,)
        assert configuration.process(by_phase=True).shape == (1,)


def test_the_page_has_the_tables_of_the_stored_answers() -> None:
    """The page is not older than what was measured."""
    page = (ROOT / "docs" / "background" / "queue-validation.md").read_text(encoding="utf-8")
    assert table_of(read_answers(STORED)) in page
