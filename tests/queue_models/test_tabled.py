"""Tabled iteration times: as the law they were made of, and the contract for bent ones."""

from __future__ import annotations

import numpy as np
import pytest

from queue_models import (
    IterationTiming,
    Metric,
    OutsideValidityError,
    ServiceProcess,
    Statistic,
    TableTiming,
    Target,
    Targets,
    get,
)
from queue_models.auto import AutoModel
from queue_models.tabled import TabledModel
from queue_models.testing import check_contract

MODEL = TabledModel()
AXES = (
    np.array([0.0, 4, 16, 64, 256]),
    np.array([0.0, 256, 1024, 4096]),
    np.array([0.0, 1e4, 1e5, 1e6]),
)
DECODE, PREFILL, KV = np.meshgrid(*AXES, indexing="ij")
LINEAR = 8.0 + 0.03 * DECODE + 0.03 * PREFILL + 5e-5 * KV
# Memory bound up to some hundred tokens, compute bound beyond.
ROOFLINE = np.maximum(12.0 + 5e-5 * KV, 2.0 + 0.04 * (DECODE + PREFILL))
CONCAVE = 6.0 + 1.5 * np.sqrt(DECODE) + 0.03 * PREFILL + 5e-5 * KV


def service(table: np.ndarray, *, scv: float = 1.0) -> ServiceProcess:
    """Three services of lengths that vary."""
    return ServiceProcess(
        TableTiming(*AXES, table),
        [512, 128, 900],
        [128, 300, 64],
        [64, 128, 32],
        input_tokens_scv=0.8,
        output_tokens_scv=0.9,
        arrival_scv=scv,
    )


def test_a_table_of_a_linear_law_is_the_linear_law() -> None:
    """Metrics, percentiles and sized rates are those of iteration-level with the law itself."""
    tabled = service(LINEAR)
    linear = tabled.with_timing(IterationTiming(8.0, 0.03, 0.03, 5e-5))
    exact = get("iteration-level")
    p99 = Statistic(Metric.TTFT, 99.0)
    capacity = exact.max_rate(linear, Targets())
    np.testing.assert_allclose(MODEL.max_rate(tabled, Targets()), capacity, rtol=1e-6)
    rate = np.array([0.0, 0.3, 0.8, 0.95])[:, None] * capacity
    came, wanted = MODEL.evaluate(tabled, rate, (p99,)), exact.evaluate(linear, rate, (p99,))
    for metric in (*map(Statistic, Metric), p99):
        np.testing.assert_allclose(came.value(metric), wanted.value(metric), rtol=1e-6, atol=1e-9)
    targets = Targets((Target(p99, wanted.value(p99)[2]),))
    np.testing.assert_allclose(MODEL.max_rate(tabled, targets), rate[2], rtol=1e-5)


@pytest.mark.parametrize("table", [ROOFLINE, CONCAVE], ids=["roofline", "concave"])
def test_bent_tables_keep_the_contract(table: np.ndarray) -> None:
    """Shapes, Little's law, monotony in the rate and in the target, inversion."""
    check_contract(MODEL, service(table), rate_tolerance=1e-4)


def test_prompts_cost_what_an_iteration_with_a_prompt_costs() -> None:
    """At no load TTFT is the table's time of an iteration with the prompt, beyond the bend."""
    alone = ServiceProcess(TableTiming(*AXES, ROOFLINE), 1024, 10, 64)
    wanted = 2.0 + 0.04 * 1024
    assert MODEL.evaluate(alone, 0.0).ttft_ms == pytest.approx(wanted, rel=0.02)


def test_auto_takes_it_for_tables() -> None:
    """Tables are no reason to refuse a service."""
    (choice,) = AutoModel().choose(service(LINEAR))
    assert choice.name == "tabled"


def test_other_timings_are_refused_in_words() -> None:
    """It reads tables alone."""
    linear = ServiceProcess(IterationTiming(8.0, 0.03, 0.03), 512, 128, 64)
    with pytest.raises(OutsideValidityError, match="timing must be TableTiming"):
        MODEL.evaluate(linear, 1.0)


def test_bounds_on_what_never_happens_do_not_warn() -> None:
    """Of a single output token ITL is 0 and its bound binds nothing; the target on TTFT does."""
    single = ServiceProcess(TableTiming(*AXES, ROOFLINE), [512, 64], [1, 1], 16)
    targets = Targets(
        (Target(Statistic(Metric.ITL), 1e-3), Target(Statistic(Metric.TTFT), [60.0, 30.0]))
    )
    ttft = MODEL.max_rate(single, Targets((targets.targets[1],)))
    assert np.all(ttft > 0)
    assert MODEL.max_rate(single, targets) == pytest.approx(ttft, rel=1e-6)
    assert np.array_equal(
        MODEL.max_rate(single, Targets((targets.targets[0],))), MODEL.max_rate(single, Targets())
    )


def test_a_prompt_found_in_the_cache_costs_nothing_whatever_the_rounding() -> None:
    """Shares of a token left to compute give rates for every batch, and no negative time."""
    bent = np.maximum(0.01 * DECODE, 0.02 * PREFILL) + 5.0 + 1e-5 * KV
    cached = ServiceProcess(
        TableTiming(*AXES, bent),
        1.0,
        27.0,
        4096,
        prefix_hit_rate=1.0 - np.geomspace(1e-12, 0.1, 60),
    )
    assert np.all(MODEL.max_rate(cached, Targets()) > 0)
    loads = np.linspace(0.01, 0.9, 7)[:, None]
    assert not np.isnan(
        MODEL.evaluate(cached, loads * MODEL.max_rate(cached, Targets())).ttft_ms
    ).any()
