"""Everything compiled before the first request comes."""

from __future__ import annotations

import asyncio
import math

from optimizer.engine.emulator.clock import ScaledClock
from optimizer.engine.emulator.emulator import Emulator
from optimizer.engine.language import LanguageModel, SamplingParams
from optimizer.engine.live_fleet import LiveFleet
from optimizer.engine.routing import Router
from optimizer.engine.rules import EngineConfig
from queue_models import Timing

__all__ = ["warm_up"]


def warm_up(config: EngineConfig, timing: Timing, model: LanguageModel) -> None:
    """Use every compiled function once, on a fleet of its own.

    Compiling takes half a minute at the first time; later processes find it on disk.
    """
    fleet = LiveFleet(config, timing, router=Router(), tells_tokens=True)
    emulator = Emulator(fleet, model, ScaledClock())
    room = min(config.max_model_len - 1, 40)
    params = SamplingParams(max_tokens=max(room, 1), logprobs=1)
    emulator.cancel(asyncio.run(emulator.submit([[1], [1]], params)))
    asyncio.run(emulator.submit([[1]], params))
    fleet.next_event_ms()
    fleet.advance(math.inf)
    fleet.crash(0)
