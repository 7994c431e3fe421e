"""What a sheet is about: a model on an accelerator, and the round figures people reckon with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optimizer.capacity.concurrency import concurrency
from optimizer.capacity.engine_settings import EngineSettings
from optimizer.capacity.errors import CapacityError, require_count, require_positive
from optimizer.capacity.gpu_search import require_facts
from optimizer.capacity.kv_cache import KVCacheDetail
from optimizer.capacity.kv_formats import kv_format
from optimizer.capacity.layouts import ParallelLayout, layout_obstacle
from optimizer.capacity.memory_budget import MemoryBudget, memory_budget
from optimizer.capacity.model_architecture import ModelArchitecture
from optimizer.capacity.replica_estimate import single_replica
from optimizer.capacity.roofline import ModelWork, matrix_tflops, model_work
from optimizer.capacity.units import GB
from optimizer.capacity.weight_formats import WeightFormat
from optimizer.catalog import AcceleratorFacts, accelerator, device_memory
from optimizer.performance import (
    ClosedLoad,
    ClosedLoop,
    Replica,
    Work,
    calibration,
    chunked_prefill_ms,
    closed_loop,
    iteration_ms,
)

__all__ = ["REFERENCE_ACCELERATOR", "REFERENCE_MODEL", "SheetCase", "reference_case"]

REFERENCE_MODEL = "meta-llama/Llama-2-70b-hf"
REFERENCE_ACCELERATOR = "H100-SXM"
# The reference sheet's own round figures.
_REFERENCE_PARAMETERS = 70e9
_REFERENCE_USD_PER_HOUR = 3.50
_OVERHEAD_GB = 2.0
_ACTIVATION_GB = 2.0


@dataclass(frozen=True, kw_only=True)
class SheetCase:
    """A model on an accelerator.

    Parameters
    ----------
    model, facts
        Both; of the accelerator, memory, bandwidth and throughput must be known, and the price
        where money is asked about.
    precision
        Format of the weights.
    tensor_parallel
        Accelerators that divide each layer.
    parameters
        Round number of parameters to reckon by hand with; None: the real one.
    overhead_gb, activation_gb
        Round figures for framework and activations, by hand [GB].
    pool_gb
        KV pool to reckon by hand with; None: what the round figures leave.
    settings
        The engine.

    Raises
    ------
    CapacityError
        If the model cannot be divided like that, facts are missing or a figure is out of its range.
    """

    model: ModelArchitecture
    facts: AcceleratorFacts
    precision: str = "auto"
    tensor_parallel: int = 1
    parameters: float | None = None
    overhead_gb: float = _OVERHEAD_GB
    activation_gb: float = _ACTIVATION_GB
    pool_gb: float | None = None
    settings: EngineSettings = field(default_factory=EngineSettings)

    def __post_init__(self) -> None:
        require_facts(self.facts)
        require_count("tensor_parallel", self.tensor_parallel)
        for name in ("parameters", "overhead_gb", "activation_gb", "pool_gb"):
            value = getattr(self, name)
            if value is not None:
                require_positive(name, value)
        ranks = self.facts.max_scaleup_devices
        obstacle = layout_obstacle(self.model.architecture, self.layout, self.weights)
        if self.tensor_parallel > ranks:
            obstacle = f"the link of {self.facts.name} joins {ranks}"
        if obstacle is not None:
            raise CapacityError("tensor_parallel", self.tensor_parallel, obstacle)

    @property
    def title(self) -> str:
        """Model, precision and accelerators."""
        cards = f"{self.tensor_parallel} x " if self.tensor_parallel > 1 else ""
        return f"{self.model.model_id} in {self.weights.name} on {cards}{self.facts.name}"

    @property
    def layout(self) -> ParallelLayout:
        """Tensor parallelism alone."""
        return ParallelLayout(tensor=self.tensor_parallel)

    @property
    def usd_per_hour(self) -> float:
        """Price of all accelerators of a replica.

        Raises
        ------
        CapacityError
            If it is not known.
        """
        if self.facts.usd_per_hour is None:
            raise CapacityError(
                "usd_per_hour", None, f"is not known for {self.facts.name}; give it"
            )
        return self.facts.usd_per_hour * self.tensor_parallel

    @cached_property
    def weights(self) -> WeightFormat:
        """Format of the weights."""
        return self.model.weights_in(self.precision)

    @cached_property
    def bytes_per_weight(self) -> float:
        """Round bytes of a weight, without scales."""
        return float(self.weights.number.bits) / 8

    @property
    def nominal_parameters(self) -> float:
        """Parameters to reckon by hand with."""
        return float(self.model.num_parameters if self.parameters is None else self.parameters)

    @property
    def nominal_weight_gb(self) -> float:
        """Weights by hand: parameters times bytes."""
        return self.nominal_parameters * self.bytes_per_weight / GB

    @property
    def nominal_memory_gb(self) -> float:
        """Memory of all accelerators as sold."""
        return self.facts.memory_gb * self.tensor_parallel

    @property
    def hand_pool_gb(self) -> float:
        """KV pool by hand: what was given, or what the round figures leave.

        Raises
        ------
        CapacityError
            If they leave nothing.
        """
        if self.pool_gb is not None:
            return self.pool_gb
        cards = self.tensor_parallel
        left = self.nominal_memory_gb - self.nominal_weight_gb
        left -= (self.overhead_gb + self.activation_gb) * cards
        if left <= 0:
            raise CapacityError(
                "pool_gb",
                None,
                f"{self.nominal_memory_gb:g} GB less weights of {self.nominal_weight_gb:.1f} GB, "
                f"and the rest leave {left:.1f} GB; give a pool, more cards or narrower weights",
            )
        return left

    @cached_property
    def kv(self) -> KVCacheDetail:
        """KV cache of one token."""
        return self.model.get_kv_cache_detail(1, 1)

    @cached_property
    def budget(self) -> MemoryBudget:
        """Memory as the engine divides it."""
        return memory_budget(
            self.model.architecture,
            self.weights,
            kv_format(self.model.kv_dtype, self.model.architecture),
            device_memory_gib=device_memory(self.facts).memory_gib,
            tensor_parallel=self.tensor_parallel,
            settings=self.settings,
        )

    def held(self, tokens: int) -> float:
        """Return the requests of so many tokens that the engine's pool holds while they decode."""
        if not self.budget.fits or self.budget.layout is None:
            return 0.0
        return concurrency(self.budget.layout, self.budget.blocks, tokens).steady_state

    @cached_property
    def work(self) -> ModelWork:
        """Bytes and operations of a step on each accelerator."""
        return model_work(self.model.architecture, self.weights, self.tensor_parallel)

    @property
    def bandwidth_gb_s(self) -> float:
        """Memory bandwidth of all accelerators."""
        return (self.facts.bandwidth_gb_s or 0.0) * self.tensor_parallel

    @property
    def tflops(self) -> float:
        """Matrix throughput of all accelerators with weights of this format."""
        return matrix_tflops(self.facts, self.weights) * self.tensor_parallel

    @cached_property
    def replica(self) -> Replica:
        """Replica for predicted iteration times."""
        cache = kv_format(self.model.kv_dtype, self.model.architecture)
        return single_replica(
            self.model, self.facts, self.weights, cache, self.layout, self.settings
        )

    def decode_ms(self, batch: float, context_tokens: float) -> float:
        """Predicted time of a decode iteration."""
        work = Work(decode_tokens=batch, context_tokens=context_tokens)
        return float(iteration_ms(self.replica, work))

    def prefill_ms(self, prompt_tokens: float) -> float:
        """Predicted time of a prompt alone, the engine's own part included."""
        alone = chunked_prefill_ms(self.replica, prompt_tokens)
        return float(alone + np.asarray(self.replica.engine.prefill_ms))

    def under_load(
        self, requests: float | NDArray[np.float64], input_tokens: float, output_tokens: float
    ) -> ClosedLoop:
        """Predicted latencies and throughput with so many requests always in flight."""
        load = ClosedLoad(
            requests=np.maximum(requests, 1.0),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            varied=1.0,
        )
        return closed_loop(self.replica, load, calibration().waves)

    def spread(self, tensor_parallel: int) -> SheetCase | None:
        """Spread it over so many accelerators; None where model or link do not allow it."""
        try:
            return replace(self, tensor_parallel=tensor_parallel, pool_gb=None)
        except CapacityError:
            return None

    def first_token_ms(self, prompt_tokens: float) -> float:
        """Predicted time to the first token of a prompt on an idle replica."""
        return self.prefill_ms(prompt_tokens) + float(np.asarray(self.replica.engine.front_end_ms))

    def most_requests(self, input_tokens: float, output_tokens: float) -> int:
        """Count the requests that fit at once, met half-way through their answer."""
        tokens = max(math.ceil(input_tokens + output_tokens / 2), 1)
        return min(int(self.held(tokens)), self.settings.max_num_seqs)


def reference_case(**changes: object) -> SheetCase:
    """Llama-2-70B in int8 on one H100 of 80 GB, reckoned with 70e9 parameters, 3.50 USD/h."""
    chosen: dict[str, object] = {
        "model": ModelArchitecture(REFERENCE_MODEL),
        "facts": replace(accelerator(REFERENCE_ACCELERATOR), usd_per_hour=_REFERENCE_USD_PER_HOUR),
        "precision": "int8",
        "parameters": _REFERENCE_PARAMETERS,
    }
    return SheetCase(**{**chosen, **changes})  # type: ignore[arg-type]
