"""Published qualities of answers at recompute ratios."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from optimizer.catalog.table import load_table

__all__ = ["QualityPoint", "quality_points"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityPoint:
    """Quality measured at one recompute ratio.

    Parameters
    ----------
    name
        Name in the catalogue.
    model
        Hub id; None where the publication does not say which of its models.
    dataset
        Of the questions.
    metric
        `F1` or `Rouge-L`.
    ratio
        Share of tokens recomputed, 0 to 1.
    quality
        In the metric's scale, 0 to 1.
    evidence
        `read from a figure` (take it as +-10 %) or `bound stated in the text` (at least that).
    source
        Where it comes from.
    """

    name: str
    model: str | None
    dataset: str
    metric: str
    ratio: float
    quality: float
    evidence: str
    source: str


@cache
def _table() -> Mapping[str, QualityPoint]:
    return load_table("quality_points.csv", QualityPoint)


def quality_points(dataset: str | None = None) -> tuple[QualityPoint, ...]:
    """Points of one dataset, or of all."""
    return tuple(p for p in _table().values() if dataset is None or p.dataset == dataset)
