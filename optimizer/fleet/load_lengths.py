"""Lengths of requests as the fleet describes them, in the words of the queue models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from optimizer.spec.lengths import LengthDistribution, LengthDistributionSpec, LengthsSpec
from optimizer.spec.service import LoadSpec
from queue_models import Lengths

__all__ = ["lengths_of"]

_FAMILIES: Mapping[LengthDistribution, tuple[Callable[..., Lengths], tuple[str, ...]]] = {
    LengthDistribution.FIXED: (Lengths.fixed, ("mean",)),
    LengthDistribution.GEOMETRIC: (Lengths.geometric, ("mean",)),
    LengthDistribution.LOGNORMAL: (Lengths.lognormal, ("mean", "scv")),
}


def lengths_of(loads: Sequence[LoadSpec], name: str) -> Lengths:
    """Return the distributions of one length of every load; equal histograms are kept once.

    Parameters
    ----------
    loads
        Requests of each service.
    name
        `input_tokens` or `output_tokens`.
    """
    given: list[LengthsSpec] = [getattr(load, name) for load in loads]
    scv = [float(getattr(load, f"{name}_scv")) for load in loads]
    place = np.zeros(len(given), dtype=np.int64)
    parts, size = [], 0
    for lengths, services in _of_one_kind(given, scv):
        place[services] = size + np.arange(lengths.mean.size)
        size += lengths.mean.size
        parts.append(lengths)
    return Lengths.stack(parts).take(place) if parts else Lengths.fixed(np.zeros(0))


def _of_one_kind(
    given: Sequence[LengthsSpec], scv: Sequence[float]
) -> Iterator[tuple[Lengths, list[int]]]:
    """Yield the lengths of one kind together, with their services."""
    means: dict[int, float] = {}
    kinds: dict[LengthDistribution, dict[int, LengthDistributionSpec]] = {}
    for i, lengths in enumerate(given):
        if isinstance(lengths, LengthDistributionSpec):
            kinds.setdefault(lengths.distribution, {})[i] = lengths
        else:
            means[i] = lengths
    if means:
        yield Lengths.of_moments(list(means.values()), [scv[i] for i in means]), list(means)
    histograms: dict[LengthDistributionSpec, list[int]] = {}
    for i, one in kinds.pop(LengthDistribution.EMPIRICAL, {}).items():
        histograms.setdefault(one, []).append(i)
    for one, services in histograms.items():
        assert one.values is not None
        yield Lengths.empirical(one.values, one.weights), services
    for kind, chosen in kinds.items():
        make, parameters = _FAMILIES[kind]
        columns = ([getattr(one, name) for one in chosen.values()] for name in parameters)
        yield make(*columns), list(chosen)
