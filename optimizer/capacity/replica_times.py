"""Iteration times of many replicas at once: models, accelerators, layouts and precisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.capacity.architecture import Architecture
from optimizer.capacity.engine_settings import EngineSettings
from optimizer.capacity.iteration_inputs import (
    engine_overheads,
    model_shape,
    reached_efficiencies,
    served_precision,
    stacked_roofs,
)
from optimizer.capacity.kv_formats import KVFormat
from optimizer.capacity.layouts import ParallelLayout
from optimizer.capacity.weight_formats import WeightFormat
from optimizer.catalog import AcceleratorFacts
from optimizer.performance import (
    ClosedLoad,
    ModelShape,
    Parallelism,
    Precision,
    Replica,
    calibration,
    chunked_prefill_ms,
    closed_loop,
)

__all__ = ["LoadTimes", "ReplicaTimes", "ServedModel"]

Floats = NDArray[np.float64]

# Of a model's shape, what a pipeline stage has its part of. The output layer is whole on the last
# stage, which so is the slowest.
_DIVIDED_BY_STAGES = (
    "layers",
    "full_layers",
    "sliding_layers",
    "dense_layers",
    "kv_full_elements",
    "kv_sliding_elements",
    "state_bytes_per_sequence",
)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model with the formats it is served in.

    Parameters
    ----------
    architecture
        The model.
    weights
        Formats of the weights, one per precision.
    cache
        Format of the KV cache.
    """

    architecture: Architecture
    weights: tuple[WeightFormat, ...]
    cache: KVFormat


@dataclass(frozen=True, slots=True)
class LoadTimes:
    """Latencies and throughput with so many requests always in flight.

    Parameters
    ----------
    decode_ms
        A decode iteration.
    itl_ms
        Mean time between two tokens of a request, with the prefills of the others in between.
    tokens_per_s
        Output tokens of the replica.
    """

    decode_ms: Floats
    itl_ms: Floats
    tokens_per_s: Floats


class ReplicaTimes:
    """Times of replicas as arrays of shape (models, accelerators, layouts, precisions).

    nan where an accelerator's bandwidth or throughput is not known.

    Parameters
    ----------
    models
        Models; all in the same number of precisions.
    accelerators
        Accelerators.
    layouts
        How a replica is spread.
    settings
        The engine.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        accelerators: Sequence[AcceleratorFacts],
        layouts: Sequence[ParallelLayout],
        settings: EngineSettings,
    ) -> None:
        self._stages = _along(layouts, "pipeline")
        self._groups = _along(layouts, "data")
        shape = ModelShape.stack([model_shape(m.architecture) for m in models])
        shape = shape.reshape((-1, 1, 1, 1))
        self.replica = Replica(
            shape=replace(
                shape, **{name: getattr(shape, name) / self._stages for name in _DIVIDED_BY_STAGES}
            ),
            roof=stacked_roofs(accelerators).reshape((-1, 1, 1)),
            precision=_precisions(models, accelerators),
            parallelism=Parallelism(
                tensor=_along(layouts, "tensor"),
                attention_data=self._groups,
                expert=_along(layouts, "expert"),
            ),
            efficiencies=reached_efficiencies(accelerators).reshape((-1, 1, 1)),
            engine=engine_overheads(settings.engine, settings.max_num_batched_tokens),
        )

    def of_load(
        self,
        requests: float | Floats,
        input_tokens: float,
        output_tokens: float,
        *,
        streamed: bool = True,
    ) -> LoadTimes:
        """Return times with so many requests in flight in the whole replica.

        The stages of a pipeline work on as many micro-batches, each of which passes all of them.
        Answers that are not `streamed`, as in offline batches, cost the host nothing per token.
        """
        replica = self.replica
        if not streamed:
            replica = replace(replica, engine=replace(replica.engine, sequence_ms=0.0))
        micro_batch = np.asarray(requests) / (self._stages * self._groups)
        alone = np.maximum(micro_batch, 1.0)
        load = ClosedLoad(
            requests=alone, input_tokens=input_tokens, output_tokens=output_tokens, varied=1.0
        )
        loop = closed_loop(replica, load, calibration().waves)
        filled = micro_batch / alone
        return LoadTimes(
            decode_ms=self._stages * loop.decode_ms,
            itl_ms=self._stages * loop.tpot_ms,
            tokens_per_s=filled * self._groups * loop.output_tokens_per_s,
        )

    def first_token_ms(self, input_tokens: float) -> Floats:
        """Return the time to the first token of a prompt on an idle replica, front end included.

        Chunks follow one another through the stages of a pipeline.
        """
        engine = self.replica.engine
        chunks = np.ceil(input_tokens / engine.chunk_tokens)
        passing = 1 + (self._stages - 1) / chunks
        alone = chunked_prefill_ms(self.replica, input_tokens)
        return np.asarray(passing * alone + engine.prefill_ms + engine.front_end_ms)


def _along(layouts: Sequence[ParallelLayout], degree: str) -> Floats:
    return np.array([[getattr(layout, degree)] for layout in layouts], dtype=np.float64)


def _precisions(
    models: Sequence[ServedModel], accelerators: Sequence[AcceleratorFacts]
) -> Precision:
    """Bytes and types of multiplication, each (models, accelerators, 1, precisions)."""
    forms = [
        [served_precision(m.architecture, form, m.cache, accelerators) for form in m.weights]
        for m in models
    ]
    shape = (len(models), len(accelerators), 1, len(models[0].weights))

    def gathered(name: str) -> Floats:
        values = np.empty(shape)
        for m, row in enumerate(forms):
            for p, form in enumerate(row):
                values[m, :, 0, p] = getattr(form, name)
        return values

    return Precision(**{name: gathered(name) for name in Precision.__dataclass_fields__})
