"""Which degrees of tensor, pipeline and expert parallelism a model allows, and why not others."""

from __future__ import annotations

from optimizer.capacity.architecture import Architecture
from optimizer.capacity.attention import Attention
from optimizer.capacity.errors import require_count
from optimizer.capacity.feed_forward import DenseFeedForward, ExpertFeedForward
from optimizer.capacity.tensors import VOCABULARY_PADDING, Role
from optimizer.capacity.weight_formats import WeightFormat

__all__ = [
    "experts_per_rank",
    "feasible_expert_parallel",
    "feasible_pipeline_parallel",
    "feasible_tensor_parallel",
    "tensor_parallel_obstacle",
]


def tensor_parallel_obstacle(
    architecture: Architecture,
    degree: int,
    weights: WeightFormat | None = None,
    *,
    scale_up_devices: int | None = None,
    experts_sliced: bool = True,
) -> str | None:
    """Why a model cannot be divided over so many ranks; None when it can.

    Query heads must divide evenly; key-value heads evenly, or be copied evenly where ranks
    outnumber them; the vocabulary evenly after padding to 64; feed-forward widths evenly, and into
    whole groups of weights that share a scale (mxfp4 experts are padded instead); ranks must be
    within one scale-up domain. Experts that stay whole (`experts_sliced` false) need not divide.

    Raises
    ------
    CapacityError
        If the degree is no whole number of at least 1.
    """
    require_count("tensor_parallel", degree)
    if degree == 1:
        return None
    if scale_up_devices is not None and degree > scale_up_devices:
        return f"{degree} ranks, but the scale-up link joins {scale_up_devices}"
    chosen = architecture.weight_format if weights is None else weights
    padded = -(-architecture.vocabulary_size // VOCABULARY_PADDING) * VOCABULARY_PADDING
    return (
        _head_obstacle(architecture, degree)
        or (
            f"vocabulary of {padded} (padded) does not divide by {degree}"
            if padded % degree
            else None
        )
        or _width_obstacle(architecture, degree, chosen, experts_sliced)
    )


def _head_obstacle(architecture: Architecture, degree: int) -> str | None:
    for mixer, _ in architecture.mixers:
        if mixer.heads % degree:
            return f"{mixer.heads} heads do not divide by {degree}"
        if not isinstance(mixer, Attention):
            continue
        if mixer.kv_heads % degree and degree % mixer.kv_heads:
            return f"{mixer.kv_heads} key-value heads neither divide by {degree} nor copy evenly"
    return None


def _width_obstacle(
    architecture: Architecture, degree: int, weights: WeightFormat, experts_sliced: bool
) -> str | None:
    for part, _ in architecture.feed_forwards:
        widths = [(part.width, Role.FEED_FORWARD)]
        if isinstance(part, ExpertFeedForward):
            widths = [(part.shared_width, Role.SHARED_EXPERTS)]
            widths += [(part.width, Role.EXPERTS)] if experts_sliced else []
        for width, role in widths:
            if width % degree:
                return f"feed-forward width {width} does not divide by {degree}"
            grouped = role in weights.roles and weights.quantized and weights.group is not None
            if grouped and weights.group and (width // degree) % weights.group:
                return (
                    f"feed-forward width {width} over {degree} ranks is no multiple of the "
                    f"{weights.group} weights that share a scale"
                )
    return None


def feasible_tensor_parallel(
    architecture: Architecture,
    weights: WeightFormat | None = None,
    *,
    scale_up_devices: int | None = None,
) -> list[int]:
    """All degrees a model can be divided into, ascending; 1 always is one."""
    main = architecture.main_attention
    mixers = [mixer.heads for mixer, _ in architecture.mixers]
    most = main.heads if main is not None else max(mixers, default=1)
    return [
        degree
        for degree in range(1, most + 1)
        if most % degree == 0
        and tensor_parallel_obstacle(
            architecture, degree, weights, scale_up_devices=scale_up_devices
        )
        is None
    ]


def feasible_pipeline_parallel(architecture: Architecture, most: int = 16) -> list[int]:
    """Numbers of pipeline stages, at most `most`: every stage needs a layer."""
    return list(range(1, min(require_count("most", most), len(architecture.layers)) + 1))


def feasible_expert_parallel(architecture: Architecture) -> list[int]:
    """Ranks that the experts of every layer divide over evenly; [1] for a dense model."""
    counts = [
        part.experts
        for part, _ in architecture.feed_forwards
        if isinstance(part, ExpertFeedForward)
    ]
    if not counts:
        return [1]
    return [
        degree
        for degree in range(1, min(counts) + 1)
        if all(count % degree == 0 for count in counts)
    ]


def experts_per_rank(architecture: Architecture, expert_parallel: int) -> int:
    """Experts of a layer on each rank, the most there are; 0 for a dense model.

    Raises
    ------
    CapacityError
        If the degree is no whole number of at least 1.
    """
    degree = require_count("expert_parallel", expert_parallel)
    counts = [
        -(-part.experts // degree)
        for part, _ in architecture.feed_forwards
        if not isinstance(part, DenseFeedForward)
    ]
    return max(counts, default=0)
