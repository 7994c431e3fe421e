"""Back ends that need a process of their own; the factories can be named across processes."""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

from solvers.errors import SolverBackendError
from solvers.exact import Backend, BackendAnswer, BackendRequest

# The optimum of problems.regret_trap() and a bound on it.
BEST = np.array([0, 1, 1, 0, 1, 0])
BOUND = 60.0


def deaf(folder_file: str = "") -> Backend:
    """Find the optimum and a bound, leave a temporary file, and never look up again."""

    def ask(request: BackendRequest) -> BackendAnswer:
        request.monitor.incumbent(BEST)
        request.monitor.bound(BOUND)
        if folder_file:
            Path(folder_file).write_text(tempfile.gettempdir(), encoding="utf-8")
            Path(tempfile.gettempdir(), "left-behind").touch()
        threading.Event().wait()
        raise AssertionError("unreachable")

    return ask


def obedient() -> Backend:
    """Find the optimum and wait for the flag; answer with what only an answer can tell."""

    def ask(request: BackendRequest) -> BackendAnswer:
        request.monitor.incumbent(BEST)
        looked = threading.Event()
        while not request.monitor.cancelled():
            looked.wait(0.01)
        return BackendAnswer(dual_bound=BOUND, detail="stopped by itself", nodes=7)

    return ask


def chatty() -> Backend:
    """Write to standard output from Python and from below it, then answer."""

    def ask(request: BackendRequest) -> BackendAnswer:
        sys.stdout.write("from Python\n")
        sys.stdout.flush()
        os.write(1, b"from below\n")
        return BackendAnswer(x=BEST, dual_bound=70.0)

    return ask


def crashing() -> Backend:
    """Say something and take the process down."""

    def ask(request: BackendRequest) -> BackendAnswer:
        os.write(2, b"segmentation fault, sort of\n")
        os._exit(3)

    return ask


def failing() -> Backend:
    """Raise an error of the package."""

    def ask(request: BackendRequest) -> BackendAnswer:
        raise SolverBackendError("the back end has had enough")

    return ask
