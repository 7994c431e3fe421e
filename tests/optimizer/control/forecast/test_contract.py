"""Every registered forecaster keeps the contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from optimizer.control.forecast import describe, get, names
from optimizer.control.forecast.testing import CHECKS, Kind

OURS = ("auto", "damped-holt", "headroom", "holt-winters", "last-value", "local-level")


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(name: str, check: Callable[[Kind], None]) -> None:
    """A forecaster of ours passes every check of the contract."""
    check(get(name))


def test_ours_are_registered() -> None:
    """Ours come through the same door as anyone's."""
    assert set(OURS) <= set(names())
    rows = {row.name: row for row in describe()}
    assert all(rows[name].status == "ok" and rows[name].summary for name in OURS)
    assert all(get(name).name == name for name in OURS)
