"""How long an iteration, or prefill and decode, take."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.arrays import FloatArray, checked_array
from queue_models.errors import ServiceProcessError

__all__ = ["IterationTiming", "PrefillDecodeTiming", "TableTiming", "Timing"]


class _NumbersPerPair:
    """A timing whose fields are one number per pair."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape that the fields broadcast to."""
        return np.broadcast_shapes(*(np.shape(v) for v in self._values().values()))

    def broadcast_to(self, shape: tuple[int, ...]) -> Self:
        """Return the timing with every field of this shape."""
        return type(self)(**{k: np.broadcast_to(v, shape) for k, v in self._values().items()})

    def reshape(self, shape: tuple[int, ...]) -> Self:
        """Return the same pairs in another shape."""
        return type(self)(**{k: v.reshape(shape) for k, v in self._values().items()})

    def take(self, which: NDArray[Any]) -> Self:
        """Return the timing of the pairs selected by a mask or by indices."""
        return type(self)(**{k: v[which] for k, v in self._values().items()})

    def _values(self) -> dict[str, FloatArray]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class IterationTiming(_NumbersPerPair):
    """Iteration time linear in the work of the iteration.

    T = base + decode·(decode tokens) + prefill·(prompt tokens) + kv·(tokens in the KV cache) [ms].

    Parameters
    ----------
    base_ms
        Time of an empty iteration, > 0.
    decode_ms_per_token, prefill_ms_per_token, kv_ms_per_token
        Marginal times, >= 0.
    """

    base_ms: FloatArray
    decode_ms_per_token: FloatArray
    prefill_ms_per_token: FloatArray
    kv_ms_per_token: FloatArray

    def __init__(
        self,
        base_ms: ArrayLike,
        decode_ms_per_token: ArrayLike,
        prefill_ms_per_token: ArrayLike,
        kv_ms_per_token: ArrayLike = 0.0,
    ) -> None:
        given = {
            "base_ms": base_ms,
            "decode_ms_per_token": decode_ms_per_token,
            "prefill_ms_per_token": prefill_ms_per_token,
            "kv_ms_per_token": kv_ms_per_token,
        }
        for name, value in given.items():
            array = checked_array("IterationTiming", name, value, 0.0, above=name == "base_ms")
            object.__setattr__(self, name, array)

    def iteration_ms(
        self, decode_tokens: FloatArray, prefill_tokens: FloatArray, kv_tokens: FloatArray
    ) -> FloatArray:
        """Return iteration times [ms]; arguments of shape (..., *shape)."""
        time: FloatArray = (
            self.base_ms
            + self.decode_ms_per_token * decode_tokens
            + self.prefill_ms_per_token * prefill_tokens
            + self.kv_ms_per_token * kv_tokens
        )
        return time


@dataclass(frozen=True, eq=False)
class PrefillDecodeTiming(_NumbersPerPair):
    """Prefill and decode times linear in the number n of requests in service.

    prefill(n) = prefill_base + prefill_per_token·(input tokens)·n (0 without input tokens) and
    decode(n) = decode_base + decode_per_request·n, in ms. It is the 4-parameter law of the
    llm-inferno family (there: gamma, delta, alpha, beta).

    Parameters
    ----------
    decode_base_ms, decode_ms_per_request
        >= 0, not both 0.
    prefill_base_ms, prefill_ms_per_token
        >= 0.
    """

    decode_base_ms: FloatArray
    decode_ms_per_request: FloatArray
    prefill_base_ms: FloatArray
    prefill_ms_per_token: FloatArray

    def __init__(
        self,
        decode_base_ms: ArrayLike,
        decode_ms_per_request: ArrayLike,
        prefill_base_ms: ArrayLike,
        prefill_ms_per_token: ArrayLike,
    ) -> None:
        owner = "PrefillDecodeTiming"
        given = {
            "decode_base_ms": decode_base_ms,
            "decode_ms_per_request": decode_ms_per_request,
            "prefill_base_ms": prefill_base_ms,
            "prefill_ms_per_token": prefill_ms_per_token,
        }
        for name, value in given.items():
            object.__setattr__(self, name, checked_array(owner, name, value, 0.0))
        if np.any(self.decode_base_ms + self.decode_ms_per_request <= 0):
            raise ServiceProcessError(
                f"{owner}: decode_base_ms and decode_ms_per_request are both 0: "
                f"a token cannot take no time"
            )


