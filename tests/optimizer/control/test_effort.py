"""Requests of different lengths, made comparable."""

from __future__ import annotations

import pytest

from optimizer.control.effort import Efforts
from optimizer.control.expectations import Expectations
from optimizer.control.expected_load import ExpectedLoad
from optimizer.control.planner import Moves, Planner
from optimizer.control.spec import FleetObservation, ForecastSpec, Reading, ServiceObservation
from optimizer.spec import FleetSpec
from tests.optimizer.control.fleets import variant


@pytest.mark.parametrize("lengths", [(250.0, 100.0), (1000.0, 100.0), (500.0, 200.0)])
def test_effort_tells_what_a_replica_carries(
    planner: Planner, fleet: FleetSpec, lengths: tuple[float, float]
) -> None:
    """At other lengths a replica's rate times the effort is nearly what it was."""
    efforts, tags = Efforts(fleet), variant("tags")

    def carried(prompt: float, output: float) -> float:
        load = ExpectedLoad(5.0, prompt, output)
        planner.plan({"tags": load}, {}, moves=Moves.ALLOWED)
        return planner.rate_rps(tags) * efforts.of("tags", prompt, output)

    assert carried(*lengths) == pytest.approx(carried(500.0, 100.0), rel=0.25)


def test_lengths_that_are_not_known_are_those_described(fleet: FleetSpec) -> None:
    """None and 0 stand for the described lengths; an unknown service has the effort 1."""
    efforts = Efforts(fleet)
    assert efforts.of("chat", None, 0.0) == efforts.of("chat", 500.0, 100.0)
    assert efforts.of("nobody", 1.0, 1.0) == 1.0


def test_a_jump_is_seen_before_the_step_is_over(fleet: FleetSpec) -> None:
    """What came in the last moments is planned for at once; within chance it is not."""

    def upper(recent: float) -> float:
        spec = ForecastSpec(method="last-value")
        expected = Expectations(spec, 120.0, 60.0, 15.0, Efforts(fleet).of)
        for look in range(30):
            rate = 20.0 if look < 29 else 21.0
            one = ServiceObservation(
                service="chat",
                arrival_rate_rps=Reading.of(rate),
                recent_rate_rps=Reading.of(recent if look == 29 else 20.0),
                input_tokens=Reading.of(500.0),
                output_tokens=Reading.of(100.0),
            )
            seen = FleetObservation(at_s=15.0 * look, services=(one,))
            expected.observe(seen)
            found = expected.forecasts(seen)["chat"].upper_rate_rps
        return found

    assert upper(40.0) > 34.0
    assert upper(22.0) == pytest.approx(upper(20.0))
