"""Replicas that the tests of this folder share."""

from __future__ import annotations

from optimizer.capacity import ModelArchitecture
from optimizer.catalog import accelerator, model
from optimizer.performance import (
    Parallelism,
    Replica,
    calibration,
    native_precision,
    precision,
    roof_of,
)


def replica(
    name: str = "meta-llama/Llama-3.1-8B",
    card: str = "H100-SXM",
    *,
    tensor: float = 1.0,
    weights: str | None = None,
    engine: str = "vllm",
) -> Replica:
    """A replica of catalogue entries, with the calibration that ships."""
    facts, cards, known = model(name), accelerator(card), calibration()
    return Replica(
        shape=ModelArchitecture(name).shape,
        roof=roof_of(cards),
        precision=precision(weights or native_precision(facts)),
        parallelism=Parallelism(tensor=tensor),
        efficiencies=known.of_accelerator(cards),
        engine=known.of_engine(engine),
    )
