"""How large a KV cache is, from the few figures that decide it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.kv.ranges import Range, refuse_outside

if TYPE_CHECKING:
    from optimizer.catalog import ModelFacts

__all__ = ["BYTES_PER_ELEMENT", "KvShape"]

FloatArray = NDArray[np.float64]

BYTES_PER_ELEMENT = {"fp16": 2.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0, "int4": 0.5}
"""Bytes of one element of the KV cache, without scales, by precision."""

_RANGES = {
    "layers": Range("layers", low=1, high=1e5),
    "elements_per_layer_token": Range("elements", above=True, high=1e9),
    "bytes_per_element": Range("bytes", above=True, high=64),
    "compression": Range(above=True, high=1e6),
    "windowed_elements_per_layer_token": Range("elements", high=1e9),
    "window_tokens": Range("tokens", low=1, high=1e12),
}
_HEAD_RANGES = {
    "hidden_size": Range("elements", low=1, high=1e9),
    "heads": Range("heads", low=1, high=1e6),
    "kv_heads": Range("heads", low=1, high=1e6),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KvShape:
    """What fixes the bytes of a KV cache; numbers or arrays that broadcast.

    Parameters
    ----------
    layers
        Layers n that are loaded and computed one after the other.
    elements_per_layer_token
        Elements that one token adds to one layer, averaged over layers: 2 x KV heads x head
        dimension with keys and values, rank + rope dimension with latent attention (MLA).
    bytes_per_element
        Bytes of an element: 2 for fp16 and bf16, 1 for fp8 and int8, 0.5 for int4.
    compression
        Factor by which what is stored is smaller than that, e.g. 3.5 for CacheGen on 8 bits.
    windowed_elements_per_layer_token
        Elements of layers that keep only the last `window_tokens` tokens, averaged over all layers.
    window_tokens
        That window [tokens]; without one, nothing is windowed.

    Raises
    ------
    SpecError
        Naming each figure outside its range.
    """

    layers: ArrayLike
    elements_per_layer_token: ArrayLike
    bytes_per_element: ArrayLike = 2.0
    compression: ArrayLike = 1.0
    windowed_elements_per_layer_token: ArrayLike = 0.0
    window_tokens: ArrayLike | None = None

    def __post_init__(self) -> None:
        figures = {name: getattr(self, name) for name in _RANGES}
        windowed = np.any(np.asarray(self.windowed_elements_per_layer_token, dtype=np.float64) > 0)
        ranges = dict(_RANGES)
        if windowed:
            ranges["elements_per_layer_token"] = Range("elements", high=1e9)
        refuse_outside(figures, ranges)

    @classmethod
    def of_model(
        cls, facts: ModelFacts, *, bytes_per_element: float = 2.0, compression: float = 1.0
    ) -> Self:
        """Take the elements and the window from the catalogue's facts of a model."""
        return cls(
            layers=facts.layers,
            elements_per_layer_token=facts.kv_elements_per_token_full / facts.layers,
            bytes_per_element=bytes_per_element,
            compression=compression,
            windowed_elements_per_layer_token=facts.kv_elements_per_token_sliding / facts.layers,
            window_tokens=facts.sliding_window_tokens,
        )

    @classmethod
    def of_heads(
        cls,
        layers: ArrayLike,
        hidden_size: ArrayLike,
        heads: ArrayLike,
        *,
        kv_heads: ArrayLike | None = None,
        bytes_per_element: ArrayLike = 2.0,
        compression: ArrayLike = 1.0,
    ) -> Self:
        """Take keys and values of heads of hidden size / heads elements each.

        Parameters
        ----------
        layers
            Layers n.
        hidden_size
            Width of the model; where heads are not hidden size / heads wide, give
            `elements_per_layer_token` itself.
        heads
            Attention heads.
        kv_heads
            Heads that have keys and values of their own (GQA); None: all.
        bytes_per_element, compression
            As of the shape.

        Raises
        ------
        SpecError
            Naming each figure outside its range; also where there are more KV heads than heads.
        """
        own = heads if kv_heads is None else kv_heads
        figures = {"hidden_size": hidden_size, "heads": heads, "kv_heads": own}
        refuse_outside(figures, _HEAD_RANGES)
        most = float(np.min(_array(heads)))
        refuse_outside({"kv_heads": own}, {"kv_heads": Range("heads", low=1, high=most)})
        return cls(
            layers=layers,
            elements_per_layer_token=2.0 * _array(own) * _array(hidden_size) / _array(heads),
            bytes_per_element=bytes_per_element,
            compression=compression,
        )

    @property
    def bytes_per_token(self) -> FloatArray:
        """Bytes that one more token within every window adds to all layers."""
        elements = _array(self.elements_per_layer_token) + _array(
            self.windowed_elements_per_layer_token
        )
        return self._bytes(elements)

    def total_bytes(self, tokens: ArrayLike) -> FloatArray:
        """Bytes of the KV cache of a context, all layers."""
        count = _array(tokens)
        full = _array(self.elements_per_layer_token) * count
        if self.window_tokens is None:
            windowed = _array(self.windowed_elements_per_layer_token) * count
        else:
            kept = np.minimum(count, _array(self.window_tokens))
            windowed = _array(self.windowed_elements_per_layer_token) * kept
        return self._bytes(full + windowed)

    def _bytes(self, elements_per_layer: FloatArray) -> FloatArray:
        per_layer = elements_per_layer * _array(self.bytes_per_element)
        total: FloatArray = per_layer * _array(self.layers) / _array(self.compression)
        return total


def _array(value: ArrayLike) -> FloatArray:
    return np.asarray(value, dtype=np.float64)
