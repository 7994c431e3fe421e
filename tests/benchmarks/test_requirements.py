from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from benchmarks.requirements.figures import Figure, concurrent, read_figures, recovery, scaling
from benchmarks.requirements.page import FIGURES, PAGE, page_of
from benchmarks.requirements.statement import REQUIREMENTS

ROOT = Path(__file__).resolve().parents[2]


@cache
def _tests_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


def test_every_requirement_is_there() -> None:
    """Ten functions and thirteen figures, in their order."""
    expected = [f"FR-{n}" for n in range(1, 11)] + [f"NFR-{n}" for n in range(1, 14)]
    assert [one.name for one in REQUIREMENTS] == expected


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda one: one.name)
def test_what_shows_a_requirement_exists(requirement) -> None:
    """Every test that the page names is there to be run."""
    assert requirement.shown_by
    for test in requirement.shown_by:
        file, _, name = test.partition("::")
        assert name in _tests_of(file), test


def test_the_page_is_what_the_figures_say() -> None:
    """The page is made from the stored figures, and nothing was changed by hand."""
    assert PAGE.read_text(encoding="utf-8") == page_of(read_figures(FIGURES))


def test_every_figure_asked_for_is_there() -> None:
    """Each requirement with a bound has figures that say whether it holds."""
    judged = {one.requirement for one in read_figures(FIGURES) if one.holds is not None}
    assert judged == {f"NFR-{n}" for n in range(1, 14)}


def test_stored_figures_are_those_of_the_models() -> None:
    """What memory, times and weights say today is what is stored."""
    stored = {(f.requirement, f.setting, f.figure): f for f in read_figures(FIGURES)}
    for made in (concurrent, scaling, recovery):
        for figure in made():
            assert isinstance(figure, Figure)
            found = stored[figure.requirement, figure.setting, figure.figure]
            assert figure.value == pytest.approx(found.value, rel=2e-3)
            assert figure.holds == found.holds
