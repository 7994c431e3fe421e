"""A back end in a process of its own: stopped from outside when it is deaf to clock and cancel.

Back ends look up between their steps only, and on large models one step can take longer than all
the time there is. What the back end tells its monitor arrives here while it runs, so that stopping
the process loses nothing that was found.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from solvers.errors import SolverBackendError
from solvers.exact import Backend, BackendAnswer, BackendRequest
from solvers.result import Limit

__all__ = ["LARGE", "IsolatedJob", "isolated", "isolated_when_large"]

# Columns and usage entries together from which a back end gets a process of its own: below, no
# step of HiGHS 1.14 took longer than 0.3 s (family `fleet`, 5 000 groups); at twice the size 1 s,
# at four times 4 s. Starting the process takes 0.3 s.
LARGE = 100_000
# What a back end may overrun on its own account before it is stopped: seconds, and a share of the
# limit; and how long it may take to stop once cancelled.
_GRACE_S = 0.3
_GRACE_SHARE = 0.04
_CANCEL_GRACE_S = 0.5
_POLL_S = 0.05
_STDERR_TAIL = 2000

# The child must find this package, and whatever makes its back end, where this process found them.
_BOOTSTRAP = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from solvers.backend_process import serve; serve()"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IsolatedJob:
    """What the process is sent: how to make the back end, and what to ask it.

    Parameters
    ----------
    factory
        A function at the top of a module, so that it can be named across processes.
    arguments
        Of the factory, picklable.
    request
        Without a monitor: the process has one of its own.
    deadline
        `time.time()` at which the time is up; None: never.
    can_cancel
        Whether a cancel may follow.
    """

    factory: Callable[..., Backend]
    arguments: tuple[Any, ...]
    request: BackendRequest
    deadline: float | None
    can_cancel: bool


def isolated_when_large(
    factory: Callable[..., Backend], arguments: tuple[Any, ...], *, large: int = LARGE
) -> Backend:
    """Return a back end that runs in this process or, where it could be deaf, in its own.

    Parameters
    ----------
    factory
        Makes the back end, given `arguments`; see `IsolatedJob`.
    large
        Columns and usage entries together from which it gets a process of its own.

    Notes
    -----
    Without a time limit and a cancel flag it may be deaf, and this process does.
    """
    here = factory(*arguments)
    apart = isolated(factory, arguments)

    def ask(request: BackendRequest) -> BackendAnswer:
        size = request.problem.columns + len(request.problem.usage.values)
        if request.programme is not None:
            size = request.programme.variables + len(request.programme.values)
        hurried = request.time_limit_s is not None or request.monitor.can_cancel
        return apart(request) if hurried and size >= large else here(request)

    return ask


def isolated(factory: Callable[..., Backend], arguments: tuple[Any, ...]) -> Backend:
    """Return a back end that runs in a process of its own, whatever the size."""

    def ask(request: BackendRequest) -> BackendAnswer:
        # The temporary files of a process that is stopped are its parent's to remove.
        with (
            tempfile.TemporaryDirectory(prefix="fleetopt-", ignore_cleanup_errors=True) as folder,
            tempfile.TemporaryFile() as errors,
        ):
            child = _Child(folder, errors)
            try:
                return child.run(factory, arguments, request)
            finally:
                child.stop()

    return ask


class _Child:
    """One process and its pipes."""

    def __init__(self, folder: str, errors: IO[bytes]) -> None:
        self._errors = errors
        self._messages: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._began = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOTSTRAP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "TMPDIR": folder, "TEMP": folder, "TMP": folder},
            # A group of its own: Ctrl-C at the terminal is for the parent, and stopping the group
            # stops what the back end started.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def run(
        self,
        factory: Callable[..., Backend],
        arguments: tuple[Any, ...],
        request: BackendRequest,
    ) -> BackendAnswer:
        limit = request.time_limit_s
        job = IsolatedJob(
            factory=factory,
            arguments=arguments,
            request=_without_monitor(request),
            deadline=None if limit is None else time.time() + limit,
            can_cancel=request.monitor.can_cancel,
        )
        self._send(pickle.dumps(sys.path) + pickle.dumps(job))
        cancelled_at: float | None = None
        while True:
            answer = self._next(request)
            if answer is not None:
                return answer
            now = time.perf_counter()
            if limit is not None and now - self._began > limit * (1 + _GRACE_SHARE) + _GRACE_S:
                return self._stopped(Limit.TIME, now)
            if cancelled_at is not None and now - cancelled_at > _CANCEL_GRACE_S:
                return self._stopped(Limit.INTERRUPTED, now)
            if cancelled_at is None and request.monitor.cancelled():
                cancelled_at = now
                self._send(b"c")

    def stop(self) -> None:
        """End the process and what it started, and close the pipes."""
        if self._process.poll() is None:
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # what was not yet written is of no use any more

    def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it has ended; the reader finds out why

    def _read(self) -> None:
        """Put whatever arrives into the queue; in a thread, because pipes know no time limit."""
        assert self._process.stdout is not None
        try:
            while True:
                self._messages.put(pickle.load(self._process.stdout))
        except (EOFError, pickle.UnpicklingError):
            self._messages.put(("end", None))

    def _next(self, request: BackendRequest) -> BackendAnswer | None:
        """Take one message, passing on what it tells; return the answer if it is that."""
        try:
            kind, content = self._messages.get(timeout=_POLL_S)
        except queue.Empty:
            return None
        if kind == "incumbent":
            request.monitor.incumbent(content)
        elif kind == "bound":
            request.monitor.bound(content)
        elif kind == "failure":
            raise content
        elif kind == "end":
            raise SolverBackendError(self._obituary())
        else:
            answer: BackendAnswer = content
            return answer
        return None

    def _obituary(self) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace")[-_STDERR_TAIL:].strip()
        return (
            f"the back end's process ended with status {status} and without an answer"
            f"{' (out of memory?)' if status == -9 else ''}; it said: {words or 'nothing'}"
        )

    def _stopped(self, limit: Limit, now: float) -> BackendAnswer:
        return BackendAnswer(
            limit=limit,
            detail="the back end did not look up and was stopped from outside",
            solve_s=now - self._began,
        )


def _without_monitor(request: BackendRequest) -> BackendRequest:
    return BackendRequest(
        problem=request.problem,
        time_limit_s=request.time_limit_s,
        relative_gap=request.relative_gap,
        absolute_gap=request.absolute_gap,
        start=request.start,
        programme=request.programme,
        point=request.point,
    )
