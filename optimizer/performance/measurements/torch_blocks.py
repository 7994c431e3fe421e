"""Blocks of a decoder with random weights, as PyTorch runs them (optional extra)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from optimizer.performance.shape import ModelShape
from solvers import MissingExtraError

__all__ = ["BlockMaker", "require_torch"]

# A block's forward pass on hidden states of shape (sequences, tokens, hidden).
Block = Callable[[Any], Any]
_WEIGHT_SCALE = 0.02


def require_torch() -> Any:
    """Return PyTorch.

    Raises
    ------
    MissingExtraError
        If it is not installed; says how to add it.
    """
    if find_spec("torch") is None:
        raise MissingExtraError(
            "measuring needs PyTorch, which is not installed; try: pip install 'fleetopt[measure]'"
        )
    return import_module("torch")


@dataclass(frozen=True)
class BlockMaker:
    """Makes blocks of one model's shape on a device.

    Parameters
    ----------
    shape
        The shape: numbers, not arrays.
    torch
        The module.
    device, dtype
        Where and in which type weights, cache and hidden states are.
    """

    shape: ModelShape
    torch: Any
    device: str
    dtype: Any

    def hidden(self, sequences: int, tokens: int) -> Any:
        """Hidden states of shape (sequences, tokens, hidden)."""
        return self._random(sequences, tokens, int(self.shape.hidden_size), scale=1.0)

    def attention(self, sequences: int, cached: int) -> Block:
        """Norm, projections and attention; over `cached` tokens for one new token each."""
        torch, functional = self.torch, self.torch.nn.functional
        hidden, head = int(self.shape.hidden_size), int(self.shape.head_dim)
        heads, kv_heads = int(self.shape.attention_heads), int(self.shape.kv_heads)
        inward = self._random(hidden, (heads + 2 * kv_heads) * head)
        outward = self._random(heads * head, hidden)
        keys, values = (self._random(sequences, kv_heads, max(cached, 1), head) for _ in range(2))
        grouped = {"enable_gqa": True} if heads != kv_heads else {}

        def forward(states: Any) -> Any:
            batch, tokens, _ = states.shape
            mixed = functional.rms_norm(states, (hidden,)) @ inward
            mixed = mixed.view(batch, tokens, heads + 2 * kv_heads, head).transpose(1, 2)
            query, key, value = torch.split(mixed, [heads, kv_heads, kv_heads], dim=1)
            if cached:
                keys[:, :, -1:], values[:, :, -1:] = key, value
                key, value = keys, values
            attended = functional.scaled_dot_product_attention(
                query, key, value, is_causal=not cached, **grouped
            )
            return states + attended.transpose(1, 2).reshape(batch, tokens, -1) @ outward

        return forward

    def feed_forward(self, width: int) -> Block:
        """Norm and a gated feed-forward of this width."""
        functional, hidden = self.torch.nn.functional, int(self.shape.hidden_size)
        inward, outward = self._random(hidden, 2 * width), self._random(width, hidden)

        def forward(states: Any) -> Any:
            gate, up = (functional.rms_norm(states, (hidden,)) @ inward).chunk(2, dim=-1)
            return states + (functional.silu(gate) * up) @ outward

        return forward

    def experts(self) -> Block:
        """Norm, router, and the chosen experts one after the other."""
        torch, functional = self.torch, self.torch.nn.functional
        hidden, width = int(self.shape.hidden_size), int(self.shape.expert_width)
        count, chosen = int(self.shape.experts), int(self.shape.experts_per_token)
        router = self._random(hidden, count)
        inward, outward = self._random(count, hidden, 2 * width), self._random(count, width, hidden)

        def forward(states: Any) -> Any:
            flat = functional.rms_norm(states, (hidden,)).reshape(-1, hidden)
            weights, experts = torch.topk((flat @ router).softmax(-1), chosen, dim=-1)
            total = torch.zeros_like(flat)
            for expert in torch.unique(experts).tolist():
                rows, place = torch.where(experts == expert)
                gate, up = (flat[rows] @ inward[expert]).chunk(2, dim=-1)
                out = (functional.silu(gate) * up) @ outward[expert]
                total.index_add_(0, rows, out * weights[rows, place].unsqueeze(-1))
            return states + total.view_as(states)

        return forward

    def output_layer(self) -> Block:
        """Norm, vocabulary and the greedy choice, for the last token of each sequence."""
        functional, hidden = self.torch.nn.functional, int(self.shape.hidden_size)
        matrix = self._random(hidden, int(self.shape.vocabulary))

        def forward(states: Any) -> Any:
            (functional.rms_norm(states[:, -1], (hidden,)) @ matrix).argmax(dim=-1)
            return states

        return forward

    def _random(self, *size: int, scale: float = _WEIGHT_SCALE) -> Any:
        return self.torch.randn(*size, device=self.device, dtype=self.dtype) * scale
