"""A model by its hub id or `config.json`: parameters, weights, KV cache, parallelism, context."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from optimizer.capacity.activation import activation_bytes
from optimizer.capacity.architecture import Architecture
from optimizer.capacity.engine_settings import EngineSettings
from optimizer.capacity.errors import CapacityError
from optimizer.capacity.hugging_face import read_architecture, read_configuration
from optimizer.capacity.iteration_inputs import model_shape
from optimizer.capacity.kv_cache import KVCacheDetail, kv_cache_detail
from optimizer.capacity.parallelism import (
    feasible_expert_parallel,
    feasible_pipeline_parallel,
    feasible_tensor_parallel,
)
from optimizer.capacity.units import GB, GIB
from optimizer.capacity.weight_formats import WeightFormat, weight_format
from optimizer.capacity.weights import weight_bytes
from optimizer.catalog import model_configuration
from optimizer.performance import ModelShape

__all__ = [
    "ModelArchitecture",
    "ModelSource",
    "find_possible_tp",
    "max_context_len",
    "model_memory_req",
    "model_total_params",
]

# Details of this many pairs of context length and batch size are kept.
_CACHED_DETAILS = 256


class ModelArchitecture:
    """A model, by its hub id (offline, from the catalogue) or its configuration.

    Parameters
    ----------
    model
        Hub id in the catalogue, such as `meta-llama/Llama-3.1-8B`; path of a `config.json` or of
        the directory it is in; or the fields of one as a mapping.
    kv_dtype
        Format of the KV cache; `auto`: what the checkpoint declares, else its native format.

    Raises
    ------
    UnknownEntryError
        If it is neither a file nor in the catalogue; names the nearest.
    SpecError
        If the configuration is wrong; every fault names its field.
    CapacityError
        If the KV format is unknown.
    """

    def __init__(
        self, model: str | os.PathLike[str] | Mapping[str, Any], *, kv_dtype: str = "auto"
    ) -> None:
        self.architecture: Architecture = _read(model)
        self.kv_dtype = kv_dtype
        self._details: dict[tuple[int, int], KVCacheDetail] = {}
        self._detail = kv_cache_detail(self.architecture, kv_dtype=kv_dtype)

    def __repr__(self) -> str:
        return f"ModelArchitecture({self.model_id!r}, {self.num_parameters_billions:.2f}e9)"

    @property
    def model_id(self) -> str:
        """Hub id or path."""
        return self.architecture.name

    @property
    def num_parameters(self) -> int:
        """Parameters, all experts and encoders included."""
        return self.architecture.total_parameters

    @property
    def num_active_parameters(self) -> int:
        """Parameters that one token of text uses."""
        return self.architecture.active_parameters

    @property
    def num_parameters_billions(self) -> float:
        """Parameters in units of 1e9."""
        return self.num_parameters / 1e9

    @cached_property
    def parameters_by_role(self) -> Mapping[str, int]:
        """Parameters of embedding, attention, experts, and so on."""
        return self.architecture.parameters_by_role()

    def weights_in(self, precision: str | None = None) -> WeightFormat:
        """Format of the weights: of this name, or the checkpoint's."""
        if precision is None or precision == "auto":
            return self.architecture.weight_format
        return weight_format(precision, field="precision")

    def model_memory_bytes(self, precision: str | None = None) -> float:
        """Bytes of the weights, scales included; `precision` None: as the checkpoint has them."""
        return weight_bytes(self.architecture, self.weights_in(precision))

    def model_memory_gb(self, precision: str | None = None) -> float:
        """Size of the weights [GB = 1e9 bytes]; all experts count."""
        return self.model_memory_bytes(precision) / GB

    def model_memory_gib(self, precision: str | None = None) -> float:
        """Size of the weights [GiB = 2**30 bytes]."""
        return self.model_memory_bytes(precision) / GIB

    def get_kv_cache_detail(self, context_length: int = 1, batch_size: int = 1) -> KVCacheDetail:
        """KV cache at a context length and batch size; details asked for before are kept.

        Raises
        ------
        CapacityError
            If a length or size is no whole number of at least 1.
        """
        key = (context_length, batch_size)
        found = self._details.get(key)
        if found is None:
            found = self._detail.at(context_length, batch_size)
            if len(self._details) >= _CACHED_DETAILS:
                self._details.pop(next(iter(self._details)))
            self._details[key] = found
        return found

    def kv_cache_memory_gb(self, context_length: int = 1, batch_size: int = 1) -> float:
        """KV cache of a batch [GB = 1e9 bytes]."""
        return self.get_kv_cache_detail(context_length, batch_size).kv_cache_size_gb

    def activation_gib(
        self,
        *,
        precision: str | None = None,
        tensor_parallel: int = 1,
        settings: EngineSettings | None = None,
    ) -> float:
        """Peak of activations on each rank [GiB]."""
        size = activation_bytes(
            self.architecture,
            self.weights_in(precision),
            settings or EngineSettings(),
            tensor_parallel=tensor_parallel,
        )
        return size / GIB

    def possible_tensor_parallel(
        self, precision: str | None = None, scale_up_devices: int | None = None
    ) -> list[int]:
        """Degrees of tensor parallelism, ascending."""
        return feasible_tensor_parallel(
            self.architecture, self.weights_in(precision), scale_up_devices=scale_up_devices
        )

    def possible_pipeline_parallel(self, most: int = 16) -> list[int]:
        """Numbers of pipeline stages."""
        return feasible_pipeline_parallel(self.architecture, most)

    def possible_expert_parallel(self) -> list[int]:
        """Degrees of expert parallelism; [1] for a dense model."""
        return feasible_expert_parallel(self.architecture)

    @cached_property
    def shape(self) -> ModelShape:
        """What a forward pass reads and multiplies, for `optimizer.performance`."""
        return model_shape(self.architecture)

    @property
    def max_context_tokens(self) -> int:
        """Longest sequence the configuration allows."""
        return self.architecture.max_context_tokens


