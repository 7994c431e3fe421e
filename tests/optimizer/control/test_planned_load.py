"""What replicas are sized for: a forecast and a backlog."""

from __future__ import annotations

import pytest

from optimizer.control.planned_load import PlannedLoads
from optimizer.control.spec import (
    ForecastSpec,
    LoadForecast,
    Reading,
    ServiceObservation,
    StabilizationSpec,
)

LOADS = StabilizationSpec(backlog_drain_s=100.0)
FORECAST = LoadForecast(
    service="chat",
    horizon_s=120.0,
    arrival_rate_rps=10.0,
    upper_rate_rps=10.0,
    input_tokens=100.0,
    output_tokens=100.0,
    method="last-value",
)


def planned(
    loads: PlannedLoads, now_s: float, waiting: float, help_in_s: float = 0.0
) -> float | None:
    """Return the rate that is planned for with so many requests waiting."""
    seen = ServiceObservation(
        service="chat", arrival_rate_rps=Reading.of(10.0), waiting=Reading.of(waiting)
    )
    found = loads.update(seen, FORECAST, "chat", 60.0, now_s, help_in_s)
    assert found.seen_rps == pytest.approx(10.0)
    return None if found.load is None else found.load.rate_rps


def fresh() -> PlannedLoads:
    return PlannedLoads(LOADS, ForecastSpec(), lambda *_: 1.0)


def test_a_backlog_is_worked_off() -> None:
    """What waits beyond a second's requests adds its share of the drain time."""
    assert planned(fresh(), 0.0, 10.0) == pytest.approx(10.0)
    assert planned(fresh(), 0.0, 210.0) == pytest.approx(12.0)


def test_what_lasts_is_without_the_backlog() -> None:
    """10 requests/s come; the 2 that are worked off beside them will be gone."""
    seen = ServiceObservation(
        service="chat", arrival_rate_rps=Reading.of(10.0), waiting=Reading.of(210.0)
    )
    found = fresh().update(seen, FORECAST, "chat", 60.0)
    assert found.load is not None
    assert found.lasting is not None
    assert found.load.rate_rps == pytest.approx(12.0)
    assert found.lasting.rate_rps == pytest.approx(10.0)


def test_a_backlog_counts_as_it_will_be_when_help_comes() -> None:
    """One that grows by 2 requests/s for 120 s more is 240 larger by then."""
    loads = fresh()
    planned(loads, 0.0, 30.0, 120.0)
    assert planned(loads, 15.0, 60.0, 120.0) == pytest.approx(10.0 + (50.0 + 240.0) / 100.0)


def test_a_backlog_that_shrinks_or_none_is_not_foretold() -> None:
    """A queue of less than a second's requests that grows is no backlog."""
    loads = fresh()
    planned(loads, 0.0, 0.0, 120.0)
    assert planned(loads, 15.0, 9.0, 120.0) == pytest.approx(10.0)
    loads = fresh()
    planned(loads, 0.0, 500.0, 120.0)
    assert planned(loads, 15.0, 210.0, 120.0) <= 15.0


def test_a_backlog_asks_at_most_for_as_much_again() -> None:
    """However long it is, it counts for no more than what comes."""
    assert planned(fresh(), 0.0, 1e6, 120.0) == pytest.approx(20.0)
