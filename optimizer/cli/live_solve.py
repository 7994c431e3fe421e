"""A long solve at a terminal: a live line on standard error, Ctrl-C that keeps the incumbent."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from types import FrameType
from typing import TYPE_CHECKING, Generic, TypeVar

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.output import tell

if TYPE_CHECKING:
    from solvers import CancelFlag, Progress

__all__ = ["LiveLine", "run_interruptibly"]

T = TypeVar("T")

# How often the line is drawn, and how long a solve may take without one: most end before.
_REFRESH_S = 0.1
_QUIET_S = 0.5


class LiveLine:
    """What a solver has reached, in one line that is written over again and again.

    Notes
    -----
    Told from the solver's thread, drawn from the main one.
    """

    def __init__(self) -> None:
        self._latest: Progress | None = None
        self._doing = "solving"
        self._began = time.perf_counter()
        self._width = 0

    def tell(self, progress: Progress) -> None:
        """Keep the latest report."""
        self._latest = progress

    def tell_sized(self, done: int, of: int) -> None:
        """Keep how many blocks are sized."""
        self._doing = "solving" if done == of else f"sizing, {done} of {of} blocks done"

    def text(self, elapsed_s: float) -> str:
        """Return the line, without colours."""
        latest = self._latest
        if latest is None:
            return f"{self._doing}, {elapsed_s:.0f} s"
        incumbent = f"{latest.incumbent:,.2f}" if isfinite(latest.incumbent) else "none yet"
        bound = f"{latest.bound:,.2f}" if isfinite(latest.bound) else "none yet"
        gap = f"{latest.relative_gap:.4%}" if isfinite(latest.relative_gap) else "unknown"
        about = "cost" if latest.priority is None else f"unserved of priority {latest.priority}"
        return f"{about} {incumbent}, bound {bound}, gap {gap}, {elapsed_s:.0f} s"

    def draw(self) -> None:
        """Write the line over the last one."""
        elapsed_s = time.perf_counter() - self._began
        if elapsed_s < _QUIET_S:
            return
        line = self.text(elapsed_s)[: shutil.get_terminal_size().columns - 1]
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def clear(self) -> None:
        """Leave an empty line."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
            self._width = 0


class _Work(threading.Thread, Generic[T]):
    """A thread that keeps what its work returns or raises."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._returned: list[T] = []
        self._raised: BaseException | None = None

    def run(self) -> None:
        try:
            self._returned.append(self._work())
        except BaseException as raised:  # noqa: BLE001 - raised again by result
            self._raised = raised

    def result(self) -> T:
        if self._raised is not None:
            raise self._raised
        return self._returned[0]


def run_interruptibly(work: Callable[[], T], cancel: CancelFlag, line: LiveLine | None) -> T:
    """Run work that heeds a flag; the first Ctrl-C sets it, the second ends the process.

    The work runs in a thread of its own: a solver deep in foreign code would keep the main thread,
    the only one that Python lets handle signals, from ever seeing one.
    """
    thread = _Work(work)
    told = False
    with _interrupts(cancel):
        thread.start()
        while thread.is_alive():
            thread.join(_REFRESH_S)
            if line is not None:
                line.draw()
            if cancel.is_set() and not told:
                told = True
                tell("\nfleetopt: stopping with what there is; Ctrl-C again to abort")
        if line is not None:
            line.clear()
    return thread.result()


@contextmanager
def _interrupts(cancel: CancelFlag) -> Iterator[None]:
    """Turn Ctrl-C into the flag; only the main thread may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_: int, __: FrameType | None) -> None:
        if cancel.is_set():
            # Waiting for the solver's thread is what the second Ctrl-C is meant to avoid.
            os._exit(ExitCode.INTERRUPTED)
        cancel.set()

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
