"""Order of accelerators in MLPerf's offline scenario of Llama-2-70B against the predicted one."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from benchmarks.iteration_time.memory import places, weight_bytes
from optimizer.capacity import ModelArchitecture
from optimizer.catalog import accelerator
from optimizer.performance import (
    Calibration,
    ClosedLoad,
    ModelShape,
    Parallelism,
    Replica,
    closed_loop,
    precision,
    roof_of,
)

MODEL = "meta-llama/Llama-2-70b-hf"
# Mean prompt and answer of the OpenOrca samples that MLPerf uses [tokens].
INPUT_TOKENS, OUTPUT_TOKENS = 294.0, 294.0
MOST_REQUESTS = 2048.0
DEGREES = (1, 2, 4, 8)
# Share of the memory beyond which weights leave no room for a cache.
FULL = 0.85


@dataclass(frozen=True)
class Offline:
    """One accelerator's published and predicted throughput per card [tokens/s]."""

    accelerator: str
    round: str
    measured: float
    predicted: float


def offline(fitted: Calibration) -> list[Offline]:
    """Published results beside the best prediction over tensor and pipeline parallelism."""
    text = (files(__package__) / "mlperf_llama2_70b.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    return [
        Offline(
            row["accelerator"],
            row["round"],
            float(row["tokens_per_s"]) / int(row["accelerators"]),
            predicted_tokens_per_s(row["accelerator"], row["weights"], row["engine"], fitted),
        )
        for row in rows
    ]


def predicted_tokens_per_s(name: str, weights: str, engine: str, fitted: Calibration) -> float:
    """Throughput per card with the cache full of requests.

    A pipeline of p stages keeps p micro-batches going: each card runs 1/p of the layers for one.
    """
    facts = accelerator(name)
    most = min(8, facts.max_scaleup_devices)
    ways = [(t, p) for t in DEGREES for p in DEGREES if t * p <= most]
    tensor, stages = np.array(ways, dtype=float).T
    form, roof = precision(weights, kv_bytes=1.0), roof_of(facts)
    stage = _stage_of(ModelArchitecture(MODEL).shape, stages)
    parallelism = Parallelism(tensor=tensor)
    fits = weight_bytes(stage, form, parallelism) < FULL * roof.memory_gb * 1e9
    held = places(stage, roof, form, parallelism, np.array(INPUT_TOKENS + OUTPUT_TOKENS / 2))
    replica = Replica(
        shape=stage,
        roof=roof,
        precision=form,
        parallelism=parallelism,
        efficiencies=fitted.of_accelerator(facts),
        # Offline: no answers are streamed, so nothing is spent per sequence and iteration.
        engine=replace(fitted.of_engine(engine), sequence_ms=0.0),
    )
    load = ClosedLoad(
        requests=np.minimum(held, MOST_REQUESTS) / stages,
        input_tokens=INPUT_TOKENS,
        output_tokens=OUTPUT_TOKENS,
        varied=1.0,
    )
    rate = closed_loop(replica, load, fitted.waves).output_tokens_per_s / (tensor * stages)
    return float(np.max(np.where(fits, rate, 0.0)))


def _stage_of(shape: ModelShape, stages: NDArray[np.float64]) -> ModelShape:
    parts = ("layers", "full_layers", "dense_layers", "kv_full_elements")
    return replace(shape, **{name: getattr(shape, name) / stages for name in parts})


def kendall_tau(results: list[Offline]) -> float:
    """Kendall's tau-b between published and predicted order."""
    from scipy.stats import kendalltau

    return float(
        kendalltau([r.measured for r in results], [r.predicted for r in results]).statistic
    )