ModelSource: TypeAlias = ModelArchitecture | str | os.PathLike[str] | Mapping[str, Any]


def as_model(model: ModelSource) -> ModelArchitecture:
    """Return a model given in any of the ways `ModelArchitecture` takes, or as one already."""
    return model if isinstance(model, ModelArchitecture) else ModelArchitecture(model)


def model_total_params(model: ModelSource) -> int:
    """Parameters of a model, all experts and encoders included."""
    return as_model(model).num_parameters


def model_memory_req(model: ModelSource, precision: str | None = None) -> float:
    """Size of a model's weights [GB = 1e9 bytes]; `precision` None: as the checkpoint has them."""
    return as_model(model).model_memory_gb(precision)


def find_possible_tp(
    model: ModelSource, precision: str | None = None, scale_up_devices: int | None = None
) -> list[int]:
    """Degrees of tensor parallelism that a model can be served with, ascending."""
    return as_model(model).possible_tensor_parallel(precision, scale_up_devices)


def max_context_len(model: ModelSource) -> int:
    """Longest sequence that a model's configuration allows [tokens]."""
    return as_model(model).max_context_tokens


def _read(model: str | os.PathLike[str] | Mapping[str, Any]) -> Architecture:
    if isinstance(model, Mapping):
        name = model.get("_name_or_path") or "config"
        return read_architecture(model, str(name))
    if not isinstance(model, str | os.PathLike):
        raise CapacityError("model", model, "must be a hub id, a path or a mapping of fields")
    text = os.fspath(model)
    if not text:
        raise CapacityError("model", text, "must be a hub id or a path")
    path = Path(text)
    if text.endswith(".json") or path.is_dir() or isinstance(model, os.PathLike):
        return read_architecture(read_configuration(path), text)
    return read_architecture(model_configuration(text), text)
