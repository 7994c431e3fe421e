"""The conservative bound: on the safe side of simulations, labelled, refusing the unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.queue_accuracy.scoring import STATISTICS, Case, read_cases
from queue_models import (
    IterationTiming,
    Metric,
    OutsideValidityError,
    PrefillDecodeTiming,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
)
from queue_models.iteration_level import IterationLevelModel
from queue_models.iteration_level_bound import IterationLevelBound
from queue_models.testing import check_contract
from tests.queue_models.processes import iterations

BOUND, MODEL = IterationLevelBound(), IterationLevelModel()
SIMULATED = Path(__file__).parent / "data" / "iteration_level_simulated.csv"
# What a simulated row says that the bound answers for every group.
BOUNDED = ("ttft_mean", "ttft_p50", "ttft_p95", "ttft_p99", "itl_mean", "e2e_mean")


@pytest.fixture(scope="module")
def case() -> Case:
    """Simulated rows of linear iteration times, of eleven groups."""
    return next(read_cases(SIMULATED))


def test_bounds_lie_above_simulation(case: Case) -> None:
    """No mean and no percentile of TTFT of 88 simulated rows is above its bound, but for noise."""
    statistics = [STATISTICS[name] for name in BOUNDED]
    came = BOUND.evaluate(case.service, case.rate_rps, statistics)
    assert came.stable.all()
    loose = []
    for name in BOUNDED:
        simulated, noise = case.column(name), case.column(f"{name}_hw")
        known = np.isfinite(simulated)
        bound = came.value(STATISTICS[name])
        assert np.all(simulated[known] - noise[known] <= bound[known]), name
        loose.append(float(np.median(bound[known] / simulated[known])))
    assert max(loose) < 1.8


def test_rates_lie_below_those_simulated(case: Case) -> None:
    """For the simulated mean or p99 of TTFT as bound, the rate is below the one simulated."""
    for name in ("ttft_mean", "ttft_p99"):
        bound = case.column(name) + case.column(f"{name}_hw")
        rate = BOUND.max_rate(case.service, Targets((Target(STATISTICS[name], bound),)))
        assert np.all(rate <= case.rate_rps)
        assert np.median(rate / case.rate_rps) > 0.5
    capacity = BOUND.max_rate(case.service, Targets())
    assert np.all(capacity < case.column("capacity_rps_per_replica"))


def test_it_keeps_the_contract() -> None:
    """Broadcasting, zero rate, Little's law, monotonicity and inversion hold."""
    check_contract(BOUND, iterations(4, seed=9), rate_tolerance=1e-5)


def test_it_is_on_the_safe_side_of_the_model() -> None:
    """Every latency is longer and every rate lower than by iteration-level, which names it."""
    assert (MODEL.bound, BOUND.conservative) == (BOUND.name, True)
    service = iterations(12, seed=5)
    capacity = MODEL.max_rate(service, Targets())
    percentiles = [Statistic(m, 99) for m in (Metric.TTFT, Metric.ITL, Metric.E2E)]
    for load in (0.1, 0.6, 0.9):
        near = MODEL.evaluate(service, load * capacity, percentiles)
        far = BOUND.evaluate(service, load * capacity, percentiles)
        for statistic in (Statistic(Metric.TTFT), Statistic(Metric.ITL), *percentiles):
            assert np.all(far.value(statistic) > near.value(statistic))
    targets = Targets((Target(Statistic(Metric.TTFT, 99), 2e3), Target(Statistic(Metric.ITL), 60)))
    assert np.all(BOUND.max_rate(service, targets) <= MODEL.max_rate(service, targets))


@pytest.mark.parametrize(
    ("options", "statistic", "words"),
    [
        ({"arrival_scv": 5.0}, Statistic(Metric.TTFT), "arrival_scv above 4"),
        ({"kv_capacity_tokens": 300}, Statistic(Metric.TTFT), "less than 2 mean requests"),
        ({"queue_capacity": 9}, Statistic(Metric.TTFT), "queue_capacity must be None"),
        ({}, Statistic(Metric.TPOT, 95), "percentiles of TPOT"),
        ({"arrival_scv": 2.0}, Statistic(Metric.ITL, 95), "percentiles of ITL"),
    ],
)
def test_what_it_does_not_know_is_refused(
    options: dict[str, float], statistic: Statistic, words: str
) -> None:
    """Beyond what was simulated there is no bound, and the reason is said."""
    service = ServiceProcess(IterationTiming(8.0, 0.03, 0.05), 200, 100, 16, **options)
    with pytest.raises(OutsideValidityError, match=words):
        BOUND.evaluate(service, 0.1, [statistic])


def test_other_timings_are_refused() -> None:
    """Phases have no iterations, and no bound."""
    service = ServiceProcess(PrefillDecodeTiming(10, 0.1, 8, 0.1), 200, 100, 16)
    with pytest.raises(OutsideValidityError, match="IterationTiming"):
        BOUND.max_rate(service, Targets())
