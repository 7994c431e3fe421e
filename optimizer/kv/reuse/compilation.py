"""Compile numeric functions where numba is installed; without it the same source runs as Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

from optimizer.compile_notice import announce_compiling

__all__ = ["COMPILED", "compiled", "inlined"]

_Function = TypeVar("_Function", bound=Callable[..., object])

try:
    from numba import njit
except (ImportError, OSError, AttributeError):  # missing, or unfit for what else is installed
    COMPILED = False
else:
    COMPILED = True
    announce_compiling("optimizer.kv.reuse.", "the prefix cache", seconds=20)


def compiled(function: _Function) -> _Function:
    """Return the function, compiled at its first call and kept on disk for later processes.

    What is kept knows about changes of its own file alone: after editing a function that others
    call, delete the `*.nbi` files in `__pycache__`.
    """
    return _compiled(function, inline=False)


def inlined(function: _Function) -> _Function:
    """As `compiled`, in place of each call: passing the state costs more than small bodies."""
    return _compiled(function, inline=True)


def _compiled(function: _Function, *, inline: bool) -> _Function:
    if not COMPILED:
        return function
    # Division by zero gives inf or nan as in numpy; no reordering of sums, so that both ways agree.
    compiling = partial(njit, nogil=True, error_model="numpy", forceinline=inline)
    try:
        return cast("_Function", compiling(cache=True)(function))
    except RuntimeError:
        # No folder can be written in which to keep what is compiled.
        return cast("_Function", compiling(cache=False)(function))
