"""Emulators that listen on a port of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

import uvicorn

from optimizer.engine import EngineConfig, Happened, LiveFleet, Router, RouterPolicy
from optimizer.engine.emulator import (
    Emulator,
    Limits,
    ScaledClock,
    ServerSettings,
    create_app,
)
from optimizer.engine.emulator.recording import Recording
from optimizer.engine.emulator.serving import opened_socket
from optimizer.engine.emulator.warm_up import warm_up
from optimizer.engine.language import built_in_model
from queue_models import IterationTiming

TIMING = IterationTiming(2.0, 0.01, 0.001, 0.0)
CONFIG = EngineConfig(num_blocks=4097, max_num_seqs=256, max_model_len=2048)


@dataclass
class Served:
    """A running emulator, and everything that came out of its fleet."""

    url: str
    emulator: Emulator
    recording: Recording
    tokens: list[tuple[float, int, int]] = field(default_factory=list)

    def note(self, happened: Happened) -> None:
        """Keep what came out."""
        self.recording.happened(happened)
        columns = (happened.time_ms, happened.request, happened.tokens)
        self.tokens += zip(*(column.tolist() for column in columns), strict=True)


@contextmanager
def served(
    config: EngineConfig = CONFIG,
    timing: IterationTiming = TIMING,
    *,
    replicas: int = 1,
    speed: float = 1.0,
    limits: Limits | None = None,
    former_names: bool = False,
    drafts_by_chance: bool = False,
) -> Iterator[Served]:
    """Serve from another thread until the block ends."""
    warm_up(config, timing, built_in_model())
    fleet = LiveFleet(
        config,
        timing,
        replicas=replicas,
        router=Router(RouterPolicy.LEAST_OUTSTANDING),
        tells_tokens=True,
    )
    recording = Recording()
    listening = opened_socket("127.0.0.1", 0)
    one = Served(f"http://127.0.0.1:{listening.getsockname()[1]}", None, recording)  # type: ignore[arg-type]
    one.emulator = Emulator(
        fleet,
        built_in_model(),
        ScaledClock(speed),
        drafts_by_chance=drafts_by_chance,
        on_submitted=recording.submitted,
        on_happened=one.note,
    )
    settings = ServerSettings(
        model="tiny",
        admin_token="secret",
        limits=limits or Limits(),
        most_replicas=8,
        former_names=former_names,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(one.emulator, settings),
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=1,
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield one
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
