"""What a queue model is asked about: the service process of one replica, as arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.arrays import BoolArray, FloatArray, checked_array
from queue_models.errors import ServiceProcessError
from queue_models.lengths import Lengths
from queue_models.tagged import TaggedRequests
from queue_models.timing import IterationTiming, PrefillDecodeTiming, TableTiming, Timing

__all__ = ["OPTIONAL_FIELDS", "Role", "Routing", "ServiceProcess", "checked_arrival_rate"]


class Routing(IntEnum):
    """How requests are spread over the replicas of a service."""

    RANDOM = 0  # each to a replica drawn at random
    ROUND_ROBIN = 1  # in turn
    LEAST_OUTSTANDING = 2  # to the replica with the fewest requests, ties at random


class Role(IntEnum):
    """What a replica does of a request."""

    AGGREGATED = 0  # all of it
    PREFILL = 1  # up to the first token
    DECODE = 2  # from the second token on, with the prompt's KV cache given


# Name -> least value, largest, whether the least is refused, infinity allowed, whole wanted.
_NUMBERS: Mapping[str, tuple[float, float, bool, bool, bool]] = {
    "max_batch": (1.0, np.inf, False, False, True),
    "arrival_scv": (0.0, np.inf, True, False, False),
    "queue_capacity": (0.0, np.inf, False, True, True),
    "chunk_tokens": (1.0, np.inf, False, False, False),
    "kv_capacity_tokens": (0.0, np.inf, True, True, False),
    "prefix_hit_rate": (0.0, 1.0, False, False, False),
    "draft_tokens": (0.0, np.inf, False, False, True),
    "acceptance_rate": (0.0, 1.0, False, False, False),
    "replicas": (1.0, np.inf, False, False, True),
    "length_covariance": (-np.inf, np.inf, False, False, False),
}

_LENGTHS = ("input_lengths", "output_lengths")

# What a field is where it asks for nothing that a model must know about.
_DEFAULTS: Mapping[str, float] = {
    "input_tokens_scv": 0.0,
    "output_tokens_scv": 0.0,
    "arrival_scv": 1.0,
    "queue_capacity": np.inf,
    "kv_capacity_tokens": np.inf,
    "prefix_hit_rate": 0.0,
    "draft_tokens": 0.0,
    "routing": Routing.RANDOM,
    "role": Role.AGGREGATED,
    "length_covariance": 0.0,
}

OPTIONAL_FIELDS: tuple[str, ...] = (*_DEFAULTS, "tagged")
"""Fields that a model may know about or not; see `QueueModel.honours`."""


@dataclass(frozen=True, eq=False)
class ServiceProcess:
    """One replica serving one kind of requests, or many such pairs at once.

    Every argument broadcasts against the others; afterwards every array has `shape`.

    Parameters
    ----------
    timing
        How long an iteration, or prefill and decode, take.
    input_tokens
        Prompt lengths: their distribution, or their mean, >= 0 tokens.
    output_tokens
        Output lengths: their distribution, or their mean; the first token counts, so that the mean
        is >= 1 token.
    max_batch
        Largest number of requests in service together, a whole number >= 1.
    input_tokens_scv, output_tokens_scv
        Squared coefficients of variation of lengths given by their mean, >= 0: 0 stands for fixed
        lengths, else they are taken as lognormal. Not with a distribution, which has its own.
    arrival_scv
        Squared coefficient of variation of interarrival times, > 0; 1 means Poisson.
    queue_capacity
        Places to wait beyond the batch, >= 0, `inf` without limit; None: the model's own
        convention, which its docstring states.
    chunk_tokens
        Most prompt and decode tokens processed in one iteration (chunked prefill), >= 1.
    kv_capacity_tokens
        Tokens that the KV cache holds, > 0; a request is admitted when its prompt and whole output
        fit beside those of the others. `inf` without limit.
    prefix_hit_rate
        Share of prompt tokens found in the cache and not computed again, in [0, 1].
    draft_tokens, acceptance_rate
        Speculative decoding: tokens drafted per iteration, a whole number >= 0, and the chance that
        one is accepted when those before it were, in [0, 1].
    replicas
        Replicas among which the requests are spread, a whole number >= 1. Rates are always those
        offered to one replica, on average.
    routing
        How they are spread: a `Routing`, or an array of their codes.
    role
        What the replica does of a request: a `Role`, or an array of their codes.
    length_covariance
        Covariance of a request's prompt and output length [tokens squared]; 0 where they are
        independent. Kinds of requests that share a replica make it differ from 0.
    tagged
        Requests of one kind among those described, whose latencies are asked for; None: of all.

    Raises
    ------
    ServiceProcessError
        Naming field, elements and values that are out of range.
    """

    timing: Timing
    input_lengths: Lengths
    output_lengths: Lengths
    max_batch: FloatArray
    arrival_scv: FloatArray
    queue_capacity: FloatArray | None
    chunk_tokens: FloatArray
    kv_capacity_tokens: FloatArray
    prefix_hit_rate: FloatArray
    draft_tokens: FloatArray
    acceptance_rate: FloatArray
    replicas: FloatArray
    routing: NDArray[np.int8]
    role: NDArray[np.int8]
    length_covariance: FloatArray
    tagged: TaggedRequests | None
    shape: tuple[int, ...] = field(repr=False)

    def __init__(
        self,
        timing: Timing,
        input_tokens: ArrayLike | Lengths,
        output_tokens: ArrayLike | Lengths,
        max_batch: ArrayLike,
        *,
        input_tokens_scv: ArrayLike = 0.0,
        output_tokens_scv: ArrayLike = 0.0,
        arrival_scv: ArrayLike = 1.0,
        queue_capacity: ArrayLike | None = None,
        chunk_tokens: ArrayLike = 8192,
        kv_capacity_tokens: ArrayLike = np.inf,
        prefix_hit_rate: ArrayLike = 0.0,
        draft_tokens: ArrayLike = 0,
        acceptance_rate: ArrayLike = 0.0,
        replicas: ArrayLike = 1,
        routing: Routing | NDArray[Any] = Routing.RANDOM,
        role: Role | NDArray[Any] = Role.AGGREGATED,
        length_covariance: ArrayLike = 0.0,
        tagged: TaggedRequests | None = None,
    ) -> None:
        if not isinstance(timing, IterationTiming | PrefillDecodeTiming | TableTiming):
            raise ServiceProcessError(
                f"ServiceProcess.timing = {timing!r}: must be IterationTiming, TableTiming or "
                f"PrefillDecodeTiming"
            )
        lengths = {
            "input_lengths": _lengths("input_tokens", input_tokens, input_tokens_scv, 0.0),
            "output_lengths": _lengths("output_tokens", output_tokens, output_tokens_scv, 1.0),
        }
        numbers = {
            "max_batch": max_batch,
            "arrival_scv": arrival_scv,
            "queue_capacity": queue_capacity,
            "chunk_tokens": chunk_tokens,
            "kv_capacity_tokens": kv_capacity_tokens,
            "prefix_hit_rate": prefix_hit_rate,
            "draft_tokens": draft_tokens,
            "acceptance_rate": acceptance_rate,
            "replicas": replicas,
            "length_covariance": length_covariance,
        }
        values: dict[str, NDArray[Any]] = {
            name: _number(name, value) for name, value in numbers.items() if value is not None
        }
        values["routing"] = _codes("routing", routing, Routing)
        values["role"] = _codes("role", role, Role)
        self._set(timing, lengths, values, tagged)

    def _set(
        self,
        timing: Timing,
        lengths: Mapping[str, Lengths],
        values: Mapping[str, NDArray[Any]],
        tagged: TaggedRequests | None,
    ) -> None:
        """Broadcast everything to one shape and keep it."""
        shapes = {"timing": timing.shape} | {
            name.replace("lengths", "tokens"): one.shape for name, one in lengths.items()
        }
        shapes |= {name: array.shape for name, array in values.items()}
        if tagged is not None:
            shapes["tagged"] = tagged.shape
        try:
            shape = np.broadcast_shapes(*shapes.values())
        except ValueError as error:
            raise ServiceProcessError(
                f"ServiceProcess: shapes do not broadcast: {shapes}"
            ) from error
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "timing", timing.broadcast_to(shape))
        object.__setattr__(self, "queue_capacity", None)
        object.__setattr__(self, "tagged", None if tagged is None else tagged.broadcast_to(shape))
        for name, one in lengths.items():
            object.__setattr__(self, name, one.broadcast_to(shape))
        for name, array in values.items():
            object.__setattr__(self, name, np.broadcast_to(array, shape))

    @property
    def input_tokens(self) -> FloatArray:
        """Mean prompt length."""
        return self.input_lengths.mean

    @property
    def output_tokens(self) -> FloatArray:
        """Mean output length."""
        return self.output_lengths.mean

    @property
    def input_tokens_scv(self) -> FloatArray:
        """Squared coefficient of variation of the prompt length."""
        return self.input_lengths.scv

    @property
    def output_tokens_scv(self) -> FloatArray:
        """Squared coefficient of variation of the output length."""
        return self.output_lengths.scv

    @property
    def flat(self) -> ServiceProcess:
        """The same pairs in one dimension."""
        size = (math.prod(self.shape),)
        arrays = {name: array.reshape(size) for name, array in self._arrays().items()}
        lengths = {name: getattr(self, name).reshape(size) for name in _LENGTHS}
        timing = self.timing.broadcast_to(self.shape).reshape(size)
        tagged = None if self.tagged is None else self.tagged.reshape(size)
        return self._like(timing, lengths, arrays, tagged)

    def take(self, which: NDArray[Any]) -> ServiceProcess:
        """Return the pairs selected by a mask or by indices (one-dimensional processes)."""
        arrays = {name: array[which] for name, array in self._arrays().items()}
        lengths = {name: getattr(self, name).take(which) for name in _LENGTHS}
        tagged = None if self.tagged is None else self.tagged.take(which)
        return self._like(self.timing.take(which), lengths, arrays, tagged)

    def as_rows(self) -> FloatArray:
        """Return all that is known of the pairs as numbers, (P, F): equal rows are equal pairs."""
        flat = self.flat
        timing = flat.timing
        columns: list[NDArray[Any]] = [*flat._arrays().values()]
        for name in _LENGTHS:
            lengths: Lengths = getattr(flat, name)
            columns += [lengths.family, lengths.mean, lengths.scv, lengths.histogram]
        if flat.tagged is not None:
            columns += flat.tagged.as_columns()
        if isinstance(timing, TableTiming):  # its axes are common to all pairs
            columns.append(timing.time_ms)
        else:
            columns += [getattr(timing, one.name) for one in fields(timing)]
        pairs = [column.reshape(flat.shape[0], math.prod(column.shape[1:])) for column in columns]
        return np.concatenate(pairs, axis=1, dtype=np.float64)

    def with_timing(self, timing: Timing) -> ServiceProcess:
        """Return the same pairs with another timing, which broadcasts with them."""
        lengths = {name: getattr(self, name) for name in _LENGTHS}
        return self._like(timing, lengths, self._arrays(), self.tagged)

    def of_all(self) -> ServiceProcess:
        """Return the same pairs, asked about all of their requests."""
        lengths = {name: getattr(self, name) for name in _LENGTHS}
        return self._like(self.timing, lengths, self._arrays(), None)

    def of_tagged(self) -> ServiceProcess:
        """Return the tagged requests as if they were alone; the same pairs without any."""
        if self.tagged is None:
            return self
        lengths = {name: getattr(self.tagged, name) for name in _LENGTHS}
        own = {
            "prefix_hit_rate": self.tagged.prefix_hit_rate,
            "length_covariance": np.zeros(self.shape),
        }
        return self._like(self.timing, lengths, {**self._arrays(), **own}, None)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        given = {name: getattr(self, name) for name in (*_NUMBERS, "routing", "role")}
        return {name: array for name, array in given.items() if array is not None}

    def _like(
        self,
        timing: Timing,
        lengths: Mapping[str, Lengths],
        values: Mapping[str, NDArray[Any]],
        tagged: TaggedRequests | None,
    ) -> ServiceProcess:
        """Return a process of values that are known to be good."""
        process = object.__new__(ServiceProcess)
        process._set(timing, lengths, values, tagged)
        return process

    def differing_from_default(self, name: str) -> BoolArray:
        """Return where one of `OPTIONAL_FIELDS` asks for something, of `shape`."""
        if name == "queue_capacity":
            places = self.queue_capacity
            return np.zeros(self.shape, np.bool_) if places is None else np.isfinite(places)
        if name == "tagged":
            return np.full(self.shape, self.tagged is not None)
        if name == "routing":
            # One replica gets every request, however they are spread.
            spread: BoolArray = (self.routing != Routing.RANDOM) & (self.replicas > 1)
            return spread
        differs: BoolArray = np.asarray(getattr(self, name) != _DEFAULTS[name], dtype=np.bool_)
        return differs


def _number(name: str, value: ArrayLike) -> FloatArray:
    low, high, above, infinite, whole = _NUMBERS[name]
    return checked_array(
        "ServiceProcess", name, value, low, high, above=above, finite=not infinite, whole=whole
    )


def _lengths(name: str, value: ArrayLike | Lengths, scv: ArrayLike, least: float) -> Lengths:
    """Return lengths given as a distribution, or by mean and SCV."""
    spread = checked_array("ServiceProcess", f"{name}_scv", scv, 0.0)
    if not isinstance(value, Lengths):
        return Lengths.of_moments(checked_array("ServiceProcess", name, value, least), spread)
    if spread.any():
        raise ServiceProcessError(
            f"ServiceProcess.{name}_scv: only with a mean; {name} is a distribution with its own"
        )
    checked_array("ServiceProcess", name, value.mean, least)
    return value


def _codes(name: str, value: IntEnum | NDArray[Any], kinds: type[IntEnum]) -> NDArray[np.int8]:
    codes = np.array(value, dtype=np.int8)
    if not np.isin(codes, list(kinds)).all():
        known = ", ".join(f"{kind.name} ({kind.value})" for kind in kinds)
        raise ServiceProcessError(f"ServiceProcess.{name}: must be {known}")
    codes.flags.writeable = False
    return codes


def checked_arrival_rate(rate: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return arrival rates [requests/s], broadcast with a process of this shape.

    Raises
    ------
    ServiceProcessError
        If one is negative, NaN or infinite, or if the shapes do not broadcast.
    """
    array = checked_array("evaluate", "arrival_rate_rps", rate, 0.0)
    try:
        return np.broadcast_to(array, np.broadcast_shapes(array.shape, shape))
    except ValueError as error:
        raise ServiceProcessError(
            f"evaluate.arrival_rate_rps: shape {array.shape} does not broadcast with the "
            f"process's shape {shape}"
        ) from error
