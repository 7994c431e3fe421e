"""Work that the tests of sweeps give to workers: importable on all of them."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path


def double(number: int) -> int:
    """Return twice the number."""
    return 2 * number


def divide(number: int) -> float:
    """Fail for 0."""
    return 12 / number


def sleep_at_zero(number: int) -> int:
    """Never return for 0."""
    if number == 0:
        threading.Event().wait(60)
    return number


def die_at_zero(number: int) -> int:
    """Kill the worker for 0."""
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(mark: Path) -> str:
    """Kill the worker the first time, and be done the second."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return mark.name
