"""How the engine's functions are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite.ir import Constant
from numba import njit, types
from numba.extending import intrinsic

from optimizer.compile_notice import announce_compiling

__all__ = ["borrowed", "compiled", "inlined"]

announce_compiling("optimizer.engine.", "the engine", seconds=30)

_Arrays = TypeVar("_Arrays", bound=tuple[Any, ...])
_Function = TypeVar("_Function", bound=Callable[..., object])


def _borrowed(typing_context: Any, arrays: Any) -> Any:
    """Return a tuple of arrays and numbers whose references are not counted.

    Counting the references of every array at every call takes three quarters of the time of an
    iteration. The caller keeps the arrays alive.
    """
    del typing_context

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = arguments[0]
        for place, kind in enumerate(signature.args[0]):
            if isinstance(kind, types.Array):
                own = builder.extract_value(value, place)
                array = context.make_array(kind)(context, builder, value=own)
                for owner in ("meminfo", "parent"):
                    none = Constant(getattr(array, owner).type, None)
                    setattr(array, owner, none)
                value = builder.insert_value(value, array._getvalue(), place)
        return value

    return arrays(arrays), generate


# Typed as what compiled code sees of it.
borrowed: Callable[[_Arrays], _Arrays] = cast("Any", intrinsic(_borrowed))


def compiled(function: _Function) -> _Function:
    """Return the function, compiled at its first call and kept on disk for later processes.

    What is kept knows about changes of its own file alone: after editing a function that others
    call, delete the `*.nbi` files in `__pycache__`.
    """
    try:
        return cast("_Function", njit(cache=True, nogil=True, error_model="numpy")(function))
    except RuntimeError:
        # No folder can be written in which to keep what is compiled.
        return cast("_Function", njit(nogil=True, error_model="numpy")(function))


def inlined(function: _Function) -> _Function:
    """Return the function, compiled into whatever calls it; Python must not call it.

    A call passes every array of the engine's state, which costs more than most functions do.
    """
    # The wrappers for calls from Python and C would cost half of the compiling.
    unwrapped: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast("_Function", njit(forceinline=True, error_model="numpy", **unwrapped)(function))
