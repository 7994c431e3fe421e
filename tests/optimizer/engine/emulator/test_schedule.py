"""Over HTTP, the schedule of a simulation; five hundred streams at once."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable

import pytest

from optimizer.engine import EngineConfig, LiveFleet, Router, RouterPolicy
from optimizer.engine.language import Generation, SamplingParams, built_in_model
from tests.optimizer.engine.emulator.served import TIMING, Served

Chunks = list[dict[str, object]]


async def _stream(one: Served, path: str, body: dict[str, object]) -> Chunks:
    """Read a stream to its end over a connection of its own."""
    host, _, port = one.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**20)
    raw = json.dumps({"model": "tiny", "stream": True, "return_token_ids": True, **body}).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(raw)}\r\n\r\n"
    writer.write(head.encode() + raw)
    try:
        assert b" 200 " in await reader.readline()
        chunks: Chunks = []
        while (line := await reader.readline()) != b"data: [DONE]\n":
            assert line, "the stream ended early"
            if line.startswith(b"data: "):
                chunks.append(json.loads(line[6:]))
        return chunks
    finally:
        writer.close()
        await writer.wait_closed()


def _token_ids(chunks: Chunks) -> list[int]:
    return [t for chunk in chunks for choice in chunk["choices"] for t in choice["token_ids"]]  # type: ignore[attr-defined]


def test_five_hundred_streams_at_once(serving: Callable[..., Served]) -> None:
    """Each of them, with a prompt and a seed of its own, gets every token that the language model
    writes for it, in order, without an error; nothing is left behind."""
    one = serving(replicas=2)

    async def run() -> list[Chunks]:
        bodies = [
            {"prompt": [300 + k, 301, 302 + k], "seed": k, "max_tokens": 8 + k % 9}
            for k in range(500)
        ]
        return await asyncio.gather(
            *(_stream(one, "/v1/completions", {**body, "ignore_eos": True}) for body in bodies)
        )

    every = asyncio.run(asyncio.wait_for(run(), 120))
    assert len(every) == 500
    for k, chunks in enumerate(every):
        params = SamplingParams(seed=k, max_tokens=8 + k % 9, ignore_eos=True)
        generation = Generation(built_in_model(), [300 + k, 301, 302 + k], params)
        while generation.finish_reason is None:
            generation.next()
        assert _token_ids(chunks) == generation.output
        assert len(chunks) == 8 + k % 9
    assert all(int(row.free) == 4096 for row in one.emulator.fleet.state.replicas)
    assert one.emulator.open_outputs == 0


@pytest.mark.parametrize(("drafts", "by_chance"), [(0, False), (2, False), (2, True)])
def test_the_schedule_over_http_is_that_of_a_simulation(
    serving: Callable[..., Served], drafts: int, by_chance: bool
) -> None:
    """What came over HTTP, simulated afterwards at the same arrivals, gets every token at the very
    same time: with preemptions, a prefix cache, texts that end by themselves, and drafts."""
    config = EngineConfig(
        num_blocks=25,  # two requests at a time are too many
        max_num_seqs=16,
        max_num_batched_tokens=64,
        max_model_len=512,
        draft_tokens=drafts,
        acceptance_rate=0.5,
        seed=7,
    )
    one = serving(config=config, replicas=2, drafts_by_chance=by_chance)

    async def run() -> None:
        messages = [{"role": "user", "content": f"Tell me about {k % 5} " * 8} for k in range(30)]
        await asyncio.gather(
            *(
                _stream(
                    one,
                    "/v1/chat/completions",
                    {
                        "messages": [message],
                        "n": 1 + k % 2,
                        "max_tokens": 200,
                        "ignore_eos": k % 3 > 0,
                    },
                )
                for k, message in enumerate(messages)
            )
        )

    asyncio.run(asyncio.wait_for(run(), 120))
    assert {int(m) for m in one.emulator.fleet.state.replicas.preemptions} != {0}
    traffic = one.recording.traffic()
    assert traffic.arrival_ms.size == 45
    router = Router(RouterPolicy.LEAST_OUTSTANDING)
    again = LiveFleet(config, TIMING, replicas=2, router=router, tells_tokens=True)
    for k, guesses in enumerate(one.recording.guesses()):
        first, last = traffic.segment_of[k : k + 2]
        number = again.submit(
            int(traffic.prompt[k]),
            int(traffic.output[k]),
            arrival_ms=float(traffic.arrival_ms[k]),
            keys=traffic.keys[first:last],
            ends=traffic.ends[first:last],
        )
        assert (guesses is None) == (drafts == 0 or by_chance)
        again.tell_guesses(number, 0, guesses or [])
    happened = again.advance(math.inf)
    columns = (happened.time_ms, happened.request, happened.tokens)
    simulated = zip(*(column.tolist() for column in columns), strict=True)
    assert sorted(one.tokens) == sorted(simulated)


def test_scaled_time_passes_faster(serving: Callable[..., Served]) -> None:
    """At a speed of 50 the tokens of a request are as far apart in engine time as ever."""
    one = serving(speed=50.0)
    body = {"prompt": "A", "max_tokens": 200, "ignore_eos": True}
    chunks = asyncio.run(_stream(one, "/v1/completions", body))
    assert len(chunks) == 200
    times = [time for time, _, _ in one.tokens]
    assert times[-1] - times[0] == pytest.approx(199 * 2.01, rel=0.01)
