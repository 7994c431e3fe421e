"""A serving engine without an accelerator: OpenAI's API over a live fleet, in step with a clock.

It needs the extra `serve`; `fleetopt serve` starts it.
"""

from __future__ import annotations

from optimizer.engine.emulator.application import ServerSettings, create_app
from optimizer.engine.emulator.clock import ScaledClock
from optimizer.engine.emulator.emulator import Emulator, Submitted
from optimizer.engine.emulator.limits import Limits

__all__ = [
    "Emulator",
    "Limits",
    "ScaledClock",
    "ServerSettings",
    "Submitted",
    "create_app",
]
