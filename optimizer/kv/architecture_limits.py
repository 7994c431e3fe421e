"""What a model's architecture does not allow, whatever the ratio."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer.catalog import ModelFacts

__all__ = ["architecture_limits"]


def architecture_limits(facts: ModelFacts, tokens: float) -> Iterator[str]:
    """Say, in words, where recomputing a share of `tokens` tokens meets a limit of the model."""
    if tokens > facts.max_context_tokens:
        yield f"the context is longer than the model's {facts.max_context_tokens:,} tokens"
    if facts.linear_layers:
        yield (
            f"{facts.linear_layers} of {facts.layers} layers carry a recurrent state: single "
            "tokens cannot be recomputed, only an exact prefix restored; its state is not counted"
        )
    if facts.sliding_layers and facts.sliding_window_tokens is not None:
        yield (
            f"{facts.sliding_layers} of {facts.layers} layers keep {facts.sliding_window_tokens:,} "
            "tokens: the times of a layer are means over all layers"
        )
