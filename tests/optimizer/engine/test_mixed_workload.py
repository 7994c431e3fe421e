"""Several kinds of requests through the same replicas, simulated beside what is predicted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

import optimizer as fo
from optimizer.engine import (
    Arrivals,
    ConstantRate,
    DrawnWorkload,
    EngineConfig,
    KvAccounting,
    WorkloadError,
    simulate,
    simulate_replicas,
)
from optimizer.engine.mixed_workload import MixedWorkload
from queue_models import (
    IterationTiming,
    Lengths,
    Metric,
    ServiceProcess,
    Statistic,
    TaggedRequests,
    Targets,
    get,
)
from tests.optimizer.cli.commands import REPOSITORY

FloatArray = NDArray[np.float64]

# Chats and long documents with short answers, one in four.
RATES = np.array([3.0, 1.0])
PROMPTS = np.array([250.0, 2400.0])
OUTPUTS = np.array([220.0, 60.0])
# Documents with long answers instead: what is long is long in both.
ALIKE = np.array([80.0, 400.0])
TIMING = IterationTiming(12.0, 0.12, 0.035, 2e-5)
BATCH = 24


def kinds(scale: float = 1.0, outputs: FloatArray = OUTPUTS) -> tuple[DrawnWorkload, ...]:
    """Return the two kinds, at so many times their rates."""
    return tuple(
        DrawnWorkload(
            Arrivals(ConstantRate(scale * rate)), Lengths.fixed(prompt), Lengths.fixed(output)
        )
        for rate, prompt, output in zip(RATES, PROMPTS, outputs, strict=True)
    )


def test_kinds_come_in_the_order_of_arrival_each_at_its_rate() -> None:
    """Pieces have their size, times rise across them, and one request in four is a document."""
    pieces = MixedWorkload(kinds()).pieces(4000, np.random.SeedSequence(3))
    times, documents, keys = [], [], []
    for piece in itertools.islice(pieces, 5):
        assert piece.arrival_ms.size == 4000
        times.append(piece.arrival_ms)
        documents.append(piece.priority == 2)
        assert (piece.prompt == PROMPTS[piece.priority - 1]).all()
        assert (piece.output == OUTPUTS[piece.priority - 1]).all()
        keys.append(piece.keys)
    together = np.concatenate(times)
    assert (np.diff(together) >= 0).all()
    assert together.size / together[-1] * 1e3 == pytest.approx(4.0, rel=0.03)
    assert np.concatenate(documents).mean() == pytest.approx(0.25, abs=0.01)
    own = np.concatenate(keys).reshape(-1, 2)[:, 1]
    assert np.unique(own).size == own.size


def test_a_mix_of_nothing_is_refused() -> None:
    """At least one kind is wanted."""
    with pytest.raises(WorkloadError, match="at least one kind"):
        MixedWorkload(())


@pytest.mark.parametrize(
    ("outputs", "load", "above"),
    [(OUTPUTS, 0.5, 0.03), (OUTPUTS, 0.85, 0.12), (ALIKE, 0.5, 0.03), (ALIKE, 0.85, 0.03)],
)
def test_latencies_of_each_kind_are_those_predicted(
    outputs: FloatArray, load: float, above: float
) -> None:
    """Means and tails of TTFT and E2E of both kinds, at half load and near the capacity.

    Said are at most 5 % less than simulated, and no more above it than is said here.
    """
    shares = RATES / RATES.sum()
    covariance = shares @ (PROMPTS * outputs) - (shares @ PROMPTS) * (shares @ outputs)
    model = get("iteration-level")
    mixed = [Lengths.mixture(Lengths.fixed(tokens), shares) for tokens in (PROMPTS, outputs)]
    statistics = tuple(
        Statistic(metric, percentile)
        for metric in (Metric.TTFT, Metric.E2E)
        for percentile in (None, 95.0)
    )
    processes = [
        ServiceProcess(
            TIMING, *mixed, BATCH, length_covariance=covariance, tagged=TaggedRequests(p, o)
        )
        for p, o in zip(PROMPTS, outputs, strict=True)
    ]
    rate = load * float(model.max_rate(processes[0], Targets()))
    config = EngineConfig(
        kv_accounting=KvAccounting.RESERVED,
        kv_capacity_tokens=1e12,
        max_num_seqs=BATCH,
        max_num_batched_tokens=8192,
        max_model_len=1 << 17,
    )
    workload = MixedWorkload(kinds(rate / RATES.sum(), outputs))
    for number, process in enumerate(processes, start=1):
        predicted = model.evaluate(process, rate, statistics)
        run = simulate_replicas(
            config,
            TIMING,
            workload,
            statistics,
            kind=number,
            precision=0.02,
            least_requests=60_000,
            most_requests=240_000,
        )
        assert run.throughput_rps == pytest.approx(rate * shares[number - 1], rel=0.03)
        for statistic in statistics:
            found = run.statistics[statistic]
            said = float(predicted.value(statistic))
            least, most = 0.95 * found.value, (1.0 + above) * found.value
            noise = found.half_width
            assert least - noise <= said <= most + noise, (number, str(statistic), said, found)


def test_a_plan_with_shared_replicas_keeps_every_objective_in_simulation() -> None:
    """All three services of the example are simulated, two through one replica, and hold."""
    fleet = fo.load(REPOSITORY / "examples/shared-replicas.yaml")
    found = simulate(fo.optimize(fleet), fleet, least_requests=20_000, most_requests=40_000)
    assert [service.skipped for service in found.services] == [None] * 3
    assert not found.missing
    for service, load in zip(found.services, (2.0, 0.8, 0.5), strict=True):
        assert service.replicas == 1
        assert service.throughput_rps == pytest.approx(load, rel=0.05)
