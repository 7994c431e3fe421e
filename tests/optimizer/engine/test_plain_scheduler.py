from __future__ import annotations

import math

import numpy as np
import pytest

from optimizer.engine import EngineConfig, Iteration, OnlineEngine, Policy, Tokens
from optimizer.engine.batch import in_order, serve
from optimizer.engine.routing import Router
from optimizer.engine.state import new_state
from optimizer.engine.time_law import time_law
from optimizer.engine.traffic import Traffic
from queue_models import IterationTiming
from tests.optimizer.engine.plain_scheduler import PlainScheduler, Request

LAW = (10.0, 1.0, 0.25, 0.015625)
COUNT = 40


def _config(rng: np.random.Generator) -> EngineConfig:
    size = int(rng.choice([1, 2, 4, 16]))
    unit = int(rng.choice([unit for unit in (1, 2, 4, 8) if unit <= size]))
    return EngineConfig(
        prefix_match_unit=None if rng.random() < 0.5 else unit,
        block_size=size,
        num_blocks=1 + -(-39 // size) + int(rng.integers(0, 60 // size + 2)),
        max_num_seqs=int(rng.integers(1, 9)),
        max_num_batched_tokens=int(rng.choice([5, 8, 16, 64])),
        long_prefill_token_threshold=int(rng.choice([0, 0, 3, 7])),
        prefix_caching=bool(rng.random() < 0.7),
        reserve_full_isl=bool(rng.random() < 0.5),
        watermark=float(rng.choice([0.0, 0.0, 0.1])),
        policy=Policy(int(rng.random() < 0.4)),
        max_model_len=64,
    )


def _requests(rng: np.random.Generator) -> list[Request]:
    arrivals = np.cumsum(rng.exponential(rng.choice([4.0, 20.0, 80.0]), COUNT))
    requests = []
    for number in range(COUNT):
        prompt, output = int(rng.integers(1, 24)), int(rng.integers(1, 16))
        shared = int(rng.integers(0, 20))
        content = ((100 + int(rng.integers(3)), shared), (1000 + int(rng.integers(6)), 1 << 30))
        requests.append(
            Request(
                number, float(arrivals[number]), prompt, output, int(rng.integers(1, 4)), content
            )
        )
    return requests


def _traffic(requests: list[Request]) -> Traffic:
    def column(name: str) -> np.ndarray:
        return np.array([getattr(r, name) for r in requests], np.int32)

    return Traffic(
        np.array([r.arrival for r in requests]),
        column("prompt"),
        column("output"),
        np.zeros(len(requests), np.int32),
        column("priority"),
        np.full(len(requests), np.inf),
        np.full(len(requests), -1.0),
        2 * np.arange(len(requests) + 1),
        np.array([key for r in requests for key, _ in r.content]),
        np.array([end for r in requests for _, end in r.content], np.int32),
    )


@pytest.mark.parametrize("seed", range(60))
def test_every_iteration_is_that_of_the_plain_scheduler(seed: int) -> None:
    """On random settings and loads every iteration computes the same tokens of the same requests
    at the same times, and every block table is the same, as by the rules written down plainly."""
    rng = np.random.default_rng(seed)
    config, requests = _config(rng), _requests(rng)
    plain = PlainScheduler(config, *LAW)
    online = OnlineEngine(config, IterationTiming(*LAW), watch_iterations=True)
    events = []
    for request in requests:
        keys, ends = zip(*request.content, strict=True)
        events += online.advance(request.arrival)
        online.submit(
            request.prompt,
            request.output,
            arrival_ms=request.arrival,
            priority=request.priority,
            keys=keys,
            ends=ends,
        )
    events += online.advance(math.inf)
    plain.run(requests)

    iterations = [e for e in events if isinstance(e, Iteration)]
    assert [(i.start_ms, i.end_ms, i.scheduled) for i in iterations] == [
        step[:3] for step in plain.iterations
    ]
    tokens = [(e.time_ms, e.request) for e in events if isinstance(e, Tokens)]
    assert tokens == plain.tokens
    state = online.state
    assert state.replicas[0].free == config.usable_blocks == len(plain.free)
    order, block = [], 0
    while (block := int(state.blocks[0, block].next)) != 0:
        order.append(block)
    assert order == plain.free
    assert {b for b in order if state.blocks[0, b].key != 0} == set(plain.hash)


@pytest.mark.parametrize("seed", range(200, 260))
def test_a_batch_run_is_that_of_the_plain_scheduler(seed: int) -> None:
    """Requests served at one go, most iterations being only counted, get their first and last
    tokens when they get them one iteration after another."""
    rng = np.random.default_rng(seed)
    config, requests = _config(rng), _requests(rng)
    traffic = _traffic(requests)
    rules, law = config.rules(), time_law(IterationTiming(*LAW))
    state = new_state(rules, 1, slots=COUNT, longest=64, done=2 * COUNT + 2)
    chosen, order = in_order(state, rules, Router(), traffic, 0)
    assert serve(state, rules, law, Router(), traffic, chosen, order, 0, 0, np.inf) == COUNT
    plain = PlainScheduler(config, *LAW)
    plain.run(requests)

    done = state.done[: state.done_count[0]]
    got = [(float(d.finished), int(d.id), int(d.preemptions)) for d in done]
    assert got == plain.finished
    first = {number: time for time, number in reversed(plain.tokens)}
    assert {int(d.id): float(d.first) for d in done} == first
    replica = state.replicas[0]
    assert replica.iterations == len(plain.iterations)
    assert replica.busy_ms == pytest.approx(sum(i[1] - i[0] for i in plain.iterations))
    assert replica.emitted_tokens == len(plain.tokens) == state.gaps.sum() + COUNT
    assert replica.prefill_tokens + replica.decode_tokens == sum(
        n for i in plain.iterations for _, n in i[2]
    )
    assert (replica.context, replica.tabled, replica.outstanding) == (0, 0, 0)
