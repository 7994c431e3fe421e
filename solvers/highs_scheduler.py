"""HiGHS's one task scheduler per process: who may run with how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

__all__ = ["highs_threads"]

_changed = Condition()
_running = 0
_threads: int | None = None


@contextmanager
def highs_threads(threads: int) -> Iterator[None]:
    """Run HiGHS with this number of threads.

    HiGHS refuses a number that differs from that of the process's first run until its scheduler is
    reset, and a reset under a running solve would pull the scheduler from under it: runs with the
    same number go together, others wait for them to end.
    """
    global _running, _threads
    import highspy

    with _changed:
        _changed.wait_for(lambda: _running == 0 or _threads == threads)
        if _threads != threads:
            highspy.Highs.resetGlobalScheduler(True)
            _threads = threads
        _running += 1
    try:
        yield
    finally:
        with _changed:
            _running -= 1
            _changed.notify_all()
