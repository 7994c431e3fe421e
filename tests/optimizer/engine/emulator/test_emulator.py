"""The emulator in step with a clock of the test's own, without HTTP."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from optimizer.engine import EngineConfig, LiveFleet, read_trace
from optimizer.engine.language import Emission, Generation, SamplingParams, built_in_model
from optimizer.engine.replica_pool import Pool, RunningPool
from queue_models import IterationTiming

pytest.importorskip("starlette", reason="the extra `serve` is not installed")

from optimizer.engine.emulator import Emulator, ScaledClock
from optimizer.engine.emulator.emulator import Answer
from optimizer.engine.emulator.mailbox import Ended, Piece
from optimizer.engine.emulator.recording import Recording

TIMING = IterationTiming(2.0, 0.01, 0.001, 0.0)


def _emulator(
    clock: Callable[[], float], *, drafts_by_chance: bool = False, **settings: object
) -> Emulator:
    config = EngineConfig(num_blocks=2000, max_num_seqs=8, **settings)  # type: ignore[arg-type]
    fleet = LiveFleet(config, TIMING, tells_tokens=True)
    return Emulator(
        fleet, built_in_model(), ScaledClock(1.0, clock), drafts_by_chance=drafts_by_chance
    )


@pytest.mark.parametrize(("drafts", "by_chance"), [(0, False), (3, False), (3, True)])
@pytest.mark.parametrize("jump_s", [1e-4, 0.03, 0.5, 20.0])
def test_a_clock_that_jumps_loses_nothing(jump_s: float, drafts: int, by_chance: bool) -> None:
    """Whatever time passes between any two looks at the clock, texts end where they end by
    themselves, and every output is what the language model writes."""
    ticks = itertools.count()
    emulator = _emulator(
        lambda: jump_s * next(ticks),
        drafts_by_chance=by_chance,
        draft_tokens=drafts,
        acceptance_rate=0.7,
    )
    speculates = drafts > 0 and not by_chance
    prompts = [built_in_model().tokenizer.encode(words) for words in ("A plan", "A block is")]
    params = [SamplingParams(max_tokens=60, seed=seed, stop=["."]) for seed in range(12)]

    async def run() -> list[list[Emission]]:
        pump = asyncio.create_task(emulator.run())
        outputs = await asyncio.gather(*(_collected(emulator, prompts, one) for one in params))
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        assert not emulator.failed
        return [output for pair in outputs for output in pair]

    found = asyncio.run(asyncio.wait_for(run(), 600))
    for k, output in enumerate(found):
        generation = Generation(
            built_in_model(), prompts[k % 2], params[k // 2], speculate=speculates
        )
        while generation.finish_reason is None:
            generation.next()
        assert [emission.token for emission in output] == generation.output
        assert "".join(emission.text for emission in output) == generation.text
    assert int(emulator.fleet.state.replicas[0].free) == 1999


async def _collected(
    emulator: Emulator, prompts: list[list[int]], params: SamplingParams
) -> list[list[Emission]]:
    answer = await emulator.submit(prompts, params)
    outputs: list[list[Emission]] = [[] for _ in prompts]
    left = len(prompts)
    while left:
        items = await answer.mailbox.take()
        assert items is not None
        for item in items:
            if isinstance(item, Piece):
                outputs[item.choice].append(item.emission)
            else:
                assert isinstance(item, Ended)
                assert item.outcome == "completed"
                left -= 1
    return outputs


def test_a_fleet_that_is_slower_than_its_clock_still_listens() -> None:
    """Where more time passes at every look at the clock than the fleet works off, a request is
    taken back when it is asked for, not when all texts are over; its blocks are free then."""
    ticks = itertools.count()
    emulator = _emulator(lambda: 0.1 * next(ticks))
    params = SamplingParams(max_tokens=4000, ignore_eos=True)
    first = asyncio.run(emulator.submit([[300, 301]], params))
    second = asyncio.run(emulator.submit([[302]], params))
    asyncio.run(emulator.catch_up())
    emulator.cancel(second)
    assert emulator.open_outputs == 1
    assert emulator.fleet.has(first.numbers[0])
    emulator.cancel(first)
    assert emulator.fleet.now_ms < 1000.0
    assert int(emulator.fleet.state.replicas[0].free) == 1999


def test_streams_go_on_while_a_scrape_waits_for_the_fleet() -> None:
    """Where a minute of work has piled up, whoever wants the fleet to be at the present (a scrape,
    a command) waits for it, and nobody else for that: tokens are read, and others have their turn,
    again and again in the meantime."""
    seconds = [0.0]
    emulator = _emulator(lambda: seconds[0])
    params = SamplingParams(max_tokens=20_000, ignore_eos=True)

    async def read(answer: Answer) -> int:
        taken = 0
        while True:
            items = await answer.mailbox.take()
            taken += 1
            if items is None or emulator.fleet.now_ms > 15_000.0:
                return taken

    async def run() -> tuple[int, int]:
        answer = await emulator.submit([[300, 301]], params)
        seconds[0] = 30.0
        reader = asyncio.create_task(read(answer))
        scrapes = asyncio.gather(*(emulator.catch_up() for _ in range(3)))
        turns = 0
        while not scrapes.done():
            turns += 1
            await asyncio.sleep(0)
        assert emulator.fleet.now_ms >= 30_000.0
        assert reader.done()
        emulator.cancel(answer)
        return turns, await reader

    turns, taken = asyncio.run(asyncio.wait_for(run(), 300))
    assert turns > 1000
    assert taken > 500


def _served_alone(emulator: Emulator, *prompts: list[int], tokens: int) -> list[list[Emission]]:
    """Serve prompts one after another, each to its end."""
    params = SamplingParams(max_tokens=tokens, seed=3, ignore_eos=True)

    async def run() -> list[list[Emission]]:
        pump = asyncio.create_task(emulator.run())
        outputs = [(await _collected(emulator, [prompt], params))[0] for prompt in prompts]
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        return outputs

    return asyncio.run(asyncio.wait_for(run(), 600))


def test_drafts_are_accepted_where_the_draft_model_guessed_the_text() -> None:
    """What comes out together is what two models agree on, whatever chance is set: runs of guessed
    tokens, cut at the number of drafts, with one more; by chance only where that is asked for."""
    for by_chance in (False, True):
        ticks = itertools.count()
        emulator = _emulator(
            lambda ticks=ticks: 0.01 * next(ticks),
            drafts_by_chance=by_chance,
            draft_tokens=3,
            acceptance_rate=0.0,
        )
        (output,) = _served_alone(emulator, built_in_model().tokenizer.encode("A train"), tokens=64)
        replica = emulator.fleet.state.replicas[0]
        accepted, place = 0, 1
        while place < len(output):
            most = min(3, len(output) - place - 1)
            run = list(itertools.takewhile(lambda e: e.guessed, output[place : place + most]))
            accepted += len(run)
            place += len(run) + 1
        if by_chance:
            assert replica.accepted_drafts == 0
        else:
            assert replica.accepted_drafts == accepted > 10


def test_parts_of_blocks_are_shared_where_the_engine_finds_them() -> None:
    """With a unit of 4 tokens a prompt finds 20 tokens of one that it shares 22 with; without one,
    the one block of 16."""
    for unit, hit in ((4, 20), (None, 16)):
        ticks = itertools.count()
        emulator = _emulator(lambda ticks=ticks: 0.01 * next(ticks), prefix_match_unit=unit)
        shared = list(range(300, 322))
        _served_alone(emulator, shared, [*shared, 400, 401, 402, 403], tokens=1)
        assert int(emulator.fleet.metrics()[0].prefix_hits) == hit


def test_equal_seeds_and_arrivals_give_equal_tokens_at_equal_times() -> None:
    """Two emulators under clocks that show the same write the same and schedule it alike, also
    where requests bring no seed; with another seed of the engine they write something else."""

    def run(seed: int) -> tuple[list[list[int]], float]:
        ticks = itertools.count()
        emulator = _emulator(lambda: 0.01 * next(ticks), seed=seed)

        async def serve() -> list[list[int]]:
            pump = asyncio.create_task(emulator.run())
            outputs = await _collected(
                emulator, [[300, 301], [302]], SamplingParams(max_tokens=40, ignore_eos=True)
            )
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            return [[emission.token for emission in output] for output in outputs]

        return asyncio.run(asyncio.wait_for(serve(), 600)), emulator.fleet.metrics()[0].running

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_when_the_engine_fails_everyone_is_told() -> None:
    """An error in the pump ends every output as failed, and the emulator says so."""
    emulator = _emulator(itertools.count().__next__)

    async def run() -> str:
        answer = await emulator.submit([[1]], SamplingParams(max_tokens=1000, ignore_eos=True))
        emulator.fleet.advance = None  # type: ignore[assignment,method-assign]
        with pytest.raises(TypeError):
            await emulator.run()
        (*_, end) = await answer.mailbox.take() or ()
        assert isinstance(end, Ended)
        return end.outcome

    assert asyncio.run(run()) == "failed"
    assert emulator.failed


@pytest.mark.parametrize("unit", [None, 4])
def test_what_was_recorded_is_simulated_with_the_same_prefix_hits(
    unit: int | None, tmp_path: Path
) -> None:
    """Chats whose prompts hold what was said before, written down, read as a trace and simulated,
    find the same tokens in the prefix cache and are preempted as often; without what they share
    they find nothing."""
    config = EngineConfig(num_blocks=30, max_num_seqs=8, max_model_len=400, prefix_match_unit=unit)
    ticks, recording = itertools.count(), Recording()
    emulator = Emulator(
        LiveFleet(config, TIMING, tells_tokens=True),
        built_in_model(),
        ScaledClock(1.0, lambda: 1e-3 * next(ticks)),
        on_submitted=recording.submitted,
        on_happened=recording.happened,
    )

    async def chat(seed: int) -> None:
        prompt = list(range(300, 320 + seed % 2))
        for turn in range(3):
            params = SamplingParams(max_tokens=30 + seed, seed=seed, ignore_eos=True)
            (output,) = await _collected(emulator, [prompt], params)
            prompt += [emission.token for emission in output] + [400 + turn]

    async def run() -> None:
        pump = asyncio.create_task(emulator.run())
        await asyncio.gather(*(chat(seed) for seed in range(6)))
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)

    asyncio.run(asyncio.wait_for(run(), 300))
    served = emulator.fleet.state.replicas[0]
    assert served.hit_tokens > 500
    found = {}
    for name, write in (("a.jsonl", recording.write_json_lines), ("a.csv", recording.write_csv)):
        with (tmp_path / name).open("w", newline="") as file:
            write(file)
        pool = RunningPool(Pool(config=config, timing=TIMING), seed=0)
        pool.serve(read_trace(tmp_path / name).traffic(), 0, lambda _done: None)
        pool.finish(lambda _done: None)
        (found[name],) = pool.totals()
    for counted in ("queried_tokens", "hit_tokens", "preemptions", "iterations"):
        assert found["a.jsonl"][counted] == getattr(served, counted), counted
    assert found["a.csv"]["hit_tokens"] == 0
