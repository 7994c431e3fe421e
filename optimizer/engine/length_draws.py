"""Draws of prompt and output lengths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from queue_models import LengthFamily, Lengths

__all__ = ["drawn_lengths"]


def drawn_lengths(
    lengths: Lengths, count: int, rng: np.random.Generator, longest: int
) -> NDArray[np.int32]:
    """Draw whole numbers of tokens, from 1 to `longest`, (count,).

    Parameters
    ----------
    lengths
        The distribution of one pair, of shape () or with one element. A fixed length that is not
        whole mixes its neighbours; lognormal lengths are rounded.
    """
    mean = float(np.ravel(lengths.mean)[0])
    family = LengthFamily(int(np.ravel(lengths.family)[0]))
    drawn: NDArray[Any]
    if family is LengthFamily.FIXED:
        drawn = math.floor(mean) + (rng.random(count) < mean % 1.0)
    elif family is LengthFamily.GEOMETRIC:
        drawn = rng.geometric(1.0 / mean, count)
    elif family is LengthFamily.LOGNORMAL:
        variance = math.log1p(float(np.ravel(lengths.scv)[0]))
        drawn = np.rint(rng.lognormal(math.log(mean) - variance / 2, math.sqrt(variance), count))
    else:
        histogram = lengths.histograms[int(np.ravel(lengths.histogram)[0])]
        chosen = rng.choice(histogram.values.size, count, p=histogram.probabilities)
        values = histogram.values[chosen]
        drawn = np.floor(values) + (rng.random(count) < values % 1.0)
    return np.clip(drawn, 1, longest).astype(np.int32)
