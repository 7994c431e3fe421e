"""Prefill and decode pools one after the other, against the same written down plainly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from optimizer.engine import (
    AbstractWorkload,
    Arrivals,
    ConstantRate,
    DrawnWorkload,
    EngineConfig,
    KvAccounting,
    Pool,
    ReplicaRole,
    Router,
    RouterPolicy,
    SimulationError,
    Traffic,
    simulate_pools,
)
from optimizer.engine.pool_chain import PoolChain
from queue_models import IterationTiming, Lengths, Metric, Statistic
from tests.optimizer.engine.plain_chain import Asked, plain_chain

PREFILL, DECODE = IterationTiming(5.0, 0.2, 0.05, 1e-4), IterationTiming(9.0, 0.1, 0.3, 2e-3)


class _Given(AbstractWorkload):
    """Requests as they stand."""

    rate_rps = 1.0

    def __init__(self, requests: list[Asked]) -> None:
        self._asked = requests

    def pieces(self, size: int, seed: np.random.SeedSequence) -> Iterator[Traffic]:
        del seed
        whole = _traffic(self._asked)
        for start in range(0, len(self._asked), 37):
            yield whole.part(start, start + 37)


def _traffic(requests: list[Asked]) -> Traffic:
    count = len(requests)
    return Traffic(
        arrival_ms=np.array([r.arrival for r in requests]),
        prompt=np.array([r.prompt for r in requests], np.int32),
        output=np.array([r.output for r in requests], np.int32),
        given=np.zeros(count, np.int32),
        priority=np.ones(count, np.int32),
        deadline_ms=np.full(count, np.inf),
        first_ms=np.full(count, -1.0),
        segment_of=np.arange(count + 1),
        keys=1 + np.arange(count),
        ends=np.full(count, 1 << 30, np.int32),
    )


def _pools(accounting: KvAccounting, **prefill: object) -> tuple[Pool, Pool]:
    common = {"kv_accounting": accounting, "num_blocks": 4096, "max_num_seqs": 6}
    sending = EngineConfig(
        **common,
        max_num_batched_tokens=96,
        role=ReplicaRole.PREFILL,
        link_gb_per_s=0.5,
        link_latency_ms=3.0,
        kv_bytes_per_token=2e5,
        **prefill,
    )
    receiving = EngineConfig(**common, role=ReplicaRole.DECODE, prefix_caching=False)
    return Pool(config=sending, timing=PREFILL), Pool(config=receiving, timing=DECODE)


def _time(law: IterationTiming):
    base, decode, prefill, kv = (
        float(np.ravel(value)[0])
        for value in (
            law.base_ms,
            law.decode_ms_per_token,
            law.prefill_ms_per_token,
            law.kv_ms_per_token,
        )
    )
    return lambda d, p, k: base + decode * d + prefill * p + kv * k


@pytest.mark.parametrize("accounting", list(KvAccounting))
@pytest.mark.parametrize("seed", range(8))
def test_first_and_last_tokens_are_those_of_the_plain_chain(
    seed: int, accounting: KvAccounting
) -> None:
    """On random loads every request has its first and its last token when it has them by prefill,
    transfers after one another, and decode written down plainly; with few and with many present."""
    rng = np.random.default_rng(seed)
    pace = rng.choice([15.0, 60.0, 200.0])
    arrivals = np.cumsum(rng.exponential(pace, 150))
    requests = [
        Asked(float(a), int(rng.integers(1, 250)), int(rng.integers(1, 30))) for a in arrivals
    ]
    expected = plain_chain(
        requests, _time(PREFILL), _time(DECODE), budget=96, places=6, latency=3.0, per_token=0.4
    )
    chain = PoolChain(*_pools(accounting), seed=0)
    found: dict[int, tuple[float, float]] = {}

    def told(done: np.recarray) -> None:
        found.update({int(d.id): (float(d.first), float(d.finished)) for d in done})

    number = 0
    for piece in _Given(requests).pieces(0, np.random.SeedSequence(0)):
        chain.serve(piece, number, told)
        number += piece.arrival_ms.size
    chain.finish(told)
    assert chain.outstanding == 0
    assert sorted(found) == list(range(len(requests)))
    for place, seen in enumerate(expected):
        assert found[place] == pytest.approx((seen.times[0], seen.times[-1]), rel=1e-12), place
    gaps = sum(r.output - 1 for r in requests)
    assert int(chain.gaps.sum()) == gaps


def test_the_first_gap_holds_transfer_and_wait() -> None:
    """A single request at a time: all gaps are one iteration but the first, which is the transfer
    more; what the whole takes is the sum."""
    workload = DrawnWorkload(Arrivals(ConstantRate(0.02)), Lengths.fixed(80), Lengths.fixed(11))
    run = simulate_pools(
        _pools(KvAccounting.BLOCKS),
        workload,
        [Statistic(Metric.ITL), Statistic(Metric.E2E), Statistic(Metric.TPOT)],
        least_requests=400,
        most_requests=400,
    )
    time = _time(DECODE)
    gaps = [time(1, 0, 80 + k) for k in range(1, 11)]
    transfer = 3.0 + 0.4 * 80
    first = _time(PREFILL)(0, 80, 80)
    mean = (sum(gaps) + transfer) / 10
    assert run.statistics[Statistic(Metric.ITL)].value == pytest.approx(mean, rel=1e-3)
    assert run.statistics[Statistic(Metric.TPOT)].value == pytest.approx(mean, rel=1e-3)
    e2e = first + transfer + sum(gaps)
    assert run.statistics[Statistic(Metric.E2E)].value == pytest.approx(e2e, rel=1e-3)
    assert run.decode_usage is not None
    assert run.usage.busy == pytest.approx(0.02e-3 * first, rel=0.25)


def test_pools_of_several_replicas_conserve_requests() -> None:
    """Three prefill and two decode replicas, routed to the least loaded: as many come out as go in,
    and the decode pool's tokens are all but the first ones."""
    first, second = _pools(KvAccounting.BLOCKS)
    router = Router(RouterPolicy.LEAST_OUTSTANDING)
    pools = [
        Pool(config=first.config, timing=PREFILL, replicas=3, router=router),
        Pool(config=second.config, timing=DECODE, replicas=2, router=router),
    ]
    workload = DrawnWorkload(
        Arrivals(ConstantRate(40.0)), Lengths.fixed(60), Lengths.geometric(8.0)
    )
    run = simulate_pools(pools, workload, least_requests=8000, most_requests=8000)
    assert run.keeps_up
    assert run.throughput_rps == pytest.approx(40.0, rel=0.05)
    assert run.refused_share == 0.0
    assert run.decode_usage is not None
    assert run.decode_usage.output_tokens_per_s == pytest.approx(7.0 * 40.0, rel=0.06)
    assert run.usage.output_tokens_per_s == pytest.approx(40.0, rel=0.05)


def test_a_link_that_is_too_slow_is_told() -> None:
    """Transfers that take longer than requests come apart: the backlog grows, nothing keeps up."""
    pools = _pools(KvAccounting.BLOCKS)
    workload = DrawnWorkload(Arrivals(ConstantRate(20.0)), Lengths.fixed(200), Lengths.fixed(4))
    run = simulate_pools(pools, workload, least_requests=4000, most_requests=4000)
    assert not run.keeps_up


def test_roles_are_asked_for() -> None:
    """Pools that do not say what they do are refused."""
    prefill, decode = _pools(KvAccounting.BLOCKS)
    with pytest.raises(SimulationError, match="role AGGREGATED cannot decode"):
        PoolChain(prefill, Pool(config=EngineConfig(), timing=DECODE), seed=0)
    with pytest.raises(SimulationError, match="role DECODE cannot prefill"):
        PoolChain(decode, decode, seed=0)
