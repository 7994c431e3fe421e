"""Five hundred streams of the emulator at once: events per second, and how late they come.

    python -m benchmarks.emulator_streams [--tokens 128] [--once]

The server is a process of its own, the client this one; both run in one thread. Each stream has
its own connection, prompt and seed; all open together, on one replica, so that a token of each
comes out in every iteration. Iterations last so long that the schedule asks for the rate of a row.
A token's error is when the client has read it, less when the simulated schedule has it; both
processes read one clock. Every token is compared with what the language model writes. CPU is that
of the server's process, from the first connection to the last token.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from optimizer.engine import EngineConfig, Happened, LiveFleet
from optimizer.engine.language import Generation, SamplingParams, built_in_model
from queue_models import IterationTiming

# Streams, and tokens per second of all together.
CASES = ((20, 500), (100, 1_000), (500, 2_500), (500, 5_000), (500, 10_000))
CONFIG = EngineConfig(num_blocks=65_536, max_num_seqs=1024, max_model_len=4096)


def serve(iteration_ms: float, pipe: Connection) -> None:
    """Serve until told to end; then send the schedule, and the CPU time used."""
    import uvicorn

    from optimizer.engine.emulator import (
        Emulator,
        ScaledClock,
        ServerSettings,
        Submitted,
        create_app,
    )
    from optimizer.engine.emulator.serving import opened_socket
    from optimizer.engine.emulator.warm_up import warm_up

    timing = IterationTiming(iteration_ms, 0.0, 0.0, 0.0)
    warm_up(CONFIG, timing, built_in_model())
    prompts: dict[int, int] = {}
    tokens: list[tuple[float, int]] = []

    def submitted(request: Submitted) -> None:
        prompts[request.number] = request.prompt

    def happened(what: Happened) -> None:
        tokens.extend(zip(what.time_ms.tolist(), what.request.tolist(), strict=True))

    fleet = LiveFleet(CONFIG, timing, tells_tokens=True)
    started = time.monotonic()
    emulator = Emulator(
        fleet,
        built_in_model(),
        ScaledClock(1.0),
        on_submitted=submitted,
        on_happened=happened,
    )
    listening = opened_socket("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(emulator, ServerSettings(model="m")),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
    )

    def report() -> None:
        pipe.send(listening.getsockname()[1])
        pipe.recv()
        before = time.process_time()
        pipe.recv()
        used = time.process_time() - before
        pipe.send((started, used, [(ms, prompts[number]) for ms, number in tokens]))
        server.should_exit = True

    threading.Thread(target=report).start()
    server.run(sockets=[listening])


async def read_stream(port: int, prompt: int, tokens: int) -> tuple[bytes, list[tuple[float, int]]]:
    """Return what one stream said, and how many events had come at which times."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps(
        {
            "model": "m",
            "prompt": [300] * prompt,
            "max_tokens": tokens,
            "seed": prompt,
            "stream": True,
            "ignore_eos": True,
            "return_token_ids": True,
        }
    ).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    raw, seen, marks = b"", 0, []
    while not raw.endswith(b"data: [DONE]\n\n\r\n") and b"0\r\n\r\n" not in raw[-8:]:
        part = await reader.read(65_536)
        if not part:
            break
        raw += part
        seen += part.count(b"data: {")
        marks.append((time.monotonic(), seen))
    writer.close()
    return raw, marks


def checked(raw: bytes, prompt: int, tokens: int) -> bool:
    """Whether the stream has every token in order."""
    params = SamplingParams(seed=prompt, max_tokens=tokens, ignore_eos=True)
    generation = Generation(built_in_model(), [300] * prompt, params)
    while generation.finish_reason is None:
        generation.next()
    lines = [line[6:] for line in raw.split(b"\n") if line.startswith(b"data: {")]
    found = [t for line in lines for c in json.loads(line)["choices"] for t in c["token_ids"]]
    return found == generation.output


def measure(rate: float, streams: int, tokens: int) -> str:
    """Return a row of the table: what came at a rate that the schedule asks for."""
    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=serve, args=(1e3 * streams / rate, other))
    process.start()
    port = pipe.recv()

    async def run() -> list[Any]:
        return await asyncio.gather(*(read_stream(port, 8 + k, tokens) for k in range(streams)))

    pipe.send("begin")
    outputs = asyncio.run(run())
    pipe.send("end")
    started, used, schedule = pipe.recv()
    process.join()
    planned: dict[int, list[float]] = {}
    for ms, prompt in schedule:
        planned.setdefault(prompt, []).append(started + ms / 1e3)
    errors, whole, last, first = [], 0, 0.0, np.inf
    for k, (raw, marks) in enumerate(outputs):
        whole += checked(raw, 8 + k, tokens)
        before = 0
        for moment, seen in marks:
            errors += [moment - due for due in planned[8 + k][before:seen]]
            before = seen
        last, first = max(last, marks[-1][0]), min(first, planned[8 + k][0])
    late = 1e3 * np.array(errors)
    p50, p99 = np.percentile(late, [50, 99])
    events = streams * tokens
    return (
        f"{rate:>10,.0f}{events:>9,}{f'{whole}/{streams}':>10}{events / (last - first):>12,.0f}"
        f"{p50:>10.1f}{p99:>9.1f}{late.max():>9.1f}{events / used:>14,.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.emulator_streams")
    parser.add_argument("--tokens", type=int, default=128, help="of every stream")
    parser.add_argument("--once", action="store_true", help="small: shows that it works")
    arguments = parser.parse_args()
    tokens = 8 if arguments.once else arguments.tokens
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; streams of {tokens} tokens")
    print(
        f"{'asked /s':>10}{'events':>9}{'whole':>10}{'reached /s':>12}"
        f"{'late p50':>10}{'p99':>9}{'max ms':>9}{'per CPU s':>14}"
    )
    for streams, rate in CASES[:1] if arguments.once else CASES:
        print(measure(rate, streams, tokens), flush=True)


if __name__ == "__main__":
    main()
