from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from optimizer.engine import (
    Ended,
    EngineConfig,
    Iteration,
    OnlineEngine,
    Policy,
    Preemption,
    ReplicaRole,
    Router,
    Tokens,
)
from optimizer.engine.language import Generation, SamplingParams, TextSampler, built_in_model
from optimizer.engine.rules import Rules
from optimizer.engine.state import NONE, EngineState
from queue_models import IterationTiming, TableTiming

TIMING = IterationTiming(10.0, 1.0, 0.25, 0.01)


def _config(rng: np.random.Generator) -> EngineConfig:
    size = int(rng.choice([1, 4, 16]))
    role = ReplicaRole(int(rng.choice([0, 0, 0, 1, 2])))
    drafts = int(rng.choice([0, 0, 2]))
    return EngineConfig(
        prefix_match_unit=int(rng.choice([unit for unit in (1, 2, 4, 16) if unit <= size])),
        block_size=size,
        num_blocks=2 + -(-44 // size) + int(rng.integers(0, 60 // size + 2)),
        max_num_seqs=int(rng.integers(1, 9)),
        max_num_batched_tokens=int(rng.choice([5, 16, 64])),
        prefix_caching=bool(rng.random() < 0.6),
        policy=Policy(int(rng.random() < 0.4)),
        preemption=Preemption(int(rng.random() < 0.6)),
        cpu_blocks=int(rng.integers(0, 80 // size + 1)),
        kv_bytes_per_token=1e6,
        link_gb_per_s=float(rng.choice([0.05, 1.0, 100.0])),
        draft_tokens=drafts,
        acceptance_rate=0.6,
        role=role,
        max_waiting=None if rng.random() < 0.7 else 3,
        drop_late=bool(rng.random() < 0.3),
        max_model_len=64,
        seed=int(rng.integers(100)),
    )


def _check(state: EngineState, rules: Rules) -> None:
    """Blocks are free or held, and every table is accounted for."""
    for r in range(state.replicas.size):
        replica, blocks = state.replicas[r], state.blocks[r]
        free, at = set(), int(blocks[0].next)
        while at != 0:
            assert int(blocks[int(blocks[at].next)].previous) == at
            assert at not in free
            free.add(at)
            at = int(blocks[at].next)
        assert len(free) == replica.free
        assert {b for b in range(1, blocks.size) if blocks[b].references == 0} == free
        held = np.zeros(blocks.size, int)
        taken = {int(s) for s in state.free_slots[: state.free_slots[-1]]}
        for slot in set(range(state.requests.size)) - taken:
            request = state.requests[slot]
            if request.replica == r and request.seat != NONE:
                np.add.at(held, state.tables[request.seat, : request.held], 1)
                assert request.held * rules.block_size >= min(request.computed, request.known)
        assert (held == blocks["references"]).all()
        assert 0 <= replica.cpu_free <= rules.cpu_blocks
        assert replica.running <= rules.max_num_seqs
        chained = sum(int(b) != 0 for b in blocks["key"][1:])
        found = 0
        for head in state.buckets[r]:
            while head != 0:
                twin = head
                while True:
                    found += 1
                    assert blocks[twin].key == blocks[head].key
                    twin = int(blocks[twin].next_twin)
                    if twin == head:
                        break
                head = int(blocks[head].chain)
        assert found == chained


@pytest.mark.parametrize("seed", range(40))
def test_nothing_leaks_whatever_happens(seed: int) -> None:
    """With swapping, drafts, roles, priorities, refusals, deadlines, aborts and forks at random:
    time never goes back, no block is lost or held twice, every request ends once, and tokens are
    counted once."""
    rng = np.random.default_rng(seed)
    config = _config(rng)
    engine = OnlineEngine(
        config,
        TIMING,
        replicas=2,
        router=Router(int(rng.integers(4)), most_apart=2),
        watch_iterations=True,
    )
    rules = config.rules()
    wanted: dict[int, int] = {}
    events, now = [], 0.0
    for _ in range(60):
        now += float(rng.exponential(rng.choice([5.0, 40.0])))
        events += engine.advance(now)
        prompt = int(rng.integers(1, 24))
        output = 1 if config.role is ReplicaRole.PREFILL else int(rng.integers(2, 18))
        number = engine.submit(
            prompt,
            output,
            priority=int(rng.integers(1, 4)),
            given=prompt if config.role is ReplicaRole.DECODE else 0,
            ttft_deadline_ms=float(rng.choice([math.inf, 60.0])),
            keys=(int(rng.integers(1, 4)), int(rng.integers(10, 99))),
            ends=(int(rng.integers(1, 20)), 99),
        )
        wanted[number] = output
        if rng.random() < 0.2:
            engine.abort(int(rng.integers(number + 1)))
        if rng.random() < 0.2:
            events += engine.step()
            child = engine.fork(number) if number in engine._slot else None
            if child is not None:
                wanted[child] = output
        _check(engine.state, rules)
    events += engine.advance(math.inf)
    _check(engine.state, rules)

    ended = [e for e in events if isinstance(e, Ended)]
    assert sorted(e.request for e in ended) == sorted(wanted)
    emitted = dict.fromkeys(wanted, 0)
    for event in events:
        if isinstance(event, Tokens):
            assert event.tokens >= 1
            emitted[event.request] += event.tokens
    for event in ended:
        if event.outcome == "completed":
            assert event.emitted == wanted[event.request]
    assert sum(emitted.values()) == int(engine.state.replicas.emitted_tokens.sum())
    for r in range(2):
        mine = [e for e in events if isinstance(e, Iteration) and e.replica == r]
        assert all(a.end_ms <= b.start_ms for a, b in itertools.pairwise(mine))
        assert all(e.end_ms > e.start_ms for e in mine)
        replica = engine.state.replicas[r]
        assert (replica.context, replica.tabled, replica.outstanding) == (0, 0, 0)
        assert (replica.waiting, replica.running, replica.coming_free) == (0, 0, 0)
        assert replica.free == config.usable_blocks
        assert replica.cpu_free == config.cpu_blocks
        assert sum(n for e in mine for _, n in e.scheduled) == (
            replica.decode_tokens + replica.prefill_tokens
        )


@pytest.mark.parametrize("seed", range(12))
def test_nothing_leaks_where_text_decides(seed: int) -> None:
    """With stops that nobody foresees, guesses of a draft model, forks, aborts, swapping and blocks
    found in part: no block is lost, every text is told once and in order, and it is the text that
    its seed gives alone."""
    rng = np.random.default_rng(seed)
    config = dataclasses.replace(_config(rng), role=ReplicaRole.AGGREGATED, max_waiting=None)
    sampler = TextSampler()
    engine = OnlineEngine(config, TIMING, replicas=2, sampler=sampler)
    model, rules = built_in_model(), config.rules()
    spoken: dict[int, Generation] = {}
    told: dict[int, list[int]] = {}
    events: list[object] = []

    def begin(request: int, prompt: list[int], params: SamplingParams) -> Generation:
        speculate = config.draft_tokens > 0
        spoken[request] = Generation(model, prompt, params, speculate=speculate, room=60)
        sampler.begin(request, spoken[request])
        return spoken[request]

    for number in range(40):
        events += engine.advance(engine.now_ms + float(rng.exponential(15.0)))
        prompt = model.tokenizer.encode("What is a token? What is a plan?")[
            : int(rng.integers(1, 15))
        ]
        params = SamplingParams(
            max_tokens=int(rng.integers(1, 18)), seed=number, logit_bias={256: 5.0}, stop=("e ",)
        )
        request = engine.submit(
            len(prompt), params.max_tokens, priority=int(rng.integers(1, 3)), keys=(7,), ends=(99,)
        )
        begin(request, prompt, params)
        if rng.random() < 0.2:
            engine.abort(int(rng.integers(request + 1)))
        _check(engine.state, rules)
    events += engine.advance(math.inf)
    _check(engine.state, rules)
    ended = {}
    for event in events:
        if isinstance(event, Tokens):
            emissions = sampler.take(event.request, event.tokens)
            assert len(emissions) == event.tokens
            told.setdefault(event.request, []).extend(e.token for e in emissions)
        elif isinstance(event, Ended):
            ended[event.request] = event
    assert sorted(ended) == sorted(spoken)
    for request, generation in spoken.items():
        if ended[request].outcome == "completed":
            assert generation.finish_reason is not None
            assert told[request] == generation.output
            assert ended[request].emitted == len(generation.output)
        else:
            assert told.get(request, []) == generation.output
    for replica in engine.state.replicas:
        assert replica.free == config.usable_blocks
        assert replica.cpu_free == config.cpu_blocks


def test_the_same_seed_gives_the_same_events() -> None:
    """Draws depend on the seed and the request: with it the run is the same, with another not."""

    def run(seed: int) -> list[object]:
        config = EngineConfig(draft_tokens=3, acceptance_rate=0.5, num_blocks=300, seed=seed)
        engine = OnlineEngine(config, TIMING, replicas=3)
        for place in range(20):
            engine.submit(30, 40, arrival_ms=25.0 * place)
        return list(engine.advance(math.inf))

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_a_table_of_times_is_read_between_its_points_and_beyond() -> None:
    """A table of a linear law gives the linear law's schedule, also beyond its last points."""
    decode, prefill, kv = np.array([0.0, 2.0, 5.0]), np.array([0.0, 30.0]), np.array([0.0, 64.0])
    time = 10.0 + decode[:, None, None] + 0.25 * prefill[None, :, None] + 0.5 * kv[None, None, :]
    ends = []
    for timing in (TableTiming(decode, prefill, kv, time), IterationTiming(10.0, 1.0, 0.25, 0.5)):
        engine = OnlineEngine(EngineConfig(num_blocks=300), timing)
        for place in range(12):
            engine.submit(20 + place, 30, arrival_ms=5.0 * place)
        ends.append([e.time_ms for e in engine.advance(math.inf) if isinstance(e, Ended)])
    assert ends[0] == pytest.approx(ends[1])
