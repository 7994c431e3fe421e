"""Every model keeps the contract, and the contract catches models that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike

from queue_models import QueueMetrics, QueueModel, ServiceProcess, Targets
from queue_models.auto import AutoModel
from queue_models.batched_mg1 import BatchedModel
from queue_models.inferno_3p import Inferno3pModel
from queue_models.inferno_4p import Inferno4pModel
from queue_models.lps import LimitedSharingModel
from queue_models.mgc import MGcModel
from queue_models.mmc import MMcModel
from queue_models.mmck import MMcKModel
from queue_models.state_dependent import StateDependentModel
from queue_models.testing import (
    check_contract,
    check_littles_law,
    check_max_rate_inverts_evaluate,
    check_monotone_in_rate,
    check_zero_rate,
)
from tests.queue_models.processes import bursty, iterations, limited, prefill_decode, small_batches

CASES = [
    (MMcModel(), iterations()),
    (MMcModel(), prefill_decode()),
    (MMcModel(), limited(prefill_decode(), 40)),
    (MMcKModel(), limited(prefill_decode(), 40)),
    (StateDependentModel(), iterations()),
    (StateDependentModel(), limited(iterations(), 0)),
    (StateDependentModel(), limited(iterations(), 500)),
    (StateDependentModel(), prefill_decode()),
    (MGcModel(), iterations()),
    (MGcModel(), prefill_decode()),
    (LimitedSharingModel(), iterations()),
    (LimitedSharingModel(), prefill_decode()),
    (LimitedSharingModel(), bursty(iterations())),
    (BatchedModel(), small_batches(iterations(8))),
    (BatchedModel(), small_batches(prefill_decode(8))),
    (AutoModel(), iterations()),
    (Inferno4pModel(), prefill_decode()),
    (Inferno3pModel(), iterations(equal_times=True)),
    (Inferno3pModel(), limited(iterations(equal_times=True), 300)),
]


@pytest.mark.parametrize(
    ("model", "service"), CASES, ids=[f"{model.name}-{i}" for i, (model, _) in enumerate(CASES)]
)
def test_model_keeps_the_contract(model: QueueModel, service: ServiceProcess) -> None:
    """Broadcasting, zero rate, Little's law, monotonicity and inversion hold."""
    # The compatibility models round as the system they reproduce.
    tolerance = 1e-3 if model.name.startswith("inferno") else 1e-7
    check_contract(model, service, rate_tolerance=tolerance)


class Lying(QueueModel):
    """The state-dependent model with one metric changed."""

    name = "lying"
    summary = "wrong on purpose"
    timings = StateDependentModel.timings
    honest = StateDependentModel()

    def __init__(self, change: Callable[[QueueMetrics], QueueMetrics], factor: float = 1.0) -> None:
        self.change, self.factor = change, factor

    def refusals(self, service: ServiceProcess, statistics: object = ()) -> dict[str, np.ndarray]:
        return {}

    def evaluate(
        self, service: ServiceProcess, arrival_rate_rps: ArrayLike, statistics: object = ()
    ) -> QueueMetrics:
        return self.change(self.honest.evaluate(service, arrival_rate_rps))

    def max_rate(self, service: ServiceProcess, targets: Targets) -> np.ndarray:
        return self.factor * self.honest.max_rate(service, targets)


@pytest.mark.parametrize(
    ("check", "model", "complaint"),
    [
        (check_littles_law, Lying(lambda m: replace(m, e2e_ms=1.01 * m.e2e_ms)), "L = X T"),
        (check_littles_law, Lying(lambda m: replace(m, wait_ms=1.01 * m.wait_ms)), "queue length"),
        (check_monotone_in_rate, Lying(lambda m: replace(m, ttft_ms=1 / m.ttft_ms)), "ttft_ms"),
        (check_zero_rate, Lying(lambda m: replace(m, wait_ms=m.wait_ms + 1.0)), "wait_ms"),
        (check_zero_rate, Lying(lambda m: replace(m, itl_ms=m.itl_ms * np.nan)), "NaN"),
        (check_max_rate_inverts_evaluate, Lying(lambda m: m, factor=0.9), "max_rate"),
    ],
)
def test_the_contract_catches_a_lie(
    check: Callable[[QueueModel, ServiceProcess], None], model: QueueModel, complaint: str
) -> None:
    """A model that breaks one rule fails the check of that rule, which names it."""
    with pytest.raises(AssertionError, match=complaint):
        check(model, iterations(6))
