"""Studies in a process of their own, which can be ended at any moment.

A front, a repair or a run of the laboratory asks solvers many times; none of them is told to stop.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from optimizer.errors import FleetError, PlanError
from queue_models import QueueModelError
from solvers import CancelFlag, SolverError

__all__ = ["Study", "run_study"]

Told = Callable[..., None]
Study = Callable[..., dict[str, Any]]
"""A function of a module, called with its arguments and with whom to tell how far it is."""

_LONGEST_S = 1800.0
_LOOK_S = 0.05
_END_S = 5.0


def run_study(
    study: Study, arguments: tuple[Any, ...], cancel: CancelFlag, told: Told
) -> dict[str, Any]:
    """Run a study in another process.

    Raises
    ------
    PlanError
        If it is refused, cancelled, takes longer than half an hour, or its process dies.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs, study, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        return _answered(ours, cancel, told)
    finally:
        process.kill()
        process.join(_END_S)
        ours.close()


def _answered(ours: Connection, cancel: CancelFlag, told: Told) -> dict[str, Any]:
    until = time.monotonic() + _LONGEST_S
    while time.monotonic() < until:
        if cancel.is_set():
            raise PlanError("cancelled")
        if not ours.poll(_LOOK_S):
            continue
        try:
            kind, answer = ours.recv()
        except EOFError as error:
            raise PlanError("the study's process died; its reason is on standard error") from error
        if kind == "answer":
            result: dict[str, Any] = answer
            return result
        if kind == "refused":
            raise PlanError(answer)
        what, more = answer
        told(*what, **more)
    raise PlanError(f"the study took longer than {_LONGEST_S:.0f} s")


def _answer(theirs: Connection, study: Study, arguments: tuple[Any, ...]) -> None:
    """Run in the other process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it ends it

    def told(*what: object, **more: object) -> None:
        theirs.send(("told", (what, more)))

    try:
        answer = study(*arguments, told)
    except (FleetError, SolverError, QueueModelError) as error:
        theirs.send(("refused", str(error)))
    else:
        theirs.send(("answer", answer))
