"""Fitting the constants of the performance model: robust, with priors, equal say per campaign."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from benchmarks.iteration_time.serving_points import Points
from optimizer.performance import ClosedLoop, Efficiencies, EngineOverheads, closed_loop

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What is believed before the data: a value, and a standard deviation of its logarithm."""

    value: float
    log_sd: float


# Published figures: GEMM libraries reach 65-75 % of the 16-bit peak on large shapes and less in
# fp8, streaming kernels 80-90 % of the bandwidth, custom all-reduces about 10 us within a node,
# kernels 2-3 us apart in a recorded graph, and 5-10 us when launched one by one.
EFFICIENCIES = {
    "weight_bandwidth": Prior(0.80, 0.12),
    "expert_bandwidth": Prior(0.65, 0.25),
    "kv_bandwidth": Prior(0.75, 0.15),
    "matrix_16": Prior(0.68, 0.12),
    "matrix_8": Prior(0.52, 0.20),
    "expert_matrix": Prior(0.40, 0.30),
    "attention_matrix": Prior(0.40, 0.30),
    "link_bandwidth": Prior(0.60, 0.30),
    "all_reduce_ms": Prior(0.010, 0.40),
    "kernel_ms": Prior(0.0025, 0.40),
    "eager_layer_ms": Prior(0.10, 0.50),
    "expert_spread": Prior(0.90, 0.08),
    "expert_slice": Prior(64.0, 0.70),
}
HOST = {"iteration_ms": 0.5, "sequence_ms": 0.5, "prefill_ms": 0.7}
HOST_VALUES = {"iteration_ms": 1.2, "sequence_ms": 0.03, "prefill_ms": 3.0}
LOOP = {"front_end_ms": Prior(25.0, 0.3), "convoy": Prior(2.0, 0.4)}
WAVES = Prior(8.0, 0.3)
# Documented behaviour: SGLang prefills all that wait, in chunks of 16,384 tokens on these cards,
# before it decodes again; the others put 8,192 prompt tokens beside the decoding requests.
POLICY = {"vllm": (0.0, 8192.0), "sglang": (1.0, 16384.0), "trtllm": (0.0, 8192.0)}

# Scale of the residuals' logarithms, beyond which a point's pull on the fit fades (Cauchy loss).
TPOT_SCALE = 0.10
TTFT_SCALE = 0.35
# A campaign (model, engine, version) counts as this many points at most, and neighbouring points
# of one campaign as half a point: their errors are alike.
MOST_COUNTED = 40
INDEPENDENT = 0.5
ROUNDS = 2


@dataclass(frozen=True)
class Fitted:
    """Fitted constants and the standard deviations of their logarithms."""

    values: dict[str, float]
    log_sd: dict[str, float]

    @property
    def efficiencies(self) -> Efficiencies:
        return Efficiencies(**{name: self.values[name] for name in EFFICIENCIES})

    @property
    def engines(self) -> dict[str, EngineOverheads]:
        return {
            engine: EngineOverheads(
                **{name: self.values[f"{engine}.{name}"] for name in (*HOST, *LOOP)},
                prefill_first=prefill_first,
                chunk_tokens=chunk,
            )
            for engine, (prefill_first, chunk) in POLICY.items()
        }


def priors() -> dict[str, Prior]:
    """Every constant's prior, in a fixed order."""
    named = dict(EFFICIENCIES)
    for engine in POLICY:
        for name, log_sd in HOST.items():
            named[f"{engine}.{name}"] = Prior(HOST_VALUES[name], log_sd)
        for name, prior in LOOP.items():
            named[f"{engine}.{name}"] = prior
    return {**named, "waves": WAVES}


def predict(points: Points, fitted: Fitted) -> ClosedLoop:
    """Latencies of the benchmark's own load at every point."""
    replica = points.replica(fitted.efficiencies, fitted.engines)
    return closed_loop(replica, points.load, fitted.values["waves"])


def fit(points: Points) -> Fitted:
    """Fit times per token first, then what only the time to first token shows, alternately."""
    known = priors()
    names = list(known)
    centre = np.log([prior.value for prior in known.values()])
    spread = np.array([prior.log_sd for prior in known.values()])
    of_loop = np.array([name.split(".")[-1] in LOOP or name == "waves" for name in names])
    weights = _weights(points)
    x, sd = centre.copy(), spread.copy()

    def residuals(some: FloatArray, which: NDArray[np.bool_], ttft: bool) -> FloatArray:
        trial = x.copy()
        trial[which] = some
        loop = predict(points, Fitted(dict(zip(names, np.exp(trial), strict=True)), {}))
        if ttft:
            off = np.log(loop.ttft_ms / points.ttft_ms) / TTFT_SCALE
        else:
            off = np.log(loop.tpot_ms / points.tpot_ms) / TPOT_SCALE
        return np.concatenate([_cauchy(off) * weights, (some - centre[which]) / spread[which]])

    for _ in range(ROUNDS):
        for which, ttft in ((~of_loop, False), (of_loop, True)):
            found = least_squares(residuals, x[which], args=(which, ttft))
            x[which] = found.x
            sd[which] = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
    return Fitted(
        dict(zip(names, np.exp(x).tolist(), strict=True)),
        dict(zip(names, sd.tolist(), strict=True)),
    )


def _cauchy(off: FloatArray) -> FloatArray:
    return np.asarray(np.sign(off) * np.sqrt(2 * np.log1p(off**2 / 2)))


def _weights(points: Points) -> FloatArray:
    campaigns = defaultdict(list)
    for index, point in enumerate(points.points):
        campaigns[point.model, point.engine, point.version].append(index)
    weights = np.zeros(len(points.points))
    for indices in campaigns.values():
        counted = INDEPENDENT * min(len(indices), MOST_COUNTED)
        weights[indices] = np.sqrt(counted / len(indices))
    return weights
