"""Runs in processes of their own: started, watched, killed when they do not stop."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from optimizer.experiments.run import RunRequest, RunStatus

__all__ = ["ChildOutcome", "run_in_children"]

_COMMAND = "from optimizer.experiments.measured_solve import main; main()"

# Reading or generating the largest instances takes a minute on a slow machine.
_PREPARE_LIMIT_S = 600.0

# A process that has reported may take this long to end before it is ended.
_EXIT_GRACE_S = 5.0
_POLL_S = 0.005

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
_ERROR_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildOutcome:
    """What a process reported, and how it ended.

    Parameters
    ----------
    fields
        Fields of the `RunRow` that are known; `status` always is.
    """

    request: RunRequest
    fields: dict[str, Any]


def run_in_children(requests: Iterable[RunRequest], *, jobs: int = 1) -> Generator[ChildOutcome]:
    """Run each request in a process of its own, `jobs` at a time; yield as they end.

    Processes still running when the iteration is given up, as on Ctrl-C, are killed.
    """
    waiting = deque(requests)
    running: set[_Child] = set()
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or running:
                while waiting and len(running) < jobs:
                    child = _Child(waiting.popleft())
                    running.add(child)
                    selector.register(child.output, selectors.EVENT_READ, child)
                patience = min(child.deadline for child in running) - time.monotonic()
                for key, _ in selector.select(max(patience, 0.0)):
                    child = key.data
                    if child.read():
                        continue
                    selector.unregister(child.output)
                    running.remove(child)
                    yield child.finish()
                for child in running:
                    child.kill_if_overdue()
        finally:
            for child in running:
                child.kill()
                child.finish()


@dataclass(eq=False)
class _Child:
    """A process at work."""

    request: RunRequest
    overdue: bool = False
    _report: bytes = b""
    _fields: dict[str, Any] = field(default_factory=dict)
    _finished: bool = False

    def __post_init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by finish()
        self._begin = time.monotonic()
        self.deadline = self._begin + _PREPARE_LIMIT_S
        self._process = subprocess.Popen(
            # -P: a folder called `solvers` where the user happens to be is not ours.
            [sys.executable, "-P", "-c", _COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(self.request.settings.threads),
            start_new_session=True,  # Ctrl-C is ours to handle, and its children end with it
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.output = self._process.stdout
        with suppress(BrokenPipeError):  # it died at once: its exit status says so
            self._process.stdin.write(self.request.to_json().encode() + b"\n")
            self._process.stdin.close()

    def read(self) -> bool:
        """Take what the process reported; False when it reports no more."""
        piece = os.read(self.output.fileno(), 65536)
        *lines, self._report = (self._report + piece).split(b"\n")
        for line in lines:
            event = json.loads(line)
            self._fields |= event["row"]
            if event["event"] == "started":
                self.deadline = time.monotonic() + self.request.settings.kill_after_s
            else:
                self._finished = True
        return bool(piece)

    def kill_if_overdue(self) -> None:
        """Kill the process when its deadline has passed; its end is then seen by `read`."""
        if not self.overdue and time.monotonic() >= self.deadline:
            self.overdue = True
            self.deadline = time.monotonic() + _EXIT_GRACE_S
            self.kill()

    def kill(self) -> None:
        """Kill the process and whatever it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def finish(self) -> ChildOutcome:
        """Wait for the end; return what is known."""
        code, cpu_s, peak_memory_mb = self._wait()
        self.output.close()
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        fields = dict(self._fields)
        fields["process_cpu_s"] = cpu_s
        fields.setdefault("peak_memory_mb", peak_memory_mb)
        if not self._finished:
            fields |= self._how_it_ended(code)
        self._errors.close()
        return ChildOutcome(request=self.request, fields=fields)

    def _wait(self) -> tuple[int, float, float]:
        """Return exit code (minus the signal), CPU seconds and peak memory of the process."""
        patience = time.monotonic() + _EXIT_GRACE_S
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        while pid == 0:
            if time.monotonic() >= patience:
                self.kill()
            time.sleep(_POLL_S)
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code  # wait4 took the status that Popen would look for
        unit = 1 if sys.platform == "darwin" else 1024
        return code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6

    def _how_it_ended(self, code: int) -> dict[str, Any]:
        if self.overdue:
            solving = "memory_before_mb" in self._fields
            what = "did not stop in time" if solving else "was not ready to solve in time"
            seconds = time.monotonic() - self._begin
            return {
                "status": RunStatus.KILLED,
                "error": f"{what}: killed {seconds:.1f} s after its start",
            }
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip()[-_ERROR_CHARACTERS:]
        return {
            "status": RunStatus.CRASHED,
            "error": f"the process died with {how}" + (f": {said}" if said else ""),
        }


def _environment(threads: int) -> dict[str, str]:
    """Give the process our packages, and linear algebra with as many threads as the solver."""
    path = [os.path.abspath(entry) for entry in sys.path]
    return {
        **os.environ,
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        "PYTHONPATH": os.pathsep.join(path),
    }
