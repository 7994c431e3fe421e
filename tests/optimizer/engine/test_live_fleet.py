"""Replicas that come, go, slow down and fail, against the engine that tells one event at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from optimizer.engine import (
    OUTCOMES,
    Distribution,
    Ended,
    EngineConfig,
    Happened,
    KvAccounting,
    LiveFleet,
    LiveFleetError,
    OnlineEngine,
    Phase,
    Policy,
    Preemption,
    Router,
    Tokens,
    Traffic,
)
from queue_models import IterationTiming
from tests.optimizer.engine.test_invariants import _check

TIMING = IterationTiming(10.0, 1.0, 0.25, 0.015625)
PLAIN = IterationTiming(10.0, 0.0, 0.0)


def _config(rng: np.random.Generator) -> EngineConfig:
    size = int(rng.choice([1, 4, 16]))
    return EngineConfig(
        kv_accounting=KvAccounting.BLOCKS,
        block_size=size,
        num_blocks=2 + -(-44 // size) + int(rng.integers(0, 60 // size + 2)),
        max_num_seqs=int(rng.integers(1, 9)),
        max_num_batched_tokens=int(rng.choice([5, 16, 64])),
        prefix_caching=bool(rng.random() < 0.6),
        policy=Policy(int(rng.random() < 0.4)),
        preemption=Preemption(int(rng.random() < 0.5)),
        cpu_blocks=int(rng.integers(0, 80 // size + 1)),
        kv_bytes_per_token=1e6,
        link_gb_per_s=1.0,
        draft_tokens=int(rng.choice([0, 0, 2])),
        acceptance_rate=0.6,
        max_waiting=None if rng.random() < 0.8 else 3,
        max_model_len=64,
        seed=int(rng.integers(100)),
    )


def _traffic(rng: np.random.Generator, count: int = 40) -> Traffic:
    shared = rng.integers(0, 20, count)
    return Traffic(
        arrival_ms=np.cumsum(rng.exponential(rng.choice([4.0, 20.0, 80.0]), count)),
        prompt=rng.integers(1, 24, count).astype(np.int32),
        output=rng.integers(1, 16, count).astype(np.int32),
        given=np.zeros(count, np.int32),
        priority=rng.integers(1, 4, count).astype(np.int32),
        deadline_ms=np.full(count, np.inf),
        first_ms=np.full(count, -1.0),
        segment_of=2 * np.arange(count + 1),
        keys=np.stack([100 + rng.integers(0, 3, count), 1000 + rng.integers(0, 6, count)], 1)
        .ravel()
        .astype(np.int64),
        ends=np.stack([shared, np.full(count, 1 << 30)], 1).ravel().astype(np.int32),
    )


def _each(traffic: Traffic) -> list[dict[str, object]]:
    return [
        {
            "prompt": int(traffic.prompt[i]),
            "output": int(traffic.output[i]),
            "arrival_ms": float(traffic.arrival_ms[i]),
            "priority": int(traffic.priority[i]),
            "keys": traffic.keys[2 * i : 2 * i + 2],
            "ends": traffic.ends[2 * i : 2 * i + 2],
        }
        for i in range(traffic.arrival_ms.size)
    ]


def _tokens(happened: Happened) -> list[tuple[float, int, int]]:
    return sorted(
        zip(
            happened.time_ms.tolist(),
            happened.request.tolist(),
            happened.tokens.tolist(),
            strict=True,
        )
    )


def _over(happened: Happened) -> list[tuple[float, int, str, int]]:
    return sorted(
        (float(e["finished"]), int(e["id"]), OUTCOMES[int(e["outcome"])], int(e["emitted"]))
        for e in happened.over
    )


def _is_whole(fleet: LiveFleet) -> bool:
    """Whether every block of every replica is free."""
    usable = fleet.config.usable_blocks
    return all(int(row.free) == usable for row in fleet.state.replicas)


@pytest.mark.parametrize("seed", range(40))
def test_the_schedule_is_that_of_the_engine_told_event_by_event(seed: int) -> None:
    """On random settings, loads, routers and numbers of replicas, every token comes out at the same
    time and every request ends alike, whether requests are offered together or handed in one by
    one."""
    rng = np.random.default_rng(seed)
    config, traffic, replicas = _config(rng), _traffic(rng), int(rng.integers(1, 4))
    router = Router(int(rng.integers(0, 4)), most_apart=2)
    engine = OnlineEngine(config, TIMING, replicas=replicas, router=router)
    offered = LiveFleet(config, TIMING, replicas=replicas, router=router, tells_tokens=True)
    handed = LiveFleet(config, TIMING, replicas=replicas, router=router, tells_tokens=True)
    offered.offer(traffic)
    events = []
    for request in _each(traffic):
        events += engine.advance(float(request["arrival_ms"]))  # type: ignore[arg-type]
        engine.submit(**request)  # type: ignore[arg-type]
        handed.submit(**request)  # type: ignore[arg-type]
    events += engine.advance(math.inf)
    expected = sorted((e.time_ms, e.request, e.tokens) for e in events if isinstance(e, Tokens))
    ends = sorted(
        (e.time_ms, e.request, e.outcome, e.emitted) for e in events if isinstance(e, Ended)
    )
    for fleet in (offered, handed):
        happened = fleet.advance(math.inf)
        assert _tokens(happened) == expected
        assert _over(happened) == ends
        assert _is_whole(fleet)
        assert (np.diff(happened.time_ms) >= 0).all()


@pytest.mark.parametrize("seed", range(60, 80))
def test_a_request_told_late_where_it_ends_is_one_that_asked_for_that(seed: int) -> None:
    """Requests that ask for 40 tokens and are told their true length while they run, two tokens
    before it at the latest, are scheduled as requests that asked for it."""
    rng = np.random.default_rng(seed)
    config, traffic = _config(rng), _traffic(rng)
    config = replace(config, num_blocks=config.num_blocks + 20)  # so that 40 tokens more fit
    true = {n: int(length) for n, length in enumerate(traffic.output)}
    asked = traffic._replace(output=np.full_like(traffic.output, 40))
    straight = LiveFleet(config, TIMING, tells_tokens=True)
    straight.offer(traffic)
    expected = straight.advance(math.inf)

    fleet = LiveFleet(config, TIMING, tells_tokens=True)
    seen: dict[int, int] = {}
    told: list[tuple[float, int, int]] = []
    ends: list[tuple[float, int, str, int]] = []
    for request in [*_each(asked), None]:
        until = math.inf if request is None else float(request["arrival_ms"])  # type: ignore[arg-type]
        reached = False
        while not reached:
            happened = fleet.advance(until, most_iterations=1)
            reached = happened.reached
            told += _tokens(happened)
            ends += _over(happened)
            for number, tokens in zip(
                happened.request.tolist(), happened.tokens.tolist(), strict=True
            ):
                seen[number] = seen.get(number, 0) + tokens
            over = {number for _, number, _, _ in ends}
            for number, tokens in seen.items():
                margin = 2 + 2 * config.draft_tokens
                if number not in over and true[number] - tokens <= margin:
                    fleet.shorten(number, true[number])
        if request is not None:
            number = fleet.submit(**request)  # type: ignore[arg-type]
            if true[number] <= 2 + 2 * config.draft_tokens and number in fleet._engine._slot:
                fleet.shorten(number, true[number])
    assert sorted(told) == _tokens(expected)
    assert sorted(ends) == _over(expected)
    assert _is_whole(fleet)


def test_metrics_count_what_came_out() -> None:
    """Every histogram and counter is what the tokens and the records of requests say, computed
    anew from them."""
    rng = np.random.default_rng(5)
    config = EngineConfig(num_blocks=40, max_num_seqs=8, max_num_batched_tokens=64, block_size=4)
    fleet = LiveFleet(config, TIMING, tells_tokens=True)
    traffic = _traffic(rng, 200)
    fleet.offer(traffic)
    happened = fleet.advance(math.inf)
    (seen,) = fleet.metrics()
    done = happened.over
    assert done.size == 200

    def check(distribution: Distribution, values: np.ndarray) -> None:
        histogram = seen.histograms[distribution]
        assert histogram.count == values.size
        assert histogram.cumulative == tuple(
            int((values <= edge).sum()) for edge in histogram.edges
        )
        assert histogram.sum == pytest.approx(float(values.sum()))

    check(Distribution.TTFT, (done["first"] - done["arrival"]) / 1e3)
    check(Distribution.E2E, (done["finished"] - done["arrival"]) / 1e3)
    check(Distribution.QUEUE, (done["admitted"] - done["arrival"]) / 1e3)
    check(Distribution.PREFILL, (done["first"] - done["admitted"]) / 1e3)
    check(Distribution.GENERATION_TOKENS, done["emitted"].astype(float))
    check(Distribution.PREEMPTIONS, done["preemptions"].astype(float))
    gaps = []
    for number in range(200):
        times = happened.time_ms[happened.request == number]
        gaps += (np.diff(times) / 1e3).tolist()
    check(Distribution.ITL, np.array(gaps))
    assert seen.generation_tokens == int(happened.tokens.sum()) == int(done["emitted"].sum())
    assert seen.prompt_tokens == int(done["prompt"].sum())
    assert seen.finished == {"stop": 0, "length": 200, "abort": 0, "error": 0}
    assert seen.preemptions == int(done["preemptions"].sum()) > 0
    assert (seen.running, seen.waiting, seen.kv_usage) == (0, 0, 0.0)


def test_a_replica_that_is_added_is_ready_after_its_start() -> None:
    """Of two requests that come before it is ready, both go to the first replica; it shows no
    metrics until then, and takes every second request afterwards."""
    fleet = LiveFleet(EngineConfig(), PLAIN, router=Router(1), startup_ms=1000.0)
    assert fleet.add() == [1]
    assert [one.phase for one in fleet.replicas()] == [Phase.READY, Phase.STARTING]
    assert [seen.replica for seen in fleet.metrics()] == [0]
    for at in (0.0, 999.0, 1000.0, 1001.0):
        fleet.submit(8, 2, arrival_ms=at)
    over = fleet.advance(5000.0).over
    assert {int(e["id"]): int(e["replica"]) for e in over} == {0: 0, 1: 0, 2: 0, 3: 1}
    assert [one.ready_ms for one in fleet.replicas()] == [0.0, 1000.0]
    assert fleet.paid_ms == 2 * 5000.0


def test_a_replica_that_is_removed_finishes_what_it_has() -> None:
    """A request of 100 tokens of 10 ms that runs when its replica is removed ends at 1000 ms, and
    the replica goes with it; one that comes later finds none and is refused."""
    fleet = LiveFleet(EngineConfig(), PLAIN)
    first = fleet.submit(8, 100)
    fleet.advance(105.0)
    fleet.scale_to(0)
    assert (fleet.count(), [one.phase for one in fleet.replicas()]) == (0, [Phase.DRAINING])
    late = fleet.submit(8, 1, arrival_ms=200.0)
    over = fleet.advance(2000.0).over
    ends = {int(e["id"]): (float(e["finished"]), OUTCOMES[int(e["outcome"])]) for e in over}
    assert ends == {first: (1000.0, "completed"), late: (200.0, "refused")}
    assert fleet.replicas() == []
    assert (fleet.unrouted, fleet.paid_ms) == (1, 1000.0)


def test_without_draining_a_replica_goes_at_once() -> None:
    """Its request fails with the tokens it had, and its blocks are free."""
    fleet = LiveFleet(EngineConfig(), PLAIN, replicas=2, router=Router(1))
    fleet.submit(8, 100)
    fleet.advance(55.0)
    fleet.remove(0, drain=False)
    (end,) = fleet.advance(55.0).over
    assert (OUTCOMES[int(end["outcome"])], int(end["emitted"]), int(end["replica"])) == (
        "failed",
        5,
        0,
    )
    assert [one.number for one in fleet.replicas()] == [1]
    assert _is_whole(fleet)


@pytest.mark.parametrize("seed", range(90, 100))
def test_a_crash_ends_every_request_and_leaves_nothing_behind(seed: int) -> None:
    """Wherever requests are at the time, waiting, running, swapped or being copied, all of the
    replica's fail and every block, place and count is as at the start; others' go on."""
    rng = np.random.default_rng(seed)
    config, traffic = _config(rng), _traffic(rng)
    traffic = traffic._replace(arrival_ms=0.1 * traffic.arrival_ms)
    fleet = LiveFleet(config, TIMING, replicas=2, router=Router(1), tells_tokens=True)
    fleet.offer(traffic)
    before = fleet.advance(float(traffic.arrival_ms[25]) + 3.0)
    fleet.crash(0, restart_ms=20_000.0)
    row = fleet.state.replicas[0]
    assert int(row.free) == config.usable_blocks
    assert int(row.cpu_free) == config.cpu_blocks
    assert int(row.outstanding) == int(row.running) == int(row.waiting) == 0
    _check(fleet.state, config.rules())
    assert [seen.replica for seen in fleet.metrics()] == [1]
    assert fleet.replicas()[0].cause == "crashed"
    after = fleet.advance(math.inf)
    assert fleet.replicas()[0].phase is Phase.READY
    ends = [int(n) for n in (*before.over["id"], *after.over["id"])]
    assert sorted(ends) == list(range(40))
    failed = after.over[after.over["outcome"] == 5]
    assert failed.size > 0
    assert (failed["replica"] == 0).all()
    assert _is_whole(fleet)


def test_a_restarted_replica_begins_anew() -> None:
    """After a crash at 100 ms with a restart of 500 ms the replica takes requests again from 600 ms
    on, its counters at 0 and its prefix cache empty."""
    fleet = LiveFleet(EngineConfig(), PLAIN)
    keys, ends = (7,), (2**30,)
    fleet.submit(64, 2, keys=keys, ends=ends)
    fleet.advance(100.0)
    fleet.run_out_of_memory(0, restart_ms=500.0)
    assert fleet.replicas()[0].cause == "out of memory"
    fleet.submit(64, 2, arrival_ms=599.0, keys=keys, ends=ends)
    fleet.submit(64, 2, arrival_ms=600.0, keys=keys, ends=ends)
    over = fleet.advance(1000.0).over
    assert [OUTCOMES[int(e["outcome"])] for e in over] == ["refused", "completed"]
    (seen,) = fleet.metrics()
    assert (seen.finished["length"], seen.prefix_hits, seen.generation_tokens) == (1, 0, 2)


def test_a_slow_replica_takes_so_many_times_as_long() -> None:
    """From 25 ms to 100 ms iterations that begin last 30 ms instead of 10: they end at 10, 20, 30
    (begun before), 60, 90, 120, and then at 130 and 140 again."""
    fleet = LiveFleet(EngineConfig(), PLAIN, tells_tokens=True)
    fleet.submit(8, 8)
    fleet.advance(25.0)
    fleet.slow(0, 3.0, duration_ms=75.0)
    assert fleet.replicas()[0].pace == 3.0
    happened = fleet.advance(1000.0)
    assert happened.time_ms.tolist() == [30.0, 60.0, 90.0, 120.0, 130.0, 140.0]
    assert fleet.replicas()[0].pace == 1.0


def test_later_faults_outlive_earlier_ones() -> None:
    """A replica slowed until 50 ms and again until 200 ms is slow at 100 ms, and `heal` ends it."""
    fleet = LiveFleet(EngineConfig(), PLAIN)
    fleet.slow(0, 2.0, duration_ms=50.0)
    fleet.slow(0, 4.0, duration_ms=200.0)
    fleet.hide_metrics(0, duration_ms=50.0)
    fleet.hide_metrics(0)
    fleet.advance(100.0)
    assert (fleet.replicas()[0].pace, fleet.metrics()) == (4.0, [])
    fleet.heal(0)
    assert (fleet.replicas()[0].pace, len(fleet.metrics())) == (1.0, 1)


def test_hidden_metrics_come_back() -> None:
    """A replica that hides its metrics for 100 ms serves all the while, and counts."""
    fleet = LiveFleet(EngineConfig(), PLAIN)
    fleet.submit(8, 5)
    fleet.hide_metrics(0, duration_ms=100.0)
    fleet.advance(99.0)
    assert fleet.metrics() == []
    fleet.advance(101.0)
    assert fleet.metrics()[0].generation_tokens == 5


def test_many_replicas_come_and_go_without_losing_a_request() -> None:
    """Under steady traffic a fleet that is scaled up and down at random, with crashes, ends every
    request once; rows are used again and nothing leaks; the same changes give the same tokens."""

    def run() -> tuple[list[tuple[float, int, int]], list[int]]:
        rng = np.random.default_rng(11)
        fleet = LiveFleet(
            EngineConfig(num_blocks=64, max_num_seqs=4),
            TIMING,
            router=Router(2),
            startup_ms=200.0,
            tells_tokens=True,
        )
        fleet.offer(_traffic(rng, 300))
        tokens, ends = [], []
        for _ in range(60):
            happened = fleet.advance(fleet.now_ms + 100.0)
            tokens += _tokens(happened)
            ends += [int(n) for n in happened.over["id"]]
            fleet.scale_to(int(rng.integers(1, 7)))
            if rng.random() < 0.2:
                fleet.crash(fleet.replicas()[0].number, restart_ms=150.0)
            _check(fleet.state, fleet.config.rules())
        happened = fleet.advance(math.inf)
        assert _is_whole(fleet)
        assert fleet.state.replicas.size <= 32
        return tokens + _tokens(happened), ends + [int(n) for n in happened.over["id"]]

    tokens, ends = run()
    assert sorted(ends) == list(range(300))
    assert run() == (tokens, ends)


def test_what_a_fleet_cannot_do_is_said() -> None:
    """Each refusal names what came and what is wanted."""
    fleet = LiveFleet(EngineConfig(), PLAIN)
    fleet.advance(100.0)
    with pytest.raises(LiveFleetError, match=r"until_ms = 99.0: must be from 100"):
        fleet.advance(99.0)
    with pytest.raises(LiveFleetError, match=r"until_ms = nan"):
        fleet.advance(math.nan)
    with pytest.raises(LiveFleetError, match=r"prompt = 0: must be from 1"):
        fleet.submit(0, 1)
    with pytest.raises(LiveFleetError, match=r"there is no replica 5; there are: 0"):
        fleet.slow(5, 2.0)
    with pytest.raises(LiveFleetError, match=r"factor = nan"):
        fleet.slow(0, math.nan)
    with pytest.raises(LiveFleetError, match=r"restart_ms = 60001: must be from 0 to 60000"):
        fleet.crash(0, restart_ms=60_001)
    with pytest.raises(LiveFleetError, match=r"shorten\(request=3"):
        fleet.shorten(3, 1)
    late = _traffic(np.random.default_rng(0))
    with pytest.raises(LiveFleetError, match=r"arrivals must be in order and not before 100 ms"):
        fleet.offer(late)
    with pytest.raises(LiveFleetError, match=r"count = -1"):
        fleet.scale_to(-1)
