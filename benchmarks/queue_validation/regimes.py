"""What is asked: random replicas under loads, by regime; a regime changes one thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from queue_models import (
    IterationTiming,
    Lengths,
    PrefillDecodeTiming,
    Routing,
    ServiceProcess,
)

__all__ = ["LOADS", "REGIMES", "Configuration", "configurations"]

LOADS = (0.4, 0.7, 0.9)
"""Parts of what the replicas can carry at most."""

Draw = Callable[[np.random.Generator], dict[str, Any]]


@dataclass(frozen=True)
class Configuration:
    """A replica, its requests and how they are spread; times in ms."""

    base: float
    decode: float
    prefill: float
    kv: float
    max_batch: int
    input_lengths: Lengths
    output_lengths: Lengths
    more: Mapping[str, Any]

    def process(self, *, by_phase: bool = False) -> ServiceProcess:
        """Return it in the words of the queue models, (1,).

        By phase: the times of a decode of n requests with their mean KV cache, and of a prompt in
        an iteration of its own, which is how measured phases come about.
        """
        timing: IterationTiming | PrefillDecodeTiming = IterationTiming(
            [self.base], [self.decode], [self.prefill], [self.kv]
        )
        if by_phase:
            context = float(self.input_lengths.mean) + 0.5 * float(self.output_lengths.mean)
            timing = PrefillDecodeTiming(
                decode_base_ms=[self.base],
                decode_ms_per_request=[self.decode + self.kv * context],
                prefill_base_ms=[self.base],
                prefill_ms_per_token=[self.prefill],
            )
        zero = np.zeros(1, np.int64)
        lengths = [
            Lengths.stack([one]).take(zero) for one in (self.input_lengths, self.output_lengths)
        ]
        return ServiceProcess(timing, *lengths, self.max_batch, **self.more)


def configurations(regime: str, count: int, seed: int) -> list[Configuration]:
    """Draw configurations of a regime; the same replicas in every one.

    Prompt and decode tokens take the same time, which `inferno-3p` asks for, in every second one.
    """
    found = []
    for place in range(count):
        rng = np.random.default_rng([seed, place])
        base = float(rng.uniform(5.0, 25.0))
        prompt = float(np.rint(np.exp(rng.uniform(np.log(150), np.log(2500)))))
        output = float(np.rint(np.exp(rng.uniform(np.log(40), np.log(400)))))
        values: dict[str, Any] = {
            "base": base,
            "decode": float(base * rng.uniform(0.003, 0.015)),
            "prefill": float(base * rng.uniform(0.002, 0.008)),
            "kv": float(base * rng.uniform(1e-6, 8e-6)),
            "max_batch": int(rng.choice([16, 32, 64, 128])),
            "input_lengths": Lengths.fixed(prompt),
            "output_lengths": Lengths.fixed(output),
            "more": {},
        }
        if place % 2:
            values["prefill"] = values["decode"] = min(values["prefill"], values["decode"])
        values |= REGIMES[regime](rng, prompt, output)
        found.append(Configuration(**values))
    return found


def _lognormal(rng: np.random.Generator, prompt: float, output: float) -> dict[str, Any]:
    return {
        "input_lengths": Lengths.lognormal(prompt, float(rng.uniform(0.5, 2.0))),
        "output_lengths": Lengths.lognormal(output, float(rng.uniform(0.5, 2.0))),
    }


def _limited_cache(rng: np.random.Generator, prompt: float, output: float) -> dict[str, Any]:
    tokens = (prompt + output) * float(rng.uniform(4.0, 10.0))
    return {"more": {"kv_capacity_tokens": tokens}}


REGIMES: Mapping[str, Callable[[np.random.Generator, float, float], dict[str, Any]]] = {
    "fixed lengths": lambda _, __, ___: {},
    "geometric outputs": lambda _, __, output: {"output_lengths": Lengths.geometric(output)},
    "lognormal lengths": _lognormal,
    "regular arrivals (SCV 0.25)": lambda _, __, ___: {"more": {"arrival_scv": 0.25}},
    "bursty arrivals (SCV 4)": lambda _, __, ___: {"more": {"arrival_scv": 4.0}},
    "small chunks": lambda _, prompt, ___: {"more": {"chunk_tokens": max(0.4 * prompt, 128.0)}},
    "limiting KV cache": _limited_cache,
    "half of prompts cached": lambda _, __, ___: {"more": {"prefix_hit_rate": 0.5}},
    "4 replicas in turn": lambda _, __, ___: {
        "more": {"replicas": 4, "routing": Routing.ROUND_ROBIN}
    },
    "4 replicas, fewest outstanding": lambda _, __, ___: {
        "more": {"replicas": 4, "routing": Routing.LEAST_OUTSTANDING}
    },
    "queue of 20": lambda _, __, ___: {"more": {"queue_capacity": 20.0}},
}
"""What each regime changes of a replica with fixed lengths and Poisson arrivals."""
