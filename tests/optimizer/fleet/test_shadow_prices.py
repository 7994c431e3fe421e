"""Prices of resources in the relaxation: worked by hand, wherever their rows are."""

from __future__ import annotations

from typing import Any

import pytest

import optimizer as fo
from optimizer.errors import InfeasibleError
from optimizer.fleet import shadow_prices
from optimizer.spec import FleetSpec, from_data
from tests.optimizer.fleet.fleets import fleet, service, splitting_two_types, two_types


def prices(spec: FleetSpec) -> dict[str, float]:
    return {price.requirement.name: price.price_per_hour for price in shadow_prices(spec)}


def splitting(**changes: Any) -> FleetSpec:
    """10 requests/s over A (8 requests/s at 5/h, 0.2 kW) and B (2 at 1/h, 0.1 kW)."""
    return from_data(splitting_two_types(a_w=(200, 200), b_w=(100, 100)) | changes)


@pytest.mark.parametrize("unserved", ["allowed", "forbidden"])
def test_cards_of_a_service_that_splits(unserved: str) -> None:
    """3 B carry 6 and half an A the rest: one B more saves a quarter of an A less itself, 0.25."""
    spec = splitting(
        capacities=[{"type": "A", "cards": 100}, {"type": "B", "cards": 3}],
        optimizer={"unserved": unserved},
    )
    assert prices(spec) == {"B": pytest.approx(0.25), "A": 0.0}


def test_power_that_follows_loads() -> None:
    """0.4 kW are 3 B and half an A for 5.5; 0.1 kW more are 5 B for 5: 5 per kW."""
    spec = splitting(limits=[{"measure": "power_kw", "at_most": 0.4}])
    assert prices(spec) == {"power_kw": pytest.approx(5.0)}


def test_cards_behind_purchase_tiers() -> None:
    """One B (reserved at 1, then 5) and one A at 10: one B more at 5 takes A's place."""
    tiers = [{"tier": "reserved", "instances": 1, "cost_per_hour": 1.0}, {"tier": "on-demand"}]
    spec = fleet(
        accelerators=[
            {"name": "A", "cost_per_hour": 10.0},
            {"name": "B", "cost_per_hour": 5.0, "tiers": tiers},
        ],
        capacities=[{"type": "A", "cards": 9}, {"type": "B", "cards": 1}],
        services=[service("x"), service("y")],
    )
    # One more reserved is no use: there is one B, which is.
    assert prices(spec) == {"B": pytest.approx(5.0), "A": 0.0, "B: reserved": 0.0}


def test_quotas_of_purchase_tiers() -> None:
    """Three idle services take a B each: one reserved at 1, one spot at 2, one on demand at 5.

    One reserved more takes the place of one on demand, 4; one spot more 3. Where one service may
    not be bought on spot the tiers are counted apart, and the prices are the same.
    """
    tiers = [
        {"tier": "reserved", "instances": 1, "cost_per_hour": 1.0},
        {"tier": "spot", "instances": 1, "cost_per_hour": 2.0},
        {"tier": "on-demand"},
    ]
    machines = [{"name": "B", "cost_per_hour": 5.0, "tiers": tiers}]
    classes = [
        {"name": "gold", "priority": 1, "tiers": ["reserved", "on-demand"]},
        {"name": "silver", "priority": 2},
    ]
    measured = two_types()["performance"][1:]
    for of_x in ("silver", "gold"):
        spec = fleet(
            accelerators=machines,
            capacities=[{"type": "B", "cards": 9}],
            performance=measured,
            classes=classes,
            services=[
                service("x", **{"class": of_x}),
                *(service(n, **{"class": "silver"}) for n in "yz"),
            ],
        )
        wanted = {"B: reserved": pytest.approx(4.0), "B: spot": pytest.approx(3.0), "B": 0.0}
        assert prices(spec) == wanted


def test_a_quota_costs_what_one_more_saves() -> None:
    """The price is the slope of the relaxation's cost: replanned with one more, 4 less."""
    plans = []
    for reserved in (1, 2):
        tiers = [
            {"tier": "reserved", "instances": reserved, "cost_per_hour": 1.0},
            {"tier": "usual"},
        ]
        spec = fleet(
            accelerators=[{"name": "B", "cost_per_hour": 5.0, "tiers": tiers}],
            capacities=[{"type": "B", "cards": 9}],
            performance=two_types()["performance"][1:],
            services=[service(n) for n in "xyz"],
        )
        assert prices(spec)["B: reserved"] == pytest.approx(4.0)
        plans.append(fo.optimize(spec).total_cost_per_hour)
    assert plans == [11.0, 7.0]


def test_cards_of_services_that_may_share() -> None:
    """Three keep a replica each or share one: 1 B for all; 20 requests/s take two more."""
    busy = {"arrival_rate_rps": 1, "input_tokens": 100, "output_tokens": 11}
    spec = fleet(
        capacities=[{"type": "A", "cards": 9}, {"type": "B", "cards": 1}],
        services=[
            service("x", load=busy, replica_pool="p"),
            service("y", load=busy, replica_pool="p"),
            service("z"),
        ],
    )
    # x and y on one B, z on A for 10; with one B more z is there for 5.
    assert prices(spec) == {"B": pytest.approx(5.0), "A": 0.0}


def test_there_are_none_without_a_plan() -> None:
    """Nothing on which everyone can be served."""
    spec = splitting(
        capacities=[{"type": "A", "cards": 0}, {"type": "B", "cards": 3}],
        optimizer={"unserved": "forbidden"},
    )
    with pytest.raises(InfeasibleError):
        shadow_prices(spec)
