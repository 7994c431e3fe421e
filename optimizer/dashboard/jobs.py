"""Work that takes time: begun by one request, asked after by others, cancelled by any."""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from optimizer.errors import Fault, FleetError, SpecError
from queue_models import QueueModelError
from solvers import CancelFlag, Progress, SolverError

__all__ = ["Job", "Jobs", "Work"]

_MOST_JOBS = 64
_AT_ONCE = 8
# What may be wrong with a fleet, a plug-in or an answer: told to the person who asked.
_TOLD = (FleetError, SolverError, QueueModelError)

Work = Callable[["Job"], dict[str, Any]]
"""Does the work, telling the job how far it is, and heeding its `cancel`."""

_logger = logging.getLogger(__name__)


class Job:
    """One piece of work.

    Parameters
    ----------
    kind
        What it is.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.cancel = CancelFlag()
        self._began = time.perf_counter()
        self._ended: float | None = None
        self._progress: Progress | None = None
        self._step: tuple[str, float | None] | None = None
        self._html: str | None = None
        self._figures: dict[str, Mapping[str, Sequence[float]]] = {}
        self._future: Future[dict[str, Any]] | None = None

    def begin(self, pool: ThreadPoolExecutor, work: Work) -> None:
        """Begin as soon as there is a thread for it."""

        def timed() -> dict[str, Any]:
            try:
                return work(self)
            finally:
                self._ended = time.perf_counter()

        self._future = pool.submit(timed)

    def told(self, progress: Progress) -> None:
        """Keep what a solver has reached."""
        self._progress = progress

    def told_step(
        self,
        what: str,
        share: float | None = None,
        figures: Mapping[str, Sequence[float]] | None = None,
        html: str | None = None,
    ) -> None:
        """Keep how far a study is, and what a step of it has shown so far."""
        self._step = (what, share)
        self._html = html
        if figures is not None:
            self._figures = {**self._figures, what: figures}

    def document(self) -> dict[str, Any]:
        """Return its state as plain data; figures that are not known are null."""
        assert self._future is not None
        end = self._ended or time.perf_counter()
        document: dict[str, Any] = {
            "kind": self.kind,
            "state": "running",
            "elapsed_s": end - self._began,
            "cancelling": self.cancel.is_set(),
            **_reached(self._progress),
        }
        if self._step is not None:
            document["step"], document["share"] = self._step
            document["figures"] = self._figures
            document["html"] = self._html
        if not self._future.done():
            return document
        error = self._future.exception()
        if error is None:
            return {**document, "state": "done", "result": self._future.result()}
        if isinstance(error, _TOLD):
            return {**document, "state": "failed", "message": str(error)}
        _logger.error("a %s failed", self.kind, exc_info=error)
        message = f"internal error, a fault of fleetopt: {type(error).__name__}: {error}"
        return {**document, "state": "failed", "message": message}


def _reached(progress: Progress | None) -> dict[str, Any]:
    if progress is None:
        return {"incumbent": None, "bound": None, "relative_gap": None, "priority": None}
    figures = {
        "incumbent": progress.incumbent,
        "bound": progress.bound,
        "relative_gap": progress.relative_gap,
    }
    known = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    return {**known, "priority": progress.priority}


class Jobs:
    """The work in progress, and what came of the last of it; safe in threads."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="dashboard")
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, kind: str, work: Work) -> str:
        """Begin work; return the name to ask after it.

        The oldest are forgotten, and cancelled where they have not ended.
        """
        job = Job(kind)
        name = secrets.token_urlsafe(9)
        with self._lock:
            self._jobs[name] = job
            while len(self._jobs) > _MOST_JOBS:
                _, oldest = self._jobs.popitem(last=False)
                oldest.cancel.set()
            job.begin(self._pool, work)
        return name

    def get(self, name: str) -> Job:
        """Return a job.

        Raises
        ------
        SpecError
            If there is none of that name, or no longer.
        """
        with self._lock:
            if name not in self._jobs:
                raise SpecError([Fault("this work is no longer there: load the page again")])
            return self._jobs[name]

    def end(self) -> None:
        """Cancel everything."""
        with self._lock:
            for job in self._jobs.values():
                job.cancel.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
