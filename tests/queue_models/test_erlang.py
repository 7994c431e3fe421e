"""Erlang's formulas and M/M/c, M/M/c/K in closed form."""

from __future__ import annotations

from fractions import Fraction
from math import factorial, log

import numpy as np
import pytest

from queue_models import (
    ServiceProcessError,
    UnstableError,
    erlang_b,
    erlang_c,
    mmc_queue,
    mmc_wait_quantile,
    mmck_queue,
    mmck_wait_quantile,
)


def _exact_b(servers: int, load: Fraction) -> Fraction:
    terms = [load**k / factorial(k) for k in range(servers + 1)]
    return terms[-1] / sum(terms)


@pytest.mark.parametrize("servers", [0, 1, 2, 10, 60])
@pytest.mark.parametrize("load", [Fraction(1, 10), Fraction(1), Fraction(19, 2), Fraction(200)])
def test_erlang_b_is_the_truncated_poisson(servers: int, load: Fraction) -> None:
    """The recursion gives the ratio of sums, computed in fractions."""
    assert erlang_b(servers, float(load)) == pytest.approx(
        float(_exact_b(servers, load)), rel=1e-13
    )


@pytest.mark.parametrize(
    ("servers", "load"), [(1, Fraction(1, 2)), (5, Fraction(9, 2)), (80, Fraction(79))]
)
def test_erlang_c_follows_from_erlang_b(servers: int, load: Fraction) -> None:
    """C = B/(1 - rho (1 - B)), in fractions."""
    b = _exact_b(servers, load)
    wanted = b / (1 - load / servers * (1 - b))
    assert erlang_c(servers, float(load)) == pytest.approx(float(wanted), rel=1e-12)


def test_one_server_waits_with_probability_rho() -> None:
    """M/M/1: P(wait) = rho, Wq = rho/(mu - lambda), t_q = ln(rho/(1-q))/(mu - lambda)."""
    assert erlang_c(1, 0.8) == pytest.approx(0.8, rel=1e-14)
    assert mmc_queue(0.8, 1.0, 1).wait == pytest.approx(4.0, rel=1e-13)
    assert mmc_wait_quantile(0.8, 1.0, 1, 0.9) == pytest.approx(log(8.0) / 0.2, rel=1e-13)


def test_arrays_broadcast() -> None:
    """Servers and loads broadcast, each element as alone."""
    servers, loads = np.array([[2], [40]]), np.array([0.5, 1.5])
    table = erlang_c(servers, loads)
    assert table.shape == (2, 2)
    assert table[1, 0] == erlang_c(40, 0.5)


def test_many_servers_do_not_overflow() -> None:
    """10,000 servers at load 0.999 stay within (0, 1)."""
    assert 0 < erlang_c(10_000, 9_990.0) < 1


def test_mmck_tends_to_mmc() -> None:
    """With room for all, M/M/c/K is M/M/c: means and quantiles."""
    limited, free = mmck_queue(7.0, 1.0, 9, 5000), mmc_queue(7.0, 1.0, 9)
    assert limited.wait == pytest.approx(free.wait, rel=1e-11)
    assert limited.wait_probability == pytest.approx(free.wait_probability, rel=1e-11)
    quantile = mmck_wait_quantile(7.0, 1.0, 9, 5000, 0.99)
    assert quantile == pytest.approx(mmc_wait_quantile(7.0, 1.0, 9, 0.99), rel=1e-9)


def test_no_waiting_room_is_erlang_b() -> None:
    """K = c blocks with Erlang's B and nobody waits, also under overload."""
    queue = mmck_queue([3.0, 30.0], 1.0, 4, 4)
    assert queue.blocking_probability == pytest.approx(erlang_b(4, [3.0, 30.0]), rel=1e-12)
    assert np.all(queue.wait == 0)


def test_saturation_is_an_error_for_the_unlimited_queue_only() -> None:
    """A load of c raises for M/M/c and is solved for M/M/c/K."""
    with pytest.raises(UnstableError, match="below the number of servers"):
        mmc_queue(4.0, 1.0, 4)
    assert mmck_queue(4.0, 1.0, 4, 10).throughput < 4.0


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: erlang_b(1.5, 1.0), "servers"),
        (lambda: erlang_b(2, -1.0), "offered_load"),
        (lambda: mmc_queue(-1.0, 1.0, 1), "arrival_rate"),
        (lambda: mmc_queue(1.0, 0.0, 1), "service_rate"),
        (lambda: mmc_queue(1.0, 1.0, 0), "servers"),
        (lambda: mmck_queue(1.0, 1.0, 3, 2), "capacity"),
        (lambda: mmc_wait_quantile(0.5, 1.0, 1, 1.0), "probability"),
    ],
)
def test_bad_arguments_are_named(call: object, field: str) -> None:
    """What is out of range raises, naming the argument."""
    with pytest.raises(ServiceProcessError, match=field):
        call()  # type: ignore[operator]
