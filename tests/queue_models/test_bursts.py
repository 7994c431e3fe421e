"""Bursty arrivals at a replica: phases, chains and tails against matrices and known limits."""

from __future__ import annotations

import numpy as np
import pytest

from queue_models.iteration_level.arrivals import short_dispersion
from queue_models.iteration_level.bursts import burst_tail, fill_arrival_rates, phases_of


@pytest.mark.parametrize("scv", [1.0, 1.2, 4.0, 25.0])
def test_phases_have_the_moments_of_the_gamma_law(scv: float) -> None:
    """Mean 1/rate, second moment (1 + c)/rate^2, third (1 + c)(1 + 2c)/rate^3."""
    rate = 3.0
    slow, fast, share = phases_of(rate, scv)
    chances, rates = np.array([share, 1 - share]), np.array([slow, fast])
    moments = [(chances / rates**k).sum() * factor for k, factor in ((1, 1), (2, 2), (3, 6))]
    wanted = [1 / rate, (1 + scv) / rate**2, (1 + scv) * (1 + 2 * scv) / rate**3]
    assert moments == pytest.approx(wanted, rel=1e-12)


def test_rates_by_number_present_are_those_of_the_whole_chain() -> None:
    """Arrivals in two phases at 12 servers: as from the generator matrix, solved."""
    rate, servers, levels = 8.0, 12, 400
    phases = phases_of(rate, 4.0)
    rates, shares = np.array([phases.slow, phases.fast]), np.array([phases.share, 1 - phases.share])
    generator = np.zeros((2 * levels, 2 * levels))
    for n in range(levels):
        for phase in range(2):
            here = 2 * n + phase
            if n + 1 < levels:
                generator[here, 2 * n + 2 : 2 * n + 4] = rates[phase] * shares
            if n:
                generator[here, here - 2] = min(n, servers)
    generator -= np.diag(generator.sum(axis=1))
    equations, right = generator.T.copy(), np.zeros(2 * levels)
    equations[-1], right[-1] = 1.0, 1.0
    states = np.linalg.solve(equations, right).reshape(levels, 2)
    wanted = (states @ rates / states.sum(axis=1) / rate)[: servers + 1]
    deaths = np.minimum(np.arange(servers + 1.0), servers)
    came = np.zeros(servers + 1)
    fill_arrival_rates(phases, rate, float(servers), deaths, servers, came)
    assert came == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("scv", [1.0, 2.0, 4.0, 30.0])
@pytest.mark.parametrize("load", [0.01, 0.5, 0.9, 0.9999])
def test_the_tail_is_that_of_gamma_arrivals_at_one_exponential_server(
    load: float, scv: float
) -> None:
    """The root of x = E exp(-(1 - x) A/load): the load itself for Poisson arrivals."""
    fall = burst_tail(load, scv, 1.0)
    assert 0.0 < fall < 1.0
    assert fall == pytest.approx((1 + (1 - fall) * scv / load) ** (-1 / scv), rel=1e-9)
    if scv == 1.0:
        assert fall == pytest.approx(load, rel=1e-9)


def test_counts_in_long_windows_have_the_dispersion_of_the_arrivals() -> None:
    """Over many interarrival times Var N/E N is the SCV; over none, arrivals are single."""
    for scv in (0.25, 4.0):
        alone, _ = short_dispersion(1e4, 1.0, scv, 0.0)
        assert alone == pytest.approx(max(scv - 1.0, -0.45), rel=0.05)
    assert short_dispersion(1e-6, 1.0, 0.25, 0.0)[0] == pytest.approx(0.0, abs=1e-3)
    assert short_dispersion(3.0, 1.0, 1.0, 0.5) == (0.0, 0.0)


def test_what_iterations_pass_on_feels_longer_windows() -> None:
    """With feedback between iterations the dispersion is nearer to that of long windows."""
    alone, together = short_dispersion(2.0, 1.0, 4.0, 0.0)
    passed_on, _ = short_dispersion(2.0, 1.0, 4.0, 0.7)
    assert 0.0 < alone < passed_on < 3.0
    assert together > 0.0
