"""Ctrl-C for commands that have nothing to save."""

from __future__ import annotations

import multiprocessing
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
    compiled code goes on. Where other processes work and this one waits, an exception does, and
    whoever started them ends them.
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
    if multiprocessing.active_children():
        raise KeyboardInterrupt
    tell("fleetopt: interrupted")
    os._exit(ExitCode.INTERRUPTED)
