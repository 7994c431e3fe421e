"""A small fleet and what its replicas carry, sized once."""

from __future__ import annotations

import pytest

from optimizer.control.planner import Planner
from optimizer.control.spec import ControlSpec
from optimizer.spec import FleetSpec
from tests.optimizer.control.fleets import small_fleet


@pytest.fixture(scope="session")
def fleet() -> FleetSpec:
    return small_fleet()


@pytest.fixture
def planner(fleet: FleetSpec) -> Planner:
    return Planner(fleet, ControlSpec(fleet="fleet.yaml"))
