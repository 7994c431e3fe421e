"""Replicas whose timing is known: what they show under loads, and how well it was learnt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from optimizer.performance.tuner import (
    LAWS,
    ServingObservation,
    StepObservation,
    TunedReplica,
    Tuner,
)
from queue_models import ServiceProcess, Targets, Timing, get

NOISE = 0.05
BATCH = 96
CHECKED = 60


@dataclass(frozen=True)
class World:
    """A replica of known timing; loads are drawn from a seed.

    Parameters
    ----------
    model, law
        Queue model and law of timing.
    true
        Parameters.
    """

    model: str
    law: str
    true: np.ndarray

    @property
    def replica(self) -> TunedReplica:
        return TunedReplica(max_batch=BATCH, queue_model=self.model, law=self.law)

    def off(self, seed: int) -> Timing:
        """Timing to start from: every parameter off by a factor of 0.4 to 2.5."""
        rng = np.random.default_rng(1000 + seed)
        factor = np.exp(rng.uniform(np.log(0.4), np.log(2.5), self.true.size))
        return LAWS[self.law].timing(self.true * factor)

    def process(self, values: np.ndarray, load: np.ndarray) -> ServiceProcess:
        prompt, answer = np.round(100 + 1400 * load[..., 1]), np.round(30 + 370 * load[..., 2])
        return ServiceProcess(LAWS[self.law].timing(values), prompt, answer, BATCH)

    def shown(self, values: np.ndarray, load: np.ndarray) -> tuple[np.ndarray, ...]:
        """Rate, TTFT and ITL under loads (k, 3): 10 to 70 % of the capacity."""
        process = self.process(values, load)
        model = get(self.model)
        rate = (0.1 + 0.6 * load[..., 0]) * model.max_rate(process, Targets())
        seen = model.evaluate(process, rate)
        return rate, seen.ttft_ms, seen.itl_ms, seen.concurrency

    def observations(
        self,
        count: int,
        seed: int,
        factor: float = 1.0,
        *,
        outliers: float = 0.0,
        constant: bool = False,
        start_s: float = 0.0,
    ) -> Iterator[ServingObservation]:
        """Windows with 5 % noise; `outliers`: the share of them that is off by x0.2 or x5."""
        rng = np.random.default_rng(seed)
        load = rng.random((count, 3))
        if constant:
            load[:] = load[0]
        rate, ttft, itl, _ = self.shown(self.true * factor, load)
        process = self.process(self.true, load)
        for i in range(count):
            noise = np.exp(NOISE * rng.normal(size=2))
            if rng.random() < outliers:
                noise *= 5.0 if rng.random() < 0.5 else 0.2
            yield ServingObservation(
                time_s=start_s + i,
                arrival_rate_rps=float(rate[i]),
                input_tokens=float(process.input_tokens[i]),
                output_tokens=float(process.output_tokens[i]),
                ttft_ms=float(ttft[i] * noise[0]),
                itl_ms=float(itl[i] * noise[1]),
            )

    def steps(
        self, count: int, seed: int, factor: float = 1.0, *, outliers: float = 0.0
    ) -> Iterator[StepObservation]:
        """Iterations with 5 % noise, of varied work."""
        rng = np.random.default_rng(seed)
        for _ in range(count):
            work = _work(rng)
            noise = np.exp(NOISE * rng.normal())
            if rng.random() < outliers:
                noise *= 5.0 if rng.random() < 0.5 else 0.2
            yield StepObservation(
                iteration_ms=float(factor * self.true @ work * noise),
                decode_tokens=float(work[1]),
                prefill_tokens=float(work[2]),
                kv_tokens=float(work[3]),
            )

    def step_error(self, tuner: Tuner, factor: float = 1.0) -> float:
        """Mean relative error of predicted iteration times over other work."""
        rng = np.random.default_rng(77)
        work = np.array([_work(rng) for _ in range(CHECKED)])
        assert tuner.learnt is not None
        return float(np.mean(np.abs(work @ tuner.learnt.values / (work @ self.true * factor) - 1)))

    def errors(self, tuner: Tuner, factor: float = 1.0) -> np.ndarray:
        """Mean relative errors of predicted TTFT and ITL over other loads; 1 where overloaded."""
        load = np.random.default_rng(77).random((CHECKED, 3))
        rate, ttft, itl, _ = self.shown(self.true * factor, load)
        found = get(self.model).evaluate(self.process(tuner.learnt.values, load), rate)
        off = [np.abs(found.ttft_ms / ttft - 1), np.abs(found.itl_ms / itl - 1)]
        return np.array([np.mean(np.minimum(np.nan_to_num(o, posinf=1.0), 1.0)) for o in off])


WORLDS = {
    "state-dependent": World(
        "mm1k-state-dependent", "iteration", np.array([8.0, 0.06, 0.03, 1e-4])
    ),
    "iteration-level": World("iteration-level", "iteration", np.array([8.0, 0.06, 0.03, 1e-4])),
    "inferno-3p": World("inferno-3p", "three_parameter", np.array([8.0, 0.03, 1e-4])),
    "inferno-4p": World("inferno-4p", "prefill_decode", np.array([7.0, 0.12, 5.0, 0.01])),
}


def _work(rng: np.random.Generator) -> np.ndarray:
    batch = rng.integers(1, BATCH)
    return np.array(
        [1, batch, rng.integers(0, 2) * rng.integers(0, 2000), batch * rng.integers(100, 1500)]
    )
