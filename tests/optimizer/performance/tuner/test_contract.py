"""Every registered tuner keeps the contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from optimizer.performance.tuner import describe, get, names
from optimizer.performance.tuner.testing import CHECKS, Kind

OURS = ("extended-kalman", "least-squares")


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(name: str, check: Callable[[Kind], None]) -> None:
    """A tuner of ours passes every check of the contract."""
    check(get(name))


def test_ours_are_registered() -> None:
    """Ours come through the same door as anyone's."""
    assert set(OURS) <= set(names())
    rows = {row.name: row for row in describe()}
    assert all(rows[name].status == "ok" and rows[name].summary for name in OURS)
    assert all(get(name).name == name for name in OURS)
