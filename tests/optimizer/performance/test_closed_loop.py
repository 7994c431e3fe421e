from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizer.performance import ClosedLoad, ClosedLoop, Work, closed_loop, iteration_ms
from tests.optimizer.performance.replicas import replica

WAVES = 7.0


def load(requests: object, **changes: object) -> ClosedLoad:
    base = ClosedLoad(requests=requests, input_tokens=1000.0, output_tokens=200.0)  # type: ignore[arg-type]
    return replace(base, **changes)  # type: ignore[arg-type]


def run(requests: object, engine: str = "vllm", **changes: object) -> ClosedLoop:
    return closed_loop(replica(engine=engine), load(requests, **changes), WAVES)


def test_one_request_meets_no_other() -> None:
    """Alone, the time per token is a decode iteration, and TTFT the own prefill and front end."""
    alone = run(1.0, varied=1.0)
    step = iteration_ms(replica(), Work(decode_tokens=1.0, context_tokens=1100.0))
    assert alone.tpot_ms == pytest.approx(float(step))
    front = replica().engine.front_end_ms
    assert alone.ttft_ms == pytest.approx(float(alone.prefill_ms + alone.decode_ms + front))


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
@pytest.mark.parametrize("varied", [0.0, 1.0])
def test_latencies_rise_with_the_requests_in_flight(engine: str, varied: float) -> None:
    """TTFT, TPOT and throughput do not fall from 1 to 128 requests."""
    loops = run(np.array([1.0, 2, 8, 32, 128]), engine, varied=varied)
    for values in (loops.ttft_ms, loops.tpot_ms, loops.output_tokens_per_s):
        assert np.all(np.diff(values) > 0)


def test_throughput_obeys_little_s_law() -> None:
    """Requests in service = throughput x time in service (TTFT without front end and burst)."""
    loop = run(32.0, varied=1.0)
    burst = float(loop.prefill_ms) * 31 / 2 / 10
    service = loop.ttft_ms - burst - replica().engine.front_end_ms + 200 * loop.tpot_ms
    assert loop.output_tokens_per_s / 200 * service / 1e3 == pytest.approx(32.0)


def test_time_per_token_solves_its_fixed_point() -> None:
    """m·TPOT = m·d + (B - 1)·p·m·TPOT/(s + m·TPOT) holds for engines that mix."""
    loop = run(16.0)
    engine = replica().engine
    steady = loop.prefill_ms * engine.convoy + loop.decode_ms
    service = 200 * loop.tpot_ms
    others = 15 * loop.prefill_ms * service / (steady + service)
    assert service == pytest.approx(float(200 * loop.decode_ms + others))


def test_requests_beyond_the_cache_wait_for_a_place() -> None:
    """With 16 places, 64 requests wait three cycles, and decode as 16 do."""
    free, short = run(16.0), run(64.0, places=16.0)
    assert short.batch == 16
    assert short.tpot_ms == pytest.approx(float(free.tpot_ms))
    assert short.ttft_ms > free.ttft_ms + 2 * 200 * free.tpot_ms


def test_prefill_first_engines_delay_first_tokens_and_not_later_ones() -> None:
    """With equal lengths SGLang's policy has a later first token and faster ones after it."""
    mixed, first = run(64.0), run(64.0, "sglang")
    assert first.ttft_ms > 2 * mixed.ttft_ms
    assert first.tpot_ms < mixed.tpot_ms
