"""Compile numeric functions where numba is installed; without it the same source runs as Python."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

__all__ = ["COMPILED", "compiled"]

_Function = TypeVar("_Function", bound=Callable[..., object])

_LOGGER = logging.getLogger(__name__)

# Where compiling takes long enough to be told.
_LONG = "queue_models.iteration_level."

try:
    from numba import njit
    from numba.core import event
except (ImportError, OSError, AttributeError):  # missing, or unfit for what else is installed
    COMPILED = False
else:
    COMPILED = True

    class _Announcer(event.Listener):
        """Says once that something is compiled; what is found on disk is not."""

        said = False

        def on_start(self, compilation: Any) -> None:
            """Log the first compilation that takes long."""
            function = compilation.data["dispatcher"].py_func
            if not self.said and function.__module__.startswith(_LONG):
                self.said = True
                _LOGGER.info("compiling the iteration-level queue model: once, some 20 s")

        def on_end(self, compilation: Any) -> None:
            """Say nothing."""

    event.register("numba:compile", _Announcer())  # type: ignore[no-untyped-call]


def compiled(function: _Function) -> _Function:
    """Return the function, compiled at its first call and kept on disk for later processes.

    What is kept knows about changes of its own file alone: after editing a function that others
    call, delete the `*.nbi` files in `__pycache__`.
    """
    if not COMPILED:
        return function
    # Division by zero gives inf or nan as in numpy; no reordering of sums, so that both ways agree.
    try:
        return cast("_Function", njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:
        # No folder can be written in which to keep what is compiled.
        return cast("_Function", njit(nogil=True, error_model="numpy")(function))
