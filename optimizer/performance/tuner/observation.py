"""What is observed of a replica, and why an observation cannot be used."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import ClassVar

__all__ = ["Observation", "ServingObservation", "StepObservation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What all observations have; None where something is not known.

    Parameters
    ----------
    time_s
        When the observation ended [s]; of observations with one time, the first counts.
    """

    required: ClassVar[tuple[str, ...]] = ()
    positive: ClassVar[tuple[str, ...]] = ()

    time_s: float | None = None

    @property
    def fault(self) -> str:
        """Why it cannot be used, in words; empty where it can."""
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if value is None:
                if name in self.required:
                    return f"{name} is missing"
            elif not math.isfinite(value):
                return f"{name} = {value}: not a number"
            elif name != "time_s" and value < 0:
                return f"{name} = {value:g}: negative"
            elif name in self.positive and value == 0:
                return f"{name} is 0"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingObservation(Observation):
    """A window of one replica's serving, as monitoring sees it.

    Parameters
    ----------
    arrival_rate_rps
        Requests offered to the replica [1/s]; where it is not known, it is told from `concurrency`
        by Little's law.
    input_tokens, output_tokens
        Mean lengths of the requests.
    ttft_ms, itl_ms
        Mean time to first token and between tokens; one may be missing.
    concurrency
        Mean number of requests in service; tells a saturated replica.
    requests
        How many were seen; the fewer, the less exactly the rate is known.
    """

    required: ClassVar[tuple[str, ...]] = ("input_tokens", "output_tokens")
    positive: ClassVar[tuple[str, ...]] = (
        "arrival_rate_rps",
        "input_tokens",
        "output_tokens",
        "ttft_ms",
        "itl_ms",
        "concurrency",
        "requests",
    )

    arrival_rate_rps: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    ttft_ms: float | None = None
    itl_ms: float | None = None
    concurrency: float | None = None
    requests: float | None = None

    @property
    def fault(self) -> str:
        """Why it cannot be used, in words; empty where it can."""
        # A dataclass with slots is a copy of the class that `super()` without arguments knows.
        found = Observation.fault.fget(self)  # type: ignore[attr-defined]
        if found:
            return str(found)
        if self.output_tokens is not None and self.output_tokens < 1:
            return f"output_tokens = {self.output_tokens:g}: an answer has at least one token"
        if self.ttft_ms is None and self.itl_ms is None:
            return "ttft_ms and itl_ms are both missing"
        if self.arrival_rate_rps is None and self.concurrency is None:
            return "arrival_rate_rps and concurrency are both missing"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepObservation(Observation):
    """One iteration of the engine, or the mean of several alike.

    Parameters
    ----------
    iteration_ms
        How long it took.
    decode_tokens
        Requests that decoded in it.
    prefill_tokens
        Prompt tokens processed in it.
    kv_tokens
        Tokens in the KV caches that it read.
    """

    required: ClassVar[tuple[str, ...]] = ("iteration_ms", "decode_tokens")
    positive: ClassVar[tuple[str, ...]] = ("iteration_ms",)

    iteration_ms: float | None = None
    decode_tokens: float | None = None
    prefill_tokens: float | None = 0.0
    kv_tokens: float | None = 0.0

    @property
    def fault(self) -> str:
        """Why it cannot be used, in words; empty where it can."""
        found = Observation.fault.fget(self)  # type: ignore[attr-defined]
        if found:
            return str(found)
        if not (self.decode_tokens or self.prefill_tokens):
            return "decode_tokens and prefill_tokens are both 0: nothing was done"
        return ""
