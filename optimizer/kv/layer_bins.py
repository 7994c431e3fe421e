"""CacheGen's levels: bins per group of layers, finer where a layer is more sensitive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from optimizer.errors import Fault, SpecError
from optimizer.kv.ranges import Range, refuse_outside

__all__ = ["LayerGroup", "binned_compression"]

_FP16_BITS = 16.0


@dataclass(frozen=True, slots=True)
class LayerGroup:
    """Layers up to, not including, `end_layer` whose elements take one of `bins` values.

    Raises
    ------
    SpecError
        If a figure is outside its range.
    """

    end_layer: int
    bins: int

    def __post_init__(self) -> None:
        refuse_outside(
            {"end_layer": self.end_layer, "bins": self.bins},
            {
                "end_layer": Range("layers", low=1, high=1e5),
                "bins": Range("bins", low=2, high=65536),
            },
        )


def binned_compression(
    layers: int, keys: Sequence[LayerGroup], values: Sequence[LayerGroup]
) -> float:
    """Factor against fp16 of log2(bins) bits per element, keys and values alike in number.

    Entropy coding comes on top (CacheGen's whole is about 7), anchors and scales go off: a bound
    for a stream without entropy coding.

    Parameters
    ----------
    layers
        Of the model.
    keys, values
        Groups by ascending `end_layer`; the last one ends at `layers`.

    Raises
    ------
    SpecError
        If groups do not ascend to the last layer.

    References
    ----------
    .. [1] Liu et al., *CacheGen*, SIGCOMM 2024 (arXiv 2310.07240), section 5: three layer groups.
    """
    bits = 0.5 * (_mean_bits(layers, keys, "keys") + _mean_bits(layers, values, "values"))
    return _FP16_BITS / bits


def _mean_bits(layers: int, groups: Sequence[LayerGroup], what: str) -> float:
    ends = [0, *(group.end_layer for group in groups)]
    widths = np.diff(ends)
    if not groups or np.any(widths <= 0) or ends[-1] != layers:
        message = f"must ascend and end at layer {layers}"
        raise SpecError([Fault(message, path=what, value=repr(ends[1:]))])
    bits = np.log2([group.bins for group in groups])
    return float(np.dot(widths, bits) / layers)
