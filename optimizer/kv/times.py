"""Times of the whole model and times of one layer, as types that do not mix.

Comparing the load of one layer with the prefill of all of them is wrong by a factor of 32 to 126;
here it is a type error, for the type checker and at run time.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["LayerTime", "WholeModelTime"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class _Time:
    """A duration [ms], or an array of them; arithmetic only with its own kind."""

    __hash__ = None  # type: ignore[assignment]
    __array_ufunc__ = None  # numpy hands mixed arithmetic to the operators below
    __slots__ = ("ms",)

    def __init__(self, ms: ArrayLike) -> None:
        self.ms: FloatArray = np.asarray(ms, dtype=np.float64)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.ms!r} ms)"

    def __add__(self, other: Self) -> Self:
        return type(self)(self.ms + other.ms) if self._is_like(other) else NotImplemented

    def __sub__(self, other: Self) -> Self:
        return type(self)(self.ms - other.ms) if self._is_like(other) else NotImplemented

    def __mul__(self, factor: ArrayLike) -> Self:
        if isinstance(factor, _Time):
            return NotImplemented
        return type(self)(self.ms * np.asarray(factor, dtype=np.float64))

    __rmul__ = __mul__

    def __le__(self, other: Self) -> BoolArray:
        return self.ms <= other.ms if self._is_like(other) else NotImplemented

    def __lt__(self, other: Self) -> BoolArray:
        return self.ms < other.ms if self._is_like(other) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return self._is_like(other) and np.array_equal(self.ms, other.ms)  # type: ignore[attr-defined]

    def maximum(self, other: Self) -> Self:
        """Return the longer of both, element by element."""
        self._require_like(other)
        return type(self)(np.maximum(self.ms, other.ms))

    def minimum(self, other: Self) -> Self:
        """Return the shorter of both, element by element."""
        self._require_like(other)
        return type(self)(np.minimum(self.ms, other.ms))

    def _is_like(self, other: object) -> bool:
        return type(other) is type(self)

    def _require_like(self, other: object) -> None:
        if not self._is_like(other):
            raise TypeError(
                f"a {type(self).__name__} cannot be compared with a {type(other).__name__}: "
                "convert by per_layer(layers) or whole_model(layers)"
            )


class WholeModelTime(_Time):
    """Time of all layers [ms].

    Parameters
    ----------
    ms
        A number or an array of any shape.
    """

    __slots__ = ()

    def per_layer(self, layers: ArrayLike) -> LayerTime:
        """Return the time of one of `layers` equal layers."""
        return LayerTime(self.ms / np.asarray(layers, dtype=np.float64))


class LayerTime(_Time):
    """Time of one layer [ms].

    Parameters
    ----------
    ms
        A number or an array of any shape.
    """

    __slots__ = ()

    def whole_model(self, layers: ArrayLike) -> WholeModelTime:
        """Return the time of `layers` such layers, one after the other."""
        return WholeModelTime(self.ms * np.asarray(layers, dtype=np.float64))
