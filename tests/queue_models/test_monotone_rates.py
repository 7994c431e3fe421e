"""Rates rise with every objective and with every resource that is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models import (
    IterationTiming,
    Metric,
    QueueModel,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
)
from queue_models.lps import LimitedSharingModel
from queue_models.mgc import MGcModel
from queue_models.mmc import MMcModel
from queue_models.mmck import MMcKModel
from queue_models.state_dependent import StateDependentModel

MODELS = (
    MMcModel(), MMcKModel(), MGcModel(), LimitedSharingModel(), StateDependentModel()
)  # fmt: skip
# Rounding of the search.
_EXACT = 1e-9
_WHOLE = (Metric.WAIT, Metric.TTFT, Metric.E2E)
# What changes, by which factor, and the metrics for which that is a resource.
RESOURCES: tuple[tuple[str, float, tuple[Metric, ...]], ...] = (
    ("base", 0.9, tuple(Metric)),
    ("decode", 0.9, tuple(Metric)),
    ("prefill", 0.9, tuple(Metric)),
    ("kv", 0.9, tuple(Metric)),
    ("computed", 0.8, _WHOLE),
)


def _drawn(seed: int, model: QueueModel, pairs: int = 12, **factors: float) -> ServiceProcess:
    """Random pairs, some numbers of which are multiplied."""
    rng = np.random.default_rng(seed)
    drawn: dict[str, Any] = {
        "base": rng.uniform(5, 25, pairs),
        "decode": rng.uniform(0.01, 0.16, pairs),
        "prefill": rng.uniform(0.01, 0.16, pairs),
        "kv": rng.uniform(0, 1e-4, pairs),
        "chunk": rng.choice([1024.0, 2048.0, 8192.0], pairs),
        "computed": np.ones(pairs),
        "slots": rng.integers(1, 257, pairs).astype(float),
        "cache": rng.uniform(1e3, 1e6, pairs),
    }
    for name, factor in factors.items():
        drawn[name] = drawn[name] * factor
    return ServiceProcess(
        IterationTiming(drawn["base"], drawn["decode"], drawn["prefill"], drawn["kv"]),
        np.exp(rng.uniform(4, 7.7, pairs)),
        np.exp(rng.uniform(1, 6.4, pairs)),
        np.ceil(drawn["slots"]),
        input_tokens_scv=rng.choice([0, 0.5, 2.25], pairs),
        output_tokens_scv=rng.choice([0, 0.5, 2.25], pairs),
        chunk_tokens=drawn["chunk"],
        prefix_hit_rate=1.0 - drawn["computed"],
        kv_capacity_tokens=drawn["cache"],
        queue_capacity=50 if isinstance(model, MMcKModel) else None,
    )


def _rate(
    model: QueueModel, service: ServiceProcess, statistic: Statistic, bound: np.ndarray
) -> np.ndarray:
    return model.max_rate(service, Targets((Target(statistic, bound),)))


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
@settings(deadline=None, max_examples=8, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    load=st.floats(0.1, 0.97),
    metric=st.sampled_from(list(Metric)),
    percentile=st.sampled_from([None, 95.0, 99.0]),
    looser=st.floats(1.0, 1.5),
)
def test_looser_objectives_and_faster_timing_never_lower_the_rate(
    model: QueueModel,
    seed: int,
    load: float,
    metric: Metric,
    percentile: float | None,
    looser: float,
) -> None:
    """To rounding, for every statistic that a model knows and every resource of its metric."""
    service = _drawn(seed, model)
    statistic = Statistic(metric, percentile)
    if model.refusals(service, [statistic]):
        statistic = Statistic(metric)
    at_load = model.evaluate(service, load * model.max_rate(service, Targets()), [statistic])
    bound = np.maximum(at_load.value(statistic), 1e-3)
    rate = _rate(model, service, statistic, bound)
    assert np.all(_rate(model, service, statistic, looser * bound) >= rate * (1 - _EXACT))
    for name, factor, metrics in RESOURCES:
        if metric in metrics:
            more = _rate(model, _drawn(seed, model, **{name: factor}), statistic, bound)
            assert np.all(more >= rate * (1 - _EXACT)), name


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
@pytest.mark.parametrize("resource", ["slots", "cache", "chunk"])
def test_capacity_rises_with_slots_cache_and_budget(model: QueueModel, resource: str) -> None:
    """Without objectives more slots, KV cache and chunk budget never lower the rate."""
    if resource == "slots" and isinstance(model, MMcKModel):
        pytest.skip("at its largest load a limited queue of more slots refuses another share")
    for seed in range(4):
        least = model.max_rate(_drawn(seed, model, pairs=60), Targets())
        more = model.max_rate(_drawn(seed, model, pairs=60, **{resource: 1.3}), Targets())
        assert np.all(more >= least * (1 - _EXACT))
