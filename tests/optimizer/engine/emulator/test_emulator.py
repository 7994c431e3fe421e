"""The emulator in step with a clock of the test's own, without HTTP."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest

from optimizer.engine import EngineConfig, LiveFleet
from optimizer.engine.language import Emission, Generation, SamplingParams, built_in_model
from queue_models import IterationTiming

pytest.importorskip("starlette", reason="the extra `serve` is not installed")

from optimizer.engine.emulator import Emulator, ScaledClock
from optimizer.engine.emulator.mailbox import Ended, Piece

TIMING = IterationTiming(2.0, 0.01, 0.001, 0.0)


def _emulator(clock: Callable[[], float], **settings: object) -> Emulator:
    config = EngineConfig(num_blocks=2000, max_num_seqs=8, **settings)  # type: ignore[arg-type]
    fleet = LiveFleet(config, TIMING, tells_tokens=True)
    return Emulator(fleet, built_in_model(), ScaledClock(1.0, clock))


@pytest.mark.parametrize("drafts", [0, 3])
@pytest.mark.parametrize("jump_s", [1e-4, 0.03, 0.5, 20.0])
def test_a_clock_that_jumps_loses_nothing(jump_s: float, drafts: int) -> None:
    """Whatever time passes between any two looks at the clock, texts end where they end by
    themselves, and every output is what the language model writes."""
    ticks = itertools.count()
    emulator = _emulator(lambda: jump_s * next(ticks), draft_tokens=drafts, acceptance_rate=0.7)
    prompts = [built_in_model().tokenizer.encode(words) for words in ("A plan", "A block is")]
    params = [SamplingParams(max_tokens=60, seed=seed, stop=["."]) for seed in range(12)]

    async def run() -> list[list[Emission]]:
        pump = asyncio.create_task(emulator.run())
        outputs = await asyncio.gather(*(_collected(emulator, prompts, one) for one in params))
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        assert not emulator.failed
        return [output for pair in outputs for output in pair]

    found = asyncio.run(asyncio.wait_for(run(), 60))
    for k, output in enumerate(found):
        generation = Generation(built_in_model(), prompts[k % 2], params[k // 2])
        while generation.finish_reason is None:
            generation.next()
        assert [emission.token for emission in output] == generation.output
        assert "".join(emission.text for emission in output) == generation.text
    assert int(emulator.fleet.state.replicas[0].free) == 1999


async def _collected(
    emulator: Emulator, prompts: list[list[int]], params: SamplingParams
) -> list[list[Emission]]:
    answer = emulator.submit(prompts, params)
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

        return asyncio.run(asyncio.wait_for(serve(), 60)), emulator.fleet.metrics()[0].running

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_when_the_engine_fails_everyone_is_told() -> None:
    """An error in the pump ends every output as failed, and the emulator says so."""
    emulator = _emulator(itertools.count().__next__)

    async def run() -> str:
        answer = emulator.submit([[1]], SamplingParams(max_tokens=1000, ignore_eos=True))
        emulator.fleet.advance = None  # type: ignore[assignment,method-assign]
        with pytest.raises(TypeError):
            await emulator.run()
        (*_, end) = await answer.mailbox.take() or ()
        assert isinstance(end, Ended)
        return end.outcome

    assert asyncio.run(run()) == "failed"
    assert emulator.failed
