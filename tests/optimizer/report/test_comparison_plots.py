"""Figures of a comparison, and their absence."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from optimizer.experiments import anytime_curves, performance_profile
from optimizer.report.comparison_plots import draw_anytime_curves, draw_profiles
from optimizer.report.matplotlib_figure import require_matplotlib
from solvers import MissingExtraError
from tests.optimizer.experiments.rows import row

ROWS = [
    row("a", "x", cpu_s=1.0, total_s=1.0, progress=((0.5, 120.0, None),)),
    row("a", "y", cpu_s=3.0, total_s=3.0),
    row("b", "x", 130.0, termination="feasible", total_s=2.0),
    row("b", "y", cpu_s=2.0, total_s=2.0),
]


def test_without_matplotlib_the_command_that_adds_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before any run, in the words of the other extras."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'fleetopt\[plot\]'"):
        require_matplotlib()


def test_a_profile_is_drawn_with_a_curve_per_solver(tmp_path: Path) -> None:
    """An SVG whose legend gives the fraction that each solver solved."""
    pytest.importorskip("matplotlib", reason="the [plot] extra is not installed")
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):  # text as text
        draw_profiles(
            performance_profile(ROWS), tmp_path / "p.svg", clock="CPU time", solved="proven"
        )
    drawn = (tmp_path / "p.svg").read_text()
    for words in ("x (50%)", "y (100%)", "CPU time over that of the fastest", "2 problems"):
        assert words in drawn


def test_anytime_curves_are_drawn(tmp_path: Path) -> None:
    """An SVG with a curve per solver."""
    pytest.importorskip("matplotlib", reason="the [plot] extra is not installed")
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        draw_anytime_curves(anytime_curves(ROWS, time_limit_s=10.0), tmp_path / "a.svg")
    drawn = (tmp_path / "a.svg").read_text()
    assert "mean primal gap" in drawn
    assert ">x<" in drawn
    assert ">y<" in drawn


@pytest.mark.parametrize("ending", ["svg", "pdf"])
def test_equal_drawings_are_equal_files(tmp_path: Path, ending: str) -> None:
    """No dates, no random names; PDF has fonts that publishers take, not its own Type 3."""
    pytest.importorskip("matplotlib", reason="the [plot] extra is not installed")
    files = [tmp_path / f"{name}.{ending}" for name in ("one", "two")]
    for file in files:
        draw_profiles(performance_profile(ROWS), file, clock="CPU time", solved="proven")
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert b"CreationDate" not in first
    assert b"<dc:date>" not in first
    assert (b"/Subtype /Type0" in first) == (ending == "pdf")
    assert b"/Type3" not in first


def test_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    """What is a formula, markup or a command elsewhere is a name here."""
    pytest.importorskip("matplotlib", reason="the [plot] extra is not installed")
    import matplotlib as mpl

    names = ("$x_1^2$ & 100 %", "</text><script>", "_hidden", "{\\alpha}~#")
    rows = [row("y", name, cpu_s=1.0 + place) for place, name in enumerate(names)]
    with mpl.rc_context({"svg.fonttype": "none"}):
        draw_profiles(
            performance_profile(rows), tmp_path / "p.svg", clock="CPU time", solved="proven"
        )
    texts = " ".join(ElementTree.parse(tmp_path / "p.svg").getroot().itertext())
    for name in names:
        assert name in texts
