"""Best-known values and gaps to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.experiments import ExperimentError, best_values, gap_to_best, read_best_known
from tests.optimizer.experiments.rows import row


def write(path: Path, text: str) -> Path:
    """A CSV file."""
    target = path / "best.csv"
    target.write_text(text)
    return target


@pytest.mark.parametrize("column", ["value", "reference_value"])
def test_values_are_read_by_instance(tmp_path: Path, column: str) -> None:
    """Other columns and empty values are passed over."""
    path = write(tmp_path, f"instance,date,{column}\nI07,2020,24587\nI08,2020,\nI01,2020,173.5\n")
    assert read_best_known(path) == {"I07": 24587.0, "I01": 173.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,value\nI07,1\n", "columns `instance` and `value` are wanted, it has: name, value"),
        ("", "columns `instance` and `value` are wanted"),
        ("instance,value\nI07,many\n", r"best\.csv:2: 'many': a finite number"),
        ("instance,value\nI07,nan\n", r"best\.csv:2: 'nan': a finite number"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file and what is wanted."""
    with pytest.raises(ExperimentError, match=message):
        read_best_known(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """No traceback."""
    with pytest.raises(ExperimentError, match=r"none\.csv: cannot be read: No such file"):
        read_best_known(tmp_path / "none.csv")


def test_the_best_is_the_listed_value_else_the_best_found() -> None:
    """In the instance's own sense: the least cost, the largest profit."""
    rows = [
        row("cost", "x", 12.0),
        row("cost", "y", 10.0),
        row("profit", "x", 12.0, maximise=True),
        row("profit", "y", 10.0, maximise=True),
        row("listed", "x", 9.0),
        row("nothing", "x", None),
    ]
    assert best_values(rows, {"listed": 8.0, "elsewhere": 1.0}) == {
        "cost": 10.0,
        "profit": 12.0,
        "listed": 8.0,
    }


@pytest.mark.parametrize(
    ("value", "maximise", "best", "gap"),
    [
        (110.0, False, 100.0, 0.1),
        (90.0, False, 100.0, -0.1),
        (90.0, True, 100.0, 0.1),
        (110.0, True, 100.0, -0.1),
        (-90.0, False, -100.0, 0.1),
        (0.0, False, 0.0, 0.0),
        (None, False, 100.0, None),
    ],
)
def test_gaps_by_hand(value: float | None, maximise: bool, best: float, gap: float | None) -> None:
    """Relative to the best value; negative where the value is better."""
    found = gap_to_best(row("a", "x", value, maximise=maximise), {"a": best})
    assert found == (None if gap is None else pytest.approx(gap))


def test_an_instance_without_any_value_has_no_gap() -> None:
    """There is nothing to be far from."""
    assert gap_to_best(row("a", "x", 1.0), {}) is None
