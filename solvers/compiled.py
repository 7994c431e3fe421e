"""Loops compiled to machine code by numba; modules that use this are imported when first needed."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast

__all__ = ["can_compile", "compiled", "is_compiled"]

# What importing a missing or broken numba raises: it may not fit numpy, or lack its libraries.
_BROKEN = (ImportError, OSError, AttributeError)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def can_compile() -> bool:
    """Whether numba is installed and fits what else is; imports it."""
    try:
        import_module("numba")
    except _BROKEN:
        return False
    return True


def compiled(function: Kernel) -> Kernel:
    """Compile a function of numbers and arrays at its first call, and keep the code on disk.

    Notes
    -----
    Releases the interpreter's lock. Where no folder can be written, every process compiles anew.
    """
    from numba import njit

    try:
        return cast("Kernel", njit(cache=True, nogil=True)(function))
    except RuntimeError:  # numba: "cannot cache function: no locator available"
        return cast("Kernel", njit(nogil=True)(function))


def is_compiled(kernel: Callable[..., Any]) -> bool:
    """Whether a call costs no compilation, as far as can be told: by this process or on disk."""
    dispatcher = cast("Any", kernel)
    if dispatcher.signatures:
        return True
    folder = dispatcher.stats.cache_path
    if folder is None:
        return False
    module = Path(dispatcher.py_func.__code__.co_filename).stem
    return any(Path(folder).glob(f"{module}.{dispatcher.py_func.__name__}-*.nbc"))