@dataclass(frozen=True, eq=False)
class TableTiming:
    """Iteration time from a measured or computed table, linear between its points.

    Parameters
    ----------
    decode_tokens, prefill_tokens, kv_tokens
        Axes, of shapes (D,), (F,) and (G,), each strictly increasing from >= 0: decode tokens and
        prompt tokens of the iteration, and tokens in the KV cache. An axis of one point does not
        matter.
    time_ms
        Iteration times, > 0, of shape (..., D, F, G); what precedes the axes broadcasts with the
        process. No time may fall along an axis: more work never takes less time.

    Raises
    ------
    ServiceProcessError
        If an axis or the table is not so; measured noise has to be smoothed before.
    """

    decode_tokens: FloatArray
    prefill_tokens: FloatArray
    kv_tokens: FloatArray
    time_ms: FloatArray

    def __init__(
        self,
        decode_tokens: ArrayLike,
        prefill_tokens: ArrayLike,
        kv_tokens: ArrayLike,
        time_ms: ArrayLike,
    ) -> None:
        owner = "TableTiming"
        axes = {
            "decode_tokens": decode_tokens,
            "prefill_tokens": prefill_tokens,
            "kv_tokens": kv_tokens,
        }
        for name, value in axes.items():
            axis = checked_array(owner, name, value, 0.0)
            if axis.ndim != 1 or not axis.size or np.any(np.diff(axis) <= 0):
                raise ServiceProcessError(
                    f"{owner}.{name}: must be a list of strictly increasing numbers"
                )
            object.__setattr__(self, name, axis)
        table = checked_array(owner, "time_ms", time_ms, 0.0, above=True)
        wanted = (self.decode_tokens.size, self.prefill_tokens.size, self.kv_tokens.size)
        if table.shape[-3:] != wanted:
            raise ServiceProcessError(
                f"{owner}.time_ms: shape {table.shape} must end with {wanted}, the axes' sizes"
            )
        for name, place in zip(axes, (-3, -2, -1), strict=True):
            if np.any(np.diff(table, axis=place) < 0):
                raise ServiceProcessError(f"{owner}.time_ms: falls along {name}; smooth it first")
        object.__setattr__(self, "time_ms", table)

    @property
    def shape(self) -> tuple[int, ...]:
        """What precedes the axes."""
        return self.time_ms.shape[:-3]

    def broadcast_to(self, shape: tuple[int, ...]) -> TableTiming:
        """Return the timing with one table per pair of this shape; nothing is copied."""
        return self._with(np.broadcast_to(self.time_ms, (*shape, *self.time_ms.shape[-3:])))

    def reshape(self, shape: tuple[int, ...]) -> TableTiming:
        """Return the same pairs in another shape."""
        return self._with(self.time_ms.reshape((*shape, *self.time_ms.shape[-3:])))

    def take(self, which: NDArray[Any]) -> TableTiming:
        """Return the timing of the pairs selected by a mask or by indices."""
        return self._with(self.time_ms[which])

    def iteration_ms(
        self, decode_tokens: FloatArray, prefill_tokens: FloatArray, kv_tokens: FloatArray
    ) -> FloatArray:
        """Return iteration times [ms], arguments of shape (..., *shape).

        Between points the table is linear along each axis; beyond the last ones it goes on as
        between the last two, and below the first ones it stays.
        """
        work = (decode_tokens, prefill_tokens, kv_tokens)
        shape = np.broadcast_shapes(*(np.shape(tokens) for tokens in work), self.shape)
        cells: FloatArray = np.broadcast_to(self.time_ms, (*shape, *self.time_ms.shape[-3:]))
        axes = (self.decode_tokens, self.prefill_tokens, self.kv_tokens)
        for axis, tokens in zip(axes, work, strict=True):
            cells = _interpolated(cells, axis, np.broadcast_to(tokens, shape), len(shape))
        return np.asarray(cells)

    def _with(self, table: FloatArray) -> TableTiming:
        """Return the same axes with another table that is known to be good."""
        timing = object.__new__(TableTiming)
        for name in ("decode_tokens", "prefill_tokens", "kv_tokens"):
            object.__setattr__(timing, name, getattr(self, name))
        object.__setattr__(timing, "time_ms", table)
        return timing


def _interpolated(
    cells: FloatArray, axis: FloatArray, tokens: FloatArray, place: int
) -> FloatArray:
    """Take the axis at `place` out of cells (..., A, *rest) by interpolation at tokens (...)."""
    rest = (1,) * (cells.ndim - place - 1)
    if axis.size == 1:
        return np.asarray(cells.take(0, axis=place), dtype=np.float64)
    left = np.clip(np.searchsorted(axis, tokens, side="right") - 1, 0, axis.size - 2)
    share = np.maximum((tokens - axis[left]) / (axis[left + 1] - axis[left]), 0.0)
    index = np.reshape(left, (*tokens.shape, 1, *rest))
    low = np.take_along_axis(cells, index, axis=place).squeeze(place)
    high = np.take_along_axis(cells, index + 1, axis=place).squeeze(place)
    value: FloatArray = low + (high - low) * np.reshape(share, (*tokens.shape, *rest))
    return value


Timing = IterationTiming | PrefillDecodeTiming | TableTiming
