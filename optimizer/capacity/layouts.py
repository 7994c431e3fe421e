"""How a replica is spread over accelerators, and what stands against it."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.capacity.architecture import Architecture
from optimizer.capacity.errors import CapacityError, require_count
from optimizer.capacity.feed_forward import ExpertFeedForward
from optimizer.capacity.parallelism import tensor_parallel_obstacle
from optimizer.capacity.weight_formats import WeightFormat

__all__ = ["ParallelLayout", "expert_layouts", "layout_obstacle", "pipeline_layouts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelLayout:
    """Accelerators of one replica.

    Parameters
    ----------
    tensor
        Ranks that divide each layer.
    pipeline
        Stages that divide the layers; micro-batches keep all of them busy.
    data
        Groups of such ranks that hold requests of their own, and share the experts.
    expert
        Groups of ranks that hold whole experts; 1: experts are sliced like all other layers.

    Raises
    ------
    CapacityError
        If a degree is no whole number of at least 1, or experts are not spread over whole ranks.
    """

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    expert: int = 1

    def __post_init__(self) -> None:
        require_count("tensor_parallel", self.tensor)
        require_count("pipeline_parallel", self.pipeline)
        require_count("data_parallel", self.data)
        require_count("expert_parallel", self.expert)
        if self.ranks % self.expert:
            raise CapacityError(
                "expert_parallel", self.expert, f"must divide the {self.ranks} ranks of a stage"
            )

    @property
    def ranks(self) -> int:
        """Accelerators of a pipeline stage."""
        return self.tensor * self.data

    @property
    def cards(self) -> int:
        """Accelerators of the replica."""
        return self.ranks * self.pipeline

    def __str__(self) -> str:
        """Degrees above 1, as in `TP 4 x PP 2`."""
        degrees = (
            ("TP", self.tensor),
            ("PP", self.pipeline),
            ("DP", self.data),
            ("EP", self.expert),
        )
        parts = [f"{name} {degree}" for name, degree in degrees if degree > 1]
        return " x ".join(parts) or "TP 1"


def pipeline_layouts(tensor: int, stages: tuple[int, ...] = (2, 4, 8)) -> list[ParallelLayout]:
    """Layouts of several stages, for models that one stage's memory does not hold."""
    return [ParallelLayout(tensor=tensor, pipeline=stage) for stage in stages]


def expert_layouts(tensor: tuple[int, ...]) -> list[ParallelLayout]:
    """Layouts with whole experts on each rank: under tensor, and under data parallel attention."""
    several = [degree for degree in tensor if degree > 1]
    return [
        *(ParallelLayout(tensor=degree, expert=degree) for degree in several),
        *(ParallelLayout(data=degree, expert=degree) for degree in several),
    ]


def layout_obstacle(
    architecture: Architecture, layout: ParallelLayout, weights: WeightFormat
) -> str | None:
    """Why a model cannot be spread like that; None when it can.

    As `tensor_parallel_obstacle`; besides, every stage needs a layer, and whole experts must divide
    evenly over their groups. Attention in groups is for mixtures of experts: without, groups are
    replicas of their own.
    """
    if layout.pipeline > len(architecture.layers):
        return f"{layout.pipeline} stages, but {len(architecture.layers)} layers"
    counts = [
        part.experts
        for part, _ in architecture.feed_forwards
        if isinstance(part, ExpertFeedForward)
    ]
    if not counts and (layout.expert > 1 or layout.data > 1):
        return "has no experts to share"
    for count in counts:
        if count % layout.expert:
            return f"{count} experts do not divide by {layout.expert}"
    return tensor_parallel_obstacle(
        architecture, layout.tensor, weights, experts_sliced=layout.expert < layout.ranks
    )
