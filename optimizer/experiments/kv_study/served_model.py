"""A model on an accelerator, as the study asks for its times and sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.capacity import EngineSettings, ModelArchitecture
from optimizer.capacity.layouts import ParallelLayout
from optimizer.capacity.replica_estimate import (
    RequestSize,
    Unfit,
    estimate_replica,
    single_replica,
)
from optimizer.catalog import AcceleratorFacts, UnknownEntryError
from optimizer.catalog import model as catalogued_model
from optimizer.errors import Fault, SpecError
from optimizer.kv import KvShape
from optimizer.performance import Replica, Work, chunked_prefill_ms, iteration_ms

__all__ = ["ServedModel"]

FloatArray = NDArray[np.float64]

_DEGREES = (1, 2, 4, 8)
_CONTEXT_TOKENS = 18 * 1024.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One replica: its iteration times, its KV cache, the room for it.

    Parameters
    ----------
    name, accelerator
        Names.
    tensor_parallel
        Accelerators that divide each layer.
    replica
        Iteration times.
    shape
        Bytes of the KV cache, all accelerators together.
    kv_capacity_tokens
        Tokens that the replica's memory holds.
    """

    name: str
    accelerator: str
    tensor_parallel: int
    replica: Replica
    shape: KvShape
    kv_capacity_tokens: float

    @classmethod
    def of(cls, model: ModelArchitecture, facts: AcceleratorFacts) -> Self:
        """Take the least number of accelerators that hold the model and a long context.

        Raises
        ------
        SpecError
            If eight do not.
        """
        settings = EngineSettings()
        longest = min(_CONTEXT_TOKENS, model.max_context_tokens - 1.0)
        size = RequestSize(input_tokens=longest, output_tokens=1.0)
        reasons = list[str]()
        for degree in _DEGREES:
            found = estimate_replica(
                model, facts, [size], tensor_parallel=degree, settings=settings
            )
            if isinstance(found, Unfit):
                reasons.append(f"{degree}: {found.reason}")
                continue
            layout = ParallelLayout(tensor=degree)
            return cls(
                name=model.model_id,
                accelerator=facts.name,
                tensor_parallel=degree,
                replica=single_replica(model, facts, found.weights, found.cache, layout, settings),
                shape=_kv_shape(model),
                kv_capacity_tokens=found.kv_capacity_tokens,
            )
        message = f"{model.model_id} cannot be served on it; {reasons[-1]}"
        raise SpecError([Fault(message, path="accelerator", value=repr(facts.name))])

    def prefill_ms(self, tokens: ArrayLike, cached: ArrayLike = 0.0) -> FloatArray:
        """Time of a prompt's prefill, alone, with some of its tokens cached; 0 of none."""
        new = np.asarray(tokens, dtype=np.float64) - np.asarray(cached, dtype=np.float64)
        return chunked_prefill_ms(
            self.replica, np.maximum(new, 1.0), cached_tokens=np.asarray(cached, dtype=np.float64)
        )

    def step_ms(self, batch: ArrayLike, context_tokens: ArrayLike) -> FloatArray:
        """Time of an iteration in which `batch` sequences of such a context decode a token."""
        work = Work(
            decode_tokens=np.asarray(batch, dtype=np.float64),
            context_tokens=np.asarray(context_tokens, dtype=np.float64),
        )
        return iteration_ms(self.replica, work)

    def decode_ms(self, prompt: ArrayLike, output: ArrayLike, batch: ArrayLike = 1.0) -> FloatArray:
        """Time of all tokens after the first, at the mean context."""
        after = np.maximum(np.asarray(output, dtype=np.float64) - 1.0, 0.0)
        middle = np.asarray(prompt, dtype=np.float64) + after / 2
        return after * self.step_ms(batch, middle)

    def kv_bytes(self, tokens: ArrayLike) -> FloatArray:
        """Size of the KV cache of a context."""
        return self.shape.total_bytes(tokens)


def _kv_shape(model: ModelArchitecture) -> KvShape:
    """Size of the KV cache in fp16: by the catalogue, which knows windows, else by tokens."""
    try:
        return KvShape.of_model(catalogued_model(model.model_id))
    except UnknownEntryError:
        detail = model.get_kv_cache_detail(context_length=1, batch_size=1)
        layers = detail.num_hidden_layers
        elements = detail.per_token_memory_bytes / detail.precision_in_bytes / layers
        return KvShape(layers=layers, elements_per_layer_token=elements)
