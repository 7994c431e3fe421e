"""The A100: operators measured one by one calibrate the family; whole prompts judge it."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from optimizer.capacity import ModelArchitecture
from optimizer.catalog import accelerator, model
from optimizer.performance import (
    Efficiencies,
    EngineOverheads,
    Parallelism,
    Replica,
    Work,
    iteration_ms,
    precision,
    roof_of,
)
from optimizer.performance.operators import matrix_ms

FloatArray = NDArray[np.float64]

ACCELERATOR = "A100-80GB-SXM"
# Names of the profiles in the catalogue; Llama-3 and Llama-3.1 have the same layers.
MODELS = {
    "meta-llama/Meta-Llama-3-8B": "meta-llama/Llama-3.1-8B",
    "meta-llama/Meta-Llama-3-70B": "meta-llama/Llama-3.1-70B",
    "llama2-70b": "meta-llama/Llama-2-70b-hf",
}
FITTED = ("weight_bandwidth", "matrix_16", "kernel_ms")
PRIOR_LOG_SD = (0.12, 0.12, 0.40)
SCALE = 0.10


@dataclass(frozen=True)
class Products:
    """Matrix products of a layer: sizes, tokens and measured times, each of shape (n,)."""

    model: NDArray[np.str_]
    elements: FloatArray
    tokens: FloatArray
    measured_ms: FloatArray

    def of(self, which: NDArray[np.bool_]) -> Products:
        return Products(
            self.model[which], self.elements[which], self.tokens[which], self.measured_ms[which]
        )

    def predicted_ms(self, efficiencies: Efficiencies) -> FloatArray:
        roof = roof_of(accelerator(ACCELERATOR))
        time = matrix_ms(
            self.elements,
            2.0,
            self.tokens,
            roof.bandwidth_gb_s * efficiencies.weight_bandwidth,
            roof.tflops_16 * efficiencies.matrix_16,
        )
        return np.asarray(time + efficiencies.kernel_ms)


def read_products(path: Path) -> Products:
    """Four products of each row of `vidur_layer_ops.csv`."""
    rows: list[tuple[str, float, float, float]] = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            facts = model(MODELS.get(row["model"], row["model"]))
            tensor, tokens = int(row["tp"]), float(row["num_tokens"])
            heads = facts.attention_heads * facts.head_dim
            kv = max(facts.kv_heads / tensor, 1) * tensor * facts.head_dim
            sizes = {
                "attn_pre_proj_ms": facts.hidden_size * (heads + 2 * kv),
                "attn_post_proj_ms": facts.hidden_size * heads,
                "mlp_up_proj_ms": 2 * facts.hidden_size * facts.intermediate_size,
                "mlp_down_proj_ms": facts.hidden_size * facts.intermediate_size,
            }
            rows += [
                (facts.name, size / tensor, tokens, float(row[column]))
                for column, size in sizes.items()
            ]
    names, *numbers = zip(*rows, strict=True)
    return Products(np.array(names), *(np.array(column) for column in numbers))


def fit_family(products: Products, known: Efficiencies) -> dict[str, float]:
    """What the family reaches of its bandwidth and 16-bit peak, and the time of a kernel."""
    centre = np.log([float(getattr(known, name)) for name in FITTED])

    def residuals(x: FloatArray) -> FloatArray:
        tried = replace(known, **dict(zip(FITTED, np.exp(x), strict=True)))
        off = np.log(products.predicted_ms(tried) / products.measured_ms) / SCALE
        return np.concatenate([off, (x - centre) / np.array(PRIOR_LOG_SD)])

    found = least_squares(residuals, centre, loss="cauchy").x
    return dict(zip(FITTED, np.exp(found).tolist(), strict=True))


@dataclass(frozen=True)
class Prompts:
    """Whole prompts, batch 1: measured and predicted times."""

    measured_ms: FloatArray
    predicted_ms: FloatArray


def prompts(path: Path, efficiencies: Efficiencies, engine: EngineOverheads) -> Prompts:
    """Prompts of Llama-2-70B of 512 tokens and more in `splitwise_profile_a100.csv`.

    Shorter ones wait for kernels launched one by one, which the engine of that profile (2023) did
    in twice the time of those of today.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["model"] in MODELS
            and row["batch_size"] == "1"
            and row["token_size"] == "128"
            and int(row["prompt_size"]) >= 512
        ]
    tokens = np.array([float(row["prompt_size"]) for row in rows])
    replica = Replica(
        shape=ModelArchitecture(MODELS["llama2-70b"]).shape,
        roof=roof_of(accelerator(ACCELERATOR)),
        precision=precision("fp16"),
        parallelism=Parallelism(tensor=np.array([float(row["tensor_parallel"]) for row in rows])),
        efficiencies=efficiencies,
        engine=engine,
    )
    work = Work(
        decode_tokens=0.0,
        context_tokens=0.0,
        prefill_tokens=tokens,
        prefill_context_tokens=tokens / 2,
        prompts=1.0,
    )
    measured = np.array([float(row["prompt_time_ms_median"]) for row in rows])
    return Prompts(measured, iteration_ms(replica, work) + engine.prefill_ms)
