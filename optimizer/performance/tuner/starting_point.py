"""Parameters to start from where nobody states any, or states some as zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.performance.tuner.law import TimingLaw
from optimizer.performance.tuner.observation import ServingObservation
from optimizer.performance.tuner.settings import TunedReplica

__all__ = ["above_zero", "starting_point"]

FloatArray = NDArray[np.float64]

# Shares of a decode step, and of the time to first token, that are thought to be what.
_BASE, _REQUESTS, _CONTEXT = 0.7, 0.25, 0.05
_PREFILL = 0.5
# A parameter stated as zero starts at this share of the base with all the work there may be.
_NOTHING = 1e-3
_TYPICAL_TOKENS = 1000.0


def starting_point(law: TimingLaw, seen: ServingObservation) -> FloatArray:
    """Return parameters (n,) of the right size for one observed window without faults.

    A decode step is taken to be mostly its base, and half of the time to first token to be the
    work of the prompt.
    """
    assert seen.input_tokens is not None
    assert seen.output_tokens is not None
    itl = seen.itl_ms or (seen.ttft_ms or 1.0) / 10.0
    ttft = seen.ttft_ms or 5.0 * itl
    requests = seen.concurrency
    if requests is None:
        requests = (seen.arrival_rate_rps or 0.0) * (ttft + seen.output_tokens * itl) / 1e3
    requests = max(requests, 1.0)
    context = requests * (seen.input_tokens + seen.output_tokens / 2)
    per_prompt_token = _PREFILL * ttft / seen.input_tokens
    by_name = {
        "base_ms": _BASE * itl,
        "decode_ms_per_token": _REQUESTS * itl / requests,
        "ms_per_token": min(_REQUESTS * itl / requests, per_prompt_token),
        "kv_ms_per_token": _CONTEXT * itl / context,
        "decode_base_ms": _BASE * itl,
        "decode_ms_per_request": _REQUESTS * itl / requests,
        "prefill_base_ms": (1 - _PREFILL) * ttft,
        "prefill_ms_per_token": per_prompt_token,
    }
    if law.name == "prefill_decode":
        by_name["prefill_ms_per_token"] /= requests
    return np.array([by_name[name] for name in law.parameters])


def above_zero(law: TimingLaw, values: FloatArray, replica: TunedReplica) -> FloatArray:
    """Return stated parameters with a trifle in the place of zeros, which have no logarithm."""
    largest = float(np.max(values))
    work = {
        "decode_ms_per_token": replica.max_batch,
        "decode_ms_per_request": replica.max_batch,
        "ms_per_token": replica.max_batch,
        "prefill_ms_per_token": _TYPICAL_TOKENS,
        "kv_ms_per_token": replica.max_batch * _TYPICAL_TOKENS,
    }
    trifle = np.array([_NOTHING * largest / work.get(name, 1.0) for name in law.parameters])
    return np.where(values > 0, values, np.minimum(trifle, largest))
