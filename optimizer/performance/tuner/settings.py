"""What a tuner is told before it observes anything."""

from __future__ import annotations

import math
from dataclasses import dataclass

from optimizer.performance.tuner.errors import TunerError

__all__ = ["TunedReplica", "TunerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedReplica:
    """The replica whose timing is learnt.

    Parameters
    ----------
    max_batch
        Most requests in service together.
    queue_model
        Queue model that predicts TTFT and ITL, by name.
    law
        Law of timing that is learnt, a key of `LAWS`; None: the one that the model reads.
    chunk_tokens, kv_capacity_tokens
        As in the fleet's performance data.
    input_tokens_scv, output_tokens_scv, arrival_scv
        Squared coefficients of variation of the lengths and of the times between arrivals.

    Raises
    ------
    TunerError
        Naming what is out of range.
    """

    max_batch: int
    queue_model: str = "auto"
    law: str | None = None
    chunk_tokens: int = 8192
    kv_capacity_tokens: float | None = None
    input_tokens_scv: float = 0.0
    output_tokens_scv: float = 0.0
    arrival_scv: float = 1.0

    def __post_init__(self) -> None:
        _refuse(self, {"max_batch": 1, "chunk_tokens": 1, "input_tokens_scv": 0.0})
        _refuse(self, {"output_tokens_scv": 0.0, "arrival_scv": 1e-6, "kv_capacity_tokens": 1.0})


@dataclass(frozen=True, slots=True, kw_only=True)
class TunerSettings:
    """How far a tuner trusts what it starts from, and what it observes.

    Parameters
    ----------
    start_log_sd
        Standard deviation of the logarithm of true over starting parameters.
    noise_log_sd
        The same of observed over true times, until it is known better from the observations.
    drift_log_sd
        By how much predictions may drift from one observation to the next.
    gate_probability
        An observation further off than this share of all good ones is rejected.
    reopen_after
        Rejections in a row that are taken for a change of the replica.
    reopen_log_sd
        How much the parameters are then thought to have changed.

    Raises
    ------
    TunerError
        Naming what is out of range.
    """

    start_log_sd: float = 0.7
    noise_log_sd: float = 0.05
    drift_log_sd: float = 0.001
    gate_probability: float = 0.99
    reopen_after: int = 4
    reopen_log_sd: float = 0.3

    def __post_init__(self) -> None:
        _refuse(self, {"start_log_sd": 1e-6, "noise_log_sd": 1e-6, "drift_log_sd": 0.0})
        _refuse(self, {"reopen_after": 1, "reopen_log_sd": 1e-6})
        if not 0.5 <= self.gate_probability < 1:
            raise TunerError(
                f"TunerSettings.gate_probability = {self.gate_probability}: must be from 0.5 to "
                f"below 1"
            )


def _refuse(given: TunedReplica | TunerSettings, least: dict[str, float]) -> None:
    """Raise TunerError where a number is below its least, or not a number."""
    for name, low in least.items():
        value = getattr(given, name)
        if value is not None and not (math.isfinite(value) and value >= low):
            raise TunerError(
                f"{type(given).__name__}.{name} = {value}: must be a number, {low:g} or more"
            )
