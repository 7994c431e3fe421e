"""The other side of `solvers.isolated_backend`: one back end, one request, then the end."""

from __future__ import annotations

import dataclasses
import os
import pickle
import sys
import threading
import time
from typing import IO, Any

from solvers.cancellation import CancelFlag
from solvers.errors import SolverBackendError, SolverError
from solvers.isolated_backend import IsolatedJob
from solvers.problem import IntArray

__all__ = ["serve"]


class _PipeMonitor:
    """Writes what the back end tells into the pipe to the parent."""

    def __init__(self, pipe: IO[bytes], cancel: CancelFlag, can_cancel: bool) -> None:
        self.can_cancel = can_cancel
        self._pipe = pipe
        self._cancel = cancel
        self._lock = threading.Lock()

    def cancelled(self) -> bool:
        return self._cancel.is_set()

    def incumbent(self, x: IntArray) -> None:
        self.tell("incumbent", x)

    def bound(self, bound: float) -> None:
        self.tell("bound", bound)

    def tell(self, kind: str, content: Any) -> None:
        data = pickle.dumps((kind, content))
        with self._lock:
            self._pipe.write(data)
            self._pipe.flush()


def serve() -> None:
    """Read a job from standard input, run it, and write what happens to standard output."""
    # Whatever else writes to standard output, in any language, must not get between the messages.
    pipe = os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    job: IsolatedJob = pickle.load(sys.stdin.buffer)
    cancel = CancelFlag()
    threading.Thread(target=_obey, args=(cancel,), daemon=True).start()
    monitor = _PipeMonitor(pipe, cancel, job.can_cancel)
    try:
        left = None if job.deadline is None else max(job.deadline - time.time(), 0.01)
        request = dataclasses.replace(job.request, time_limit_s=left, monitor=monitor)
        monitor.tell("answer", job.factory(*job.arguments)(request))
    except SolverError as failure:
        monitor.tell("failure", failure)
    except MemoryError as failure:
        monitor.tell("failure", SolverBackendError(f"the back end ran out of memory: {failure}"))
    pipe.close()
    # The thread that reads standard input never ends by itself.
    os._exit(0)


def _obey(cancel: CancelFlag) -> None:
    """Set the flag when told to; end at once when the parent has."""
    # The buffer may hold bytes already, so it is asked, not the descriptor.
    while sys.stdin.buffer.read(1):
        cancel.set()
    os._exit(1)
