"""Bytes of a model's weights: in total, and on each rank of a parallel deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from optimizer.capacity.architecture import Architecture, Layer
from optimizer.capacity.feed_forward import ExpertFeedForward
from optimizer.capacity.tensors import Role, Tensor, vector
from optimizer.capacity.weight_formats import WeightFormat

__all__ = ["StageWeights", "pipeline_stages", "rotary_table_bytes", "stage_weights", "weight_bytes"]

# Marlin's kernels for mxfp4 experts want the expert's width and the hidden size in multiples of
# these (vLLM 0.19, `Mxfp4MoEMethod.create_weights`).
_MXFP4_WIDTH_MULTIPLE = 128
_MXFP4_HIDDEN_MULTIPLE = 256


def weight_bytes(architecture: Architecture, form: WeightFormat | None = None) -> float:
    """Bytes of all weights in a format, scales included; None: the checkpoint's format.

    Every expert counts: all of them lie in memory, however few a token uses.
    """
    chosen = architecture.weight_format if form is None else form
    return float(
        sum(
            tensor.parameters * times * chosen.bits(tensor, architecture.native_format) / 8
            for tensor, times in architecture.tensors
        )
    )


def rotary_table_bytes(architecture: Architecture) -> float:
    """Bytes of the tables of rotary embeddings, on every rank.

    vLLM keeps them with the weights: 0.03 GiB for 128K positions, but 2.5 GiB for 10M.
    """
    numbers = sum(rows * columns for rows, columns in architecture.rotary_tables)
    return float(numbers * architecture.native_format.bits / 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWeights:
    """Weights on each rank of a pipeline stage.

    Parameters
    ----------
    layers
        Its layers.
    weight_bytes
        Bytes of its weights, tables of rotary embeddings included.
    has_output
        Whether it has the output layer and samples.
    """

    layers: tuple[Layer, ...]
    weight_bytes: float
    has_output: bool


def pipeline_stages(layers: Sequence[Layer], stages: int) -> list[tuple[Layer, ...]]:
    """Cut layers into stages; what is left over goes to the stages before the last (as vLLM)."""
    sizes = [len(layers) // stages] * stages
    for place in range(2, len(layers) % stages + 2):
        sizes[-place] += 1
    cut, begin = [], 0
    for size in sizes:
        cut.append(tuple(layers[begin : begin + size]))
        begin += size
    return cut


def stage_weights(
    architecture: Architecture,
    form: WeightFormat,
    *,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    expert_ranks: int | None = None,
) -> list[StageWeights]:
    """Weights on each rank of every pipeline stage.

    The first stage has the embedding and encoders, the last the output layer (a tied one is copied
    there). Vocabulary rows are padded, key-value heads copied where ranks outnumber them, mxfp4
    experts padded to the kernel's multiples. Experts are divided over `expert_ranks`; None: over
    the ranks that divide all other layers.
    """
    ranks = _Ranks(tensor_parallel, tensor_parallel if expert_ranks is None else expert_ranks)
    stages = []
    cuts = pipeline_stages(architecture.layers, pipeline_parallel)
    table = rotary_table_bytes(architecture)
    for place, layers in enumerate(cuts):
        first, last = place == 0, place == pipeline_parallel - 1
        ends = [architecture.embedding, *architecture.vision] if first else []
        if last:
            if architecture.output is not None:
                ends.append(architecture.output)
            elif not first:
                ends.append(architecture.embedding)
            ends.append(vector(architecture.extra_vectors))
        total = table + sum(_rank_bytes(t, architecture, form, ranks) for t in ends)
        total += _layers_bytes(layers, architecture, form, ranks)
        stages.append(StageWeights(layers=layers, weight_bytes=total, has_output=last))
    return stages


class _Ranks(NamedTuple):
    """Ranks that divide the experts, and those that divide everything else."""

    others: int
    experts: int


def _layers_bytes(
    layers: Sequence[Layer], architecture: Architecture, form: WeightFormat, ranks: _Ranks
) -> float:
    known: dict[int, float] = {}
    total = 0.0
    for layer in layers:
        if id(layer) not in known:
            known[id(layer)] = sum(
                _rank_bytes(tensor, architecture, form, ranks)
                for tensor in layer.tensors(architecture.hidden_size)
            ) * _expert_padding(layer, architecture, form, ranks)
        total += known[id(layer)]
    return total


def _rank_bytes(
    tensor: Tensor, architecture: Architecture, form: WeightFormat, ranks: _Ranks
) -> float:
    bits = float(form.bits(tensor, architecture.native_format))
    dividing = ranks.others if tensor.active_copies is None else ranks.experts
    return tensor.parameters * bits / 8 * tensor.share(dividing)


def _expert_padding(
    layer: Layer, architecture: Architecture, form: WeightFormat, ranks: _Ranks
) -> float:
    """Factor on a layer's bytes that padding of mxfp4 experts adds."""
    part = layer.feed_forward
    if not isinstance(part, ExpertFeedForward) or form.number.name != "mxfp4":
        return 1.0
    hidden = architecture.hidden_size
    width = part.width / ranks.experts
    padded_width = -(-width // _MXFP4_WIDTH_MULTIPLE) * _MXFP4_WIDTH_MULTIPLE
    padded_hidden = -(-hidden // _MXFP4_HIDDEN_MULTIPLE) * _MXFP4_HIDDEN_MULTIPLE
    factor = padded_width * padded_hidden / (width * hidden)
    tensors = list(layer.tensors(hidden))
    experts = sum(
        _rank_bytes(t, architecture, form, ranks) for t in tensors if t.role is Role.EXPERTS
    )
    total = sum(_rank_bytes(t, architecture, form, ranks) for t in tensors)
    return 1 + experts * (factor - 1) / total
