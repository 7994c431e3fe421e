"""The birth-death engine against a chain solved state by state, and at the edges of its range."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaincc, logsumexp

from queue_models.birth_death import BirthDeathChain, SteadyState, similar_slots
from queue_models.errors import ServiceProcessError


def _dense(rates: np.ndarray, places: int, rate: float) -> dict[str, float | np.ndarray]:
    """Every state of one chain, summed one by one."""
    slots = len(rates)
    states = np.arange(slots + places + 1)
    served = np.concatenate([rates, np.full(places, rates[-1])])
    logs = np.concatenate([[0.0], np.cumsum(np.log(rate / served))])
    p = np.exp(logs - logsumexp(logs))
    accepted = p[:-1].sum()
    queue = np.sum(np.maximum(states - slots, 0) * p)
    return {
        "p": p,
        "blocking_probability": p[-1],
        "throughput": rate * accepted,
        "queue_length": queue,
        "mean_wait": queue / (rate * accepted),
        "in_service": np.sum(np.minimum(states, slots) * p),
        "wait_probability": p[slots:-1].sum() / accepted,
        "mean_seen": np.sum(np.minimum(states[:-1] + 1, slots) * p[:-1]) / accepted,
    }


@pytest.mark.parametrize("load", [0.01, 0.5, 0.97, 1.0, 1.0 + 1e-9, 1.02, 3.0])
@pytest.mark.parametrize(("slots", "places"), [(1, 0), (1, 7), (5, 0), (8, 80), (64, 3000)])
def test_equals_the_chain_state_by_state(load: float, slots: int, places: int) -> None:
    """Closed tails give the sums over every state, below, at and above saturation."""
    n = np.arange(1.0, slots + 1.0)
    rates = n / (20.0 + 1.5 * n)
    rate = load * rates[-1]
    wanted = _dense(rates, places, rate)
    steady = BirthDeathChain.from_rates(rates, places).steady_state(np.array([rate]))
    for name, value in wanted.items():
        if name != "p":
            assert getattr(steady, name) == pytest.approx(value, rel=1e-10, abs=1e-300), name
    assert steady.time_in_service == pytest.approx(
        wanted["in_service"] / wanted["throughput"], rel=1e-10
    )


def test_a_thousand_times_more_places_than_slots() -> None:
    """K = 1e6 at 1 - r = 1e-6 equals the sum over a million states."""
    rates, places, rate = np.arange(1.0, 9.0), 1_000_000, 8.0 * 0.999999
    wanted = _dense(rates, places, rate)
    steady = BirthDeathChain.from_rates(rates, places).steady_state(np.array([rate]))
    for name in ("blocking_probability", "queue_length", "in_service", "wait_probability"):
        assert getattr(steady, name) == pytest.approx(wanted[name], rel=1e-9), name


def test_ragged_pairs_do_not_touch_each_other() -> None:
    """A pair solved among wider ones gives what it gives alone, bit for bit in its weights."""
    slots = np.array([3, 1, 17])
    rates = np.tile(np.arange(1.0, 18.0), (3, 1))
    places, rate = np.array([5.0, 0.0, np.inf]), np.array([2.9, 0.4, 16.0])
    together = BirthDeathChain.from_rates(rates, places, slots).steady_state(rate)
    for i, count in enumerate(slots):
        alone = BirthDeathChain.from_rates(rates[i, :count], places[i]).steady_state(
            rate[i : i + 1]
        )
        for name in ("mean_wait", "throughput", "in_service", "mean_seen"):
            assert getattr(together, name)[i] == pytest.approx(getattr(alone, name)[0], rel=1e-14)


def test_subset_of_pairs() -> None:
    """Solving some pairs of a chain is solving the chain and taking those."""
    rates = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    chain = BirthDeathChain.from_rates(rates, 4)
    rate = np.array([1.5, 3.0, 7.0])
    some = chain.steady_state(rate[[2, 0]], np.array([2, 0]))
    assert np.array_equal(some.mean_wait, chain.steady_state(rate).mean_wait[[2, 0]])


def test_rate_zero_is_the_limit_from_above() -> None:
    """Without arrivals nobody waits, and one request alone takes 1/mu(1)."""
    chain = BirthDeathChain.from_rates(np.tile([0.25, 0.4], (3, 1)), [0.0, 9.0, np.inf])
    steady = chain.steady_state(np.zeros(3))
    assert np.all(steady.mean_wait == 0.0)
    assert np.all(steady.throughput == 0.0)
    assert steady.time_in_service == pytest.approx(np.full(3, 4.0), rel=1e-12)
    assert steady.mean_seen == pytest.approx(np.ones(3), rel=1e-12)


def test_endless_queue_at_capacity_has_no_steady_state() -> None:
    """At lambda >= mu(B) an unlimited queue is not stable; a limited one is."""
    chain = BirthDeathChain.from_rates([[1.0, 2.0], [1.0, 2.0]], [np.inf, 10.0])
    assert chain.steady_state(np.array([2.0, 2.0])).stable.tolist() == [False, True]


@pytest.mark.parametrize("load", [0.3, 0.9, 0.999, 1.0, 1.3])
def test_wait_distribution_is_the_erlang_mixture(load: float) -> None:
    """P(W > t) is the sum over the states found of Erlang tails; the quantile inverts it."""
    slots, places = 6, 40
    n = np.arange(1.0, slots + 1.0)
    rates = n / (3.0 + 0.2 * n)
    rate = load * rates[-1]
    p = _dense(rates, places, rate)["p"]
    found = p[slots:-1] / p[:-1].sum()
    steady = BirthDeathChain.from_rates(rates, places).steady_state(np.array([rate]))
    for wait in (0.0, 0.1, 1.0, 7.0, 30.0):
        tails = gammaincc(np.arange(1, places + 1), rates[-1] * wait)
        came = steady.wait_tail(np.array([wait]))
        assert came == pytest.approx(np.sum(found * tails), rel=1e-10, abs=1e-14)
    for share in (0.5, 0.95, 0.999):
        quantile = steady.wait_quantile(share)
        if quantile > 0:
            assert steady.wait_tail(quantile) == pytest.approx(1.0 - share, rel=1e-9)
        else:
            assert steady.wait_probability <= 1.0 - share


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99])
def test_seen_quantile_is_the_least_state_reached(share: float) -> None:
    """The quantile of the number found counts states until their share is reached."""
    rates, places, rate = np.arange(1.0, 6.0), 4, 4.5
    p = _dense(rates, places, rate)["p"][:-1]
    wanted = min(int(np.searchsorted(np.cumsum(p / p.sum()), share)), 5)
    steady = BirthDeathChain.from_rates(rates, places).steady_state(np.array([rate]))
    assert steady.seen_quantile(share) == wanted
    at_least = p[wanted:].sum() / p.sum()
    assert steady.seen_at_least(np.array([float(wanted)])) == pytest.approx(at_least, rel=1e-12)


def test_mean_seen_up_to_counts_no_more_than_the_limit() -> None:
    """The mean of min(n + 1, B, limit) is that of the states."""
    rates, places, rate = np.arange(1.0, 6.0), 4, 4.5
    p = _dense(rates, places, rate)["p"][:-1]
    wanted = np.sum(np.minimum(np.arange(1, 10), 2.5) * p) / p.sum()
    steady = BirthDeathChain.from_rates(rates, places).steady_state(np.array([rate]))
    assert steady.mean_seen_up_to(np.array([2.5])) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("rates", "places", "field"),
    [([1.0, 0.0], 1, "rates"), ([1.0, np.nan], 1, "rates"), ([1.0], -1, "places")],
)
def test_bad_chains_are_refused_by_name(rates: list[float], places: int, field: str) -> None:
    """A rate that is not positive or negative room raises, naming the field."""
    with pytest.raises(ServiceProcessError, match=field):
        BirthDeathChain.from_rates(rates, places)


@given(st.lists(st.integers(1, 5000), max_size=300), st.integers(1, 20_000))
@settings(deadline=None, max_examples=60, derandomize=True)
def test_groups_of_similar_slots_partition_the_pairs(slots: list[int], states: int) -> None:
    """Every pair is in one group, and no group of several exceeds its budget of states."""
    count = np.array(slots, dtype=np.int64)
    groups = list(similar_slots(count, states))
    assert sorted(i for group in groups for i in group) == list(range(len(slots)))
    assert all(len(g) == 1 or len(g) * count[g].max() <= states for g in groups)


def _numbers(steady: SteadyState) -> list[np.ndarray]:
    return [
        steady.blocking_probability,
        steady.throughput,
        steady.mean_wait,
        steady.queue_length,
        steady.in_service,
        steady.time_in_service,
        steady.mean_seen,
        steady.wait_quantile(0.5),
        steady.wait_quantile(0.999),
        steady.wait_tail(steady.mean_wait),
    ]


@given(
    slots=st.integers(1, 4096),
    places=st.one_of(st.integers(0, 1_000_000).map(float), st.just(np.inf)),
    base=st.floats(0.0, 1e4),
    slope=st.floats(1e-6, 1e3),
    load=st.one_of(
        st.floats(0.0, 0.999999), st.sampled_from([1.0, 0.999999, 1 - 1e-15, 1.000001, 5.0, 1e9])
    ),
)
@settings(deadline=None, max_examples=150, derandomize=True)
def test_no_input_gives_nan_or_a_warning(
    slots: int, places: float, base: float, slope: float, load: float
) -> None:
    """Up to B = 4096, K = 1e6, load 0.999999 and beyond, every number is finite and in range."""
    n = np.arange(1.0, slots + 1.0)
    rates = n / (base + slope * n)
    rate = np.array([load * rates[-1]])
    steady = BirthDeathChain.from_rates(rates, places).steady_state(rate)
    if not steady.stable[0]:
        assert places == np.inf
        assert rate[0] >= rates[-1]
        return
    for values in _numbers(steady):
        assert np.all(np.isfinite(values))
        assert np.all(values >= 0)
    assert steady.blocking_probability <= 1.0
    assert steady.throughput <= rates[-1] * (1 + 1e-9)
    assert steady.in_service <= slots * (1 + 1e-12)
    assert 1.0 - 1e-9 <= steady.mean_seen[0] <= slots * (1 + 1e-12)


@given(
    slots=st.integers(1, 300),
    places=st.integers(0, 3000),
    slope=st.floats(0.01, 5.0),
    loads=st.tuples(st.floats(0.001, 1.5), st.floats(0.001, 1.5)),
)
@settings(deadline=None, max_examples=80, derandomize=True)
def test_waits_and_throughput_grow_with_the_rate(
    slots: int, places: int, slope: float, loads: tuple[float, float]
) -> None:
    """More arrivals never mean less waiting, blocking or throughput."""
    n = np.arange(1.0, slots + 1.0)
    chain = BirthDeathChain.from_rates(np.tile(n / (1.0 + slope * n), (2, 1)), places)
    low, high = (
        _numbers(chain.steady_state(np.sort(loads) * chain.full_rate[0]))[i] for i in (1, 2)
    )
    for values in (low, high):
        assert values[1] >= values[0] * (1 - 1e-12)
