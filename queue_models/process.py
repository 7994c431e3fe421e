"""What a queue model is asked about: the service process of one replica, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.errors import ServiceProcessError

__all__ = [
    "IterationTiming",
    "PrefillDecodeTiming",
    "ServiceProcess",
    "Timing",
    "checked_arrival_rate",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Faulty elements are listed by index up to this many.
_SHOWN = 5


def _checked(
    owner: str, name: str, value: ArrayLike, low: float, *, above: bool = False, finite: bool = True
) -> FloatArray:
    """Copy into a read-only float array and refuse what is out of range, naming field and value."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ServiceProcessError(f"{owner}.{name} = {value!r}: must be numbers") from error
    good = (array > low) if above else (array >= low)
    if finite:
        good &= np.isfinite(array)
    if not good.all():
        flat = np.flatnonzero(~good.ravel())
        shown = ", ".join(f"{array.ravel()[i]:g}" for i in flat[:_SHOWN])
        sign = "greater than" if above else "at least"
        raise ServiceProcessError(
            f"{owner}.{name}: {shown} (element(s) {flat[:_SHOWN].tolist()}): "
            f"must be {sign} {low:g}{' and finite' if finite else ''}"
        )
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False)
class IterationTiming:
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
        owner = "IterationTiming"
        values = {
            "base_ms": _checked(owner, "base_ms", base_ms, 0.0, above=True),
            "decode_ms_per_token": _checked(owner, "decode_ms_per_token", decode_ms_per_token, 0.0),
            "prefill_ms_per_token": _checked(
                owner, "prefill_ms_per_token", prefill_ms_per_token, 0.0
            ),
            "kv_ms_per_token": _checked(owner, "kv_ms_per_token", kv_ms_per_token, 0.0),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(frozen=True, eq=False)
class PrefillDecodeTiming:
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
        values = {
            "decode_base_ms": _checked(owner, "decode_base_ms", decode_base_ms, 0.0),
            "decode_ms_per_request": _checked(
                owner, "decode_ms_per_request", decode_ms_per_request, 0.0
            ),
            "prefill_base_ms": _checked(owner, "prefill_base_ms", prefill_base_ms, 0.0),
            "prefill_ms_per_token": _checked(
                owner, "prefill_ms_per_token", prefill_ms_per_token, 0.0
            ),
        }
        if np.any(values["decode_base_ms"] + values["decode_ms_per_request"] <= 0):
            raise ServiceProcessError(
                f"{owner}: decode_base_ms and decode_ms_per_request are both 0: "
                f"a token cannot take no time"
            )
        for name, value in values.items():
            object.__setattr__(self, name, value)


Timing = IterationTiming | PrefillDecodeTiming


@dataclass(frozen=True, eq=False)
class ServiceProcess:
    """One replica serving one kind of requests, or many such pairs at once.

    Every argument broadcasts against the others; afterwards every array has `shape`.

    Parameters
    ----------
    timing
        How long an iteration, or prefill and decode, take.
    input_tokens
        Mean prompt length, >= 0 tokens.
    output_tokens
        Mean output length, >= 1 token (the first token counts).
    max_batch
        Largest number of requests in service together, a whole number >= 1.
    input_tokens_scv, output_tokens_scv
        Squared coefficients of variation of the lengths, >= 0; 0 means fixed lengths.
    arrival_scv
        Squared coefficient of variation of interarrival times, > 0; 1 means Poisson.
    queue_capacity
        Places to wait beyond the batch, >= 0, `inf` without limit; None: the model's own
        convention, which its docstring states.
    chunk_tokens
        Most prompt and decode tokens processed in one iteration (chunked prefill), >= 1.

    Raises
    ------
    ServiceProcessError
        Naming field, elements and values that are out of range.
    """

    timing: Timing
    input_tokens: FloatArray
    output_tokens: FloatArray
    max_batch: FloatArray
    input_tokens_scv: FloatArray
    output_tokens_scv: FloatArray
    arrival_scv: FloatArray
    queue_capacity: FloatArray | None
    chunk_tokens: FloatArray

    def __init__(
        self,
        timing: Timing,
        input_tokens: ArrayLike,
        output_tokens: ArrayLike,
        max_batch: ArrayLike,
        *,
        input_tokens_scv: ArrayLike = 0.0,
        output_tokens_scv: ArrayLike = 0.0,
        arrival_scv: ArrayLike = 1.0,
        queue_capacity: ArrayLike | None = None,
        chunk_tokens: ArrayLike = 8192,
    ) -> None:
        owner = "ServiceProcess"
        if not isinstance(timing, IterationTiming | PrefillDecodeTiming):
            raise ServiceProcessError(
                f"{owner}.timing = {timing!r}: must be IterationTiming or PrefillDecodeTiming"
            )
        values: dict[str, FloatArray] = {
            "input_tokens": _checked(owner, "input_tokens", input_tokens, 0.0),
            "output_tokens": _checked(owner, "output_tokens", output_tokens, 1.0),
            "max_batch": _checked(owner, "max_batch", max_batch, 1.0),
            "input_tokens_scv": _checked(owner, "input_tokens_scv", input_tokens_scv, 0.0),
            "output_tokens_scv": _checked(owner, "output_tokens_scv", output_tokens_scv, 0.0),
            "arrival_scv": _checked(owner, "arrival_scv", arrival_scv, 0.0, above=True),
            "chunk_tokens": _checked(owner, "chunk_tokens", chunk_tokens, 1.0),
        }
        if queue_capacity is not None:
            values["queue_capacity"] = _checked(
                owner, "queue_capacity", queue_capacity, 0.0, finite=False
            )
        for name in ("max_batch", "queue_capacity"):
            array = values.get(name)
            if array is not None and np.any(np.isfinite(array) & (array != np.floor(array))):
                raise ServiceProcessError(f"{owner}.{name}: must be whole numbers")
        clocks = [getattr(timing, f.name) for f in fields(timing)]
        try:
            shape = np.broadcast_shapes(*(a.shape for a in [*values.values(), *clocks]))
        except ValueError as error:
            shapes = {name: array.shape for name, array in values.items()}
            raise ServiceProcessError(f"{owner}: shapes do not broadcast: {shapes}") from error
        object.__setattr__(
            self, "timing", type(timing)(*(np.broadcast_to(a, shape) for a in clocks))
        )
        object.__setattr__(self, "queue_capacity", None)
        for name, array in values.items():
            object.__setattr__(self, name, np.broadcast_to(array, shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape that every argument was broadcast to."""
        return self.input_tokens.shape

    def take(self, which: NDArray[Any]) -> ServiceProcess:
        """Return the pairs selected by a mask or by indices (one-dimensional processes)."""
        return ServiceProcess(
            type(self.timing)(*(getattr(self.timing, f.name)[which] for f in fields(self.timing))),
            self.input_tokens[which],
            self.output_tokens[which],
            self.max_batch[which],
            input_tokens_scv=self.input_tokens_scv[which],
            output_tokens_scv=self.output_tokens_scv[which],
            arrival_scv=self.arrival_scv[which],
            queue_capacity=None if self.queue_capacity is None else self.queue_capacity[which],
            chunk_tokens=self.chunk_tokens[which],
        )


def checked_arrival_rate(rate: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return arrival rates [requests/s], broadcast with a process of this shape.

    Raises
    ------
    ServiceProcessError
        If one is negative, NaN or infinite, or if the shapes do not broadcast.
    """
    array = _checked("evaluate", "arrival_rate_rps", rate, 0.0)
    try:
        return np.broadcast_to(array, np.broadcast_shapes(array.shape, shape))
    except ValueError as error:
        raise ServiceProcessError(
            f"evaluate.arrival_rate_rps: shape {array.shape} does not broadcast with the "
            f"process's shape {shape}"
        ) from error
