from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optimizer.engine import Arrivals, ConstantRate, EngineConfig, KvAccounting
from optimizer.engine.replica_pool import Pool
from optimizer.engine.simulation import simulate_pools
from optimizer.engine.store_loading import LoadingPool, StoreLoading
from optimizer.engine.traffic import Traffic
from optimizer.engine.workload import DrawnWorkload
from queue_models import IterationTiming, Lengths, Metric, Statistic

# A token of a prompt takes a millisecond, an iteration another one.
TIMING = IterationTiming(1.0, 0.0, 1.0)
AT_ONCE = IterationTiming(1e-6, 0.0, 0.0)
BLOCKS = EngineConfig(num_blocks=2000, max_model_len=2000, max_num_batched_tokens=2000)
LEAN = EngineConfig(
    kv_accounting=KvAccounting.RESERVED, max_model_len=2000, max_num_batched_tokens=2000
)


def _served(pool: Pool, loading: StoreLoading, arrivals: list[float], piece: int) -> Any:
    """Records of prompts of 100 tokens, by number, handed over so many at a time."""
    servers, over = LoadingPool(pool, loading, seed=0), []
    for start in range(0, len(arrivals), piece):
        part = arrivals[start : start + piece]
        traffic = Traffic.none()
        for place, arrival in enumerate(part):
            traffic = traffic.followed_by(Traffic.of_one(start + place, arrival, 100, 1))
        servers.serve(traffic, start, lambda done: over.append(done.copy()))
        servers.advance(part[-1], lambda done: over.append(done.copy()))
    servers.finish(lambda done: over.append(done.copy()))
    assert servers.outstanding == 0
    return np.sort(np.concatenate(over), order="id")


@pytest.mark.parametrize("config", [BLOCKS, LEAN])
@pytest.mark.parametrize("piece", [1, 3])
def test_loads_follow_one_another_and_spare_their_tokens(config: EngineConfig, piece: int) -> None:
    """Three requests load 30 ms each of one store, with 5 ms until the first byte and 10 ms hidden:
    they are ready 25, 45 and 65 ms after they came, and compute the 20 tokens that are left."""
    loading = StoreLoading(
        hit_rate=1.0, tokens=80, own_share=0.0, latency_ms=5.0, transfer_ms=30.0, hidden_ms=10.0
    )
    over = _served(Pool(config=config, timing=TIMING), loading, [100.0, 110.0, 120.0], piece)
    assert over["id"].tolist() == [0, 1, 2]
    assert over["arrival"].tolist() == [100.0, 110.0, 120.0]
    # Each is computed before the next one is there.
    assert over["first"].tolist() == [146.0, 176.0, 206.0]
    assert (over["admitted"] - over["arrival"]).tolist() == [0.0, 0.0, 0.0]
    assert over["first"].tolist() == over["finished"].tolist()


def test_a_store_of_each_replica_has_a_link_of_its_own() -> None:
    """Of many that come at once each waits for those alone that load from the same store."""
    loading = StoreLoading(
        hit_rate=1.0, tokens=99, own_share=0.0, latency_ms=0.0, transfer_ms=50.0, hidden_ms=0.0,
        stores=4,
    )  # fmt: skip
    pool = Pool(config=LEAN, timing=AT_ONCE)
    over = _served(pool, loading, [0.0] * 40, 40)
    counts = np.unique(over["first"].round(3), return_counts=True)
    assert counts[0].tolist() == [50.0 * k for k in range(1, len(counts[0]) + 1)]
    assert counts[1][0] == 4  # the first of every store
    assert 10 <= len(counts[0]) < 40


def test_the_tokens_of_the_own_cache_come_before_those_loaded() -> None:
    """Who hits computes what neither holds; who does not computes what the cache does not hold."""
    for hit_rate, computed in ((1.0, 31.0), (0.0, 81.0)):
        loading = StoreLoading(
            hit_rate=hit_rate, tokens=50, own_share=0.2, latency_ms=0.0, transfer_ms=1.0,
            hidden_ms=1.0,
        )  # fmt: skip
        run = simulate_pools(
            [Pool(config=LEAN, timing=TIMING)],
            DrawnWorkload(
                Arrivals(ConstantRate(0.1)),
                Lengths.fixed(100),
                Lengths.fixed(1),
                prefix_hit_rate=0.2,
                prefix_is_given=True,
            ),
            [Statistic(Metric.TTFT, 1.0)],
            least_requests=200,
            most_requests=200,
            loading=loading,
        )
        value = run.statistics[Statistic(Metric.TTFT, 1.0)].value
        assert value == pytest.approx(computed, rel=0.01)


def test_waiting_for_a_store_is_that_of_an_m_d_1_queue() -> None:
    """Loads of 20 ms at 30 per second keep the store busy for 0.6 of the time and wait for it
    rho / (2 (1 - rho)) loads on average (Pollaczek-Khinchine); TTFT holds all of it."""
    loading = StoreLoading(
        hit_rate=0.5, tokens=99, own_share=0.0, latency_ms=3.0, transfer_ms=20.0, hidden_ms=0.0
    )
    run = simulate_pools(
        [Pool(config=LEAN, timing=AT_ONCE)],
        DrawnWorkload(Arrivals(ConstantRate(60.0)), Lengths.fixed(100), Lengths.fixed(1)),
        [Statistic(Metric.TTFT), Statistic(Metric.WAIT)],
        least_requests=200_000,
        most_requests=200_000,
        loading=loading,
    )
    expected = 3.0 + 20.0 * (1.0 + 0.6 / (2.0 * 0.4))
    assert run.usage.loading_ms == pytest.approx(expected, rel=0.02)
    assert run.usage.store_busy == pytest.approx(0.6, rel=0.01)
    assert run.statistics[Statistic(Metric.TTFT)].value == pytest.approx(0.5 * expected, rel=0.02)
    assert run.statistics[Statistic(Metric.WAIT)].value == pytest.approx(0.0, abs=1e-3)
