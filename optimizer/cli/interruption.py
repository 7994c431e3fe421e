"""Ctrl-C for commands that have nothing to save."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.output import tell

__all__ = ["ending_at_interrupt"]


@contextmanager
def ending_at_interrupt() -> Iterator[None]:
    """End the process with one line and exit code 130 as soon as it is interrupted.

    An exception would not do: raised while a kernel is being compiled it is lost in a callback, and
    compiled code goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread hears signals
        return
    before = signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(number: int, frame: FrameType | None) -> None:
    del number, frame
    tell("fleetopt: interrupted")
    os._exit(ExitCode.INTERRUPTED)
