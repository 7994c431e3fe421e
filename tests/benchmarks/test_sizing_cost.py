"""The benchmark of sizing runs, and leaves out what a model refuses."""

from __future__ import annotations

import sys

import pytest

from benchmarks import sizing_cost


def test_every_target_that_a_model_knows_is_sized() -> None:
    """mmc answers three, the means-only inferno model two."""
    found = [(n, t) for n, t, speed in sizing_cost.sizings_per_second(("mmc", "inferno-4p"), 3)]
    means = ["mean TTFT", "mean TTFT and ITL"]
    assert [t for n, t in found if n == "mmc"] == [*means, "p99 of TTFT"]
    assert [t for n, t in found if n == "inferno-4p"] == means


def test_no_pairs_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """`--pairs 0` ends with a line of usage."""
    monkeypatch.setattr(sys, "argv", ["sizing_cost", "--pairs", "0"])
    with pytest.raises(SystemExit):
        sizing_cost.main()
    assert "--pairs 0: must be at least 1" in capsys.readouterr().err
