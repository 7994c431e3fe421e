"""Reading the measured serving points into arrays that the performance model takes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.iteration_time.memory import places
from optimizer.capacity import ModelArchitecture
from optimizer.catalog import accelerator, model
from optimizer.performance import (
    AcceleratorRoof,
    ClosedLoad,
    Efficiencies,
    EngineOverheads,
    ModelShape,
    Parallelism,
    Precision,
    Replica,
    precision,
    roof_of,
)

ACCELERATORS = {"h100_sxm": "H100-SXM", "h200_sxm": "H200-SXM"}
MODELS = {"meta-llama/Llama-3.1-8B-Instruct": "meta-llama/Llama-3.1-8B"}
# Requests in flight beyond which engines cap the batch at a limit that the rows do not record.
MOST_REQUESTS = 256
# Cards of one node; rows that claim more repeat, number for number, rows of one node.
MOST_CARDS = 16


@dataclass(frozen=True)
class Point:
    """One row, with names of the catalogue."""

    model: str
    accelerator: str
    engine: str
    version: str
    precision: str
    kv_bytes: float
    tensor: int
    attention_data: int
    expert: int
    input_tokens: int
    output_tokens: int
    requests: int
    varied: bool
    load_known: bool
    ttft_ms: float
    tpot_ms: float

    @property
    def dense(self) -> bool:
        return not model(self.model).experts

    @property
    def usable(self) -> bool:
        """Whether the row says what load it was measured under."""
        return self.load_known and self.requests * self.attention_data <= MOST_REQUESTS


def read_points(path: Path) -> list[Point]:
    """Rows of `serving_points.csv`; repeated rows and rows of impossible size are left out."""
    points: dict[Point, None] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            point = _point(row)
            if point.tensor * point.attention_data <= MOST_CARDS:
                points[point] = None
    return list(points)


def _point(row: dict[str, str]) -> Point:
    name = MODELS.get(row["model_path"], row["model_path"])
    file = row["source"].split("source_file=")[-1].split(";")[0].strip()
    form = _precision(row)
    return Point(
        model=name,
        accelerator=ACCELERATORS[row["system"]],
        engine=row["backend"],
        version=row["backend_version"],
        precision=form,
        # TensorRT-LLM's fp8 checkpoints carry an fp8 cache; the other engines keep 16 bits.
        kv_bytes=1.0 if form == "fp8" and row["backend"] == "trtllm" else 2.0,
        tensor=_integer(row["tp_size"]),
        attention_data=_integer(row["attention_dp_size"]),
        expert=_integer(row["moe_ep_size"]),
        input_tokens=int(row["isl"]),
        output_tokens=int(row["osl"]),
        requests=_integer(row["batch_size"]),
        # One of the two campaigns sends equal lengths in ten rounds; the dated files come from a
        # nightly benchmark that draws lengths at random.
        varied=not file.startswith("aic-gap-analysis"),
        load_known=bool(row["concurrency"]),
        ttft_ms=float(row["silicon_ttft_ms"]),
        tpot_ms=float(row["silicon_tpot_ms"]),
    )


def _integer(text: str) -> int:
    return int(float(text or 0)) or 1


def _precision(row: dict[str, str]) -> str:
    if "gpt-oss" in row["model_path"]:
        return "mxfp4-experts"
    if row["precision"] == "fp8" or "DeepSeek" in row["model_path"]:
        return "fp8"
    return "bf16"


@dataclass(frozen=True)
class Points:
    """Many rows as arrays of shape (n,)."""

    points: list[Point]
    shape: ModelShape
    roof: AcceleratorRoof
    precision: Precision
    parallelism: Parallelism
    load: ClosedLoad
    ttft_ms: NDArray[np.float64]
    tpot_ms: NDArray[np.float64]

    @classmethod
    def of(cls, points: list[Point]) -> Points:
        shape = ModelShape.stack([ModelArchitecture(p.model).shape for p in points])
        roof = AcceleratorRoof.stack([roof_of(accelerator(p.accelerator)) for p in points])
        forms = Precision.stack([precision(p.precision, kv_bytes=p.kv_bytes) for p in points])
        parallelism = Parallelism.stack(
            [
                Parallelism(tensor=p.tensor, attention_data=p.attention_data, expert=p.expert)
                for p in points
            ]
        )
        load = ClosedLoad.stack(
            [
                ClosedLoad(
                    requests=p.requests,
                    input_tokens=p.input_tokens,
                    output_tokens=p.output_tokens,
                    varied=float(p.varied),
                )
                for p in points
            ]
        )
        held = places(shape, roof, forms, parallelism, load.input_tokens + load.output_tokens / 2)
        load = ClosedLoad(
            requests=load.requests,
            input_tokens=load.input_tokens,
            output_tokens=load.output_tokens,
            varied=load.varied,
            places=held,
        )
        measured = np.array([(p.ttft_ms, p.tpot_ms) for p in points]).T
        return cls(points, shape, roof, forms, parallelism, load, *measured)

    def replica(self, efficiencies: Efficiencies, engines: dict[str, EngineOverheads]) -> Replica:
        return Replica(
            shape=self.shape,
            roof=self.roof,
            precision=self.precision,
            parallelism=self.parallelism,
            efficiencies=efficiencies,
            engine=EngineOverheads.stack([engines[p.engine] for p in self.points]),
        )
