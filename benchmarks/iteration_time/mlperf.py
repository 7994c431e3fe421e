"""Order of accelerators in MLPerf's offline scenario of Llama-2-70B against the predicted one."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from importlib.resources import files

import numpy as np

from benchmarks.iteration_time.memory import places, weight_bytes
from optimizer.catalog import accelerator, model
from optimizer.performance import (
    Calibration,
    ClosedLoad,
    Parallelism,
    Replica,
    closed_loop,
    family_of,
    precision,
    roof_of,
    shape_of,
)
from optimizer.performance.batching import Batched

MODEL = "meta-llama/Llama-2-70b-hf"
# Mean prompt and answer of the OpenOrca samples that MLPerf uses [tokens].
INPUT_TOKENS, OUTPUT_TOKENS = 294.0, 294.0
MOST_REQUESTS = 2048.0


@dataclass(frozen=True)
class Offline:
    """One accelerator's published and predicted throughput per card [tokens/s]."""

    accelerator: str
    measured: float
    predicted: float


def offline(fitted: Calibration) -> list[Offline]:
    """Published results, each with the best prediction over tensor parallelism 1, 2, 4 and 8."""
    text = (files(__package__) / "mlperf_llama2_70b.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    return [
        Offline(
            row["accelerator"],
            float(row["tokens_per_s"]) / int(row["accelerators"]),
            predicted_tokens_per_s(row["accelerator"], row["weights"], fitted),
        )
        for row in rows
    ]


def predicted_tokens_per_s(name: str, weights: str, fitted: Calibration) -> float:
    """Throughput per card with the cache full of requests."""
    facts = accelerator(name)
    tensor = np.array([n for n in (1, 2, 4, 8) if n <= facts.max_scaleup_devices], dtype=float)
    shape, roof, form = shape_of(model(MODEL)), roof_of(facts), precision(weights, kv_bytes=1.0)
    parallelism = Parallelism(tensor=tensor)
    fits = weight_bytes(shape, form, parallelism) < roof.memory_gb * 0.85e9
    held = places(*_arrays(shape, roof, form), parallelism, INPUT_TOKENS + OUTPUT_TOKENS / 2)
    requests = np.minimum(held, MOST_REQUESTS)
    replica = Replica(
        shape=shape,
        roof=roof,
        precision=form,
        parallelism=parallelism,
        efficiencies=fitted.of_family(family_of(facts)),
        # Offline: no answers are streamed, so nothing is spent per sequence and iteration.
        engine=replace(fitted.of_engine("trtllm"), sequence_ms=0.0),
    )
    load = ClosedLoad(
        requests=requests, input_tokens=INPUT_TOKENS, output_tokens=OUTPUT_TOKENS, varied=1.0
    )
    per_card = closed_loop(replica, load, fitted.waves).output_tokens_per_s / tensor
    return float(np.max(np.where(fits, per_card, 0.0)))


def _arrays(*records: Batched) -> tuple[Batched, ...]:
    return tuple(record.reshape((1,)) for record in records)


def kendall_tau(results: list[Offline]) -> float:
    """Kendall's tau-b between published and predicted order."""
    from scipy.stats import kendalltau

    return float(
        kendalltau([r.measured for r in results], [r.predicted for r in results]).statistic
    )
