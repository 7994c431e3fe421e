"""Feed-forward layers: dense ones and mixtures of experts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from optimizer.capacity.tensors import Role, Split, Tensor, vector

__all__ = ["DenseFeedForward", "ExpertFeedForward"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseFeedForward:
    """Two matrices, or three with a gate.

    Parameters
    ----------
    width
        Inner dimension.
    gated
        Whether there is a gate (SwiGLU, GeGLU).
    bias
        Whether the matrices have biases.
    """

    width: int
    gated: bool = True
    bias: bool = False

    def tensors(self, hidden_size: int, role: Role = Role.FEED_FORWARD) -> Iterator[Tensor]:
        """Yield the weights of the layer."""
        inputs = 2 * self.width if self.gated else self.width
        yield Tensor(role=role, rows=inputs, columns=hidden_size)
        yield Tensor(role=role, rows=hidden_size, columns=self.width)
        if self.bias:
            yield vector(inputs + hidden_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpertFeedForward:
    """A router and experts, of which every token uses a few.

    Parameters
    ----------
    experts, experts_per_token
        Experts in the layer; those that one token uses.
    width
        Inner dimension of an expert.
    gated, bias
        As for a dense layer, for every expert.
    router_vectors
        Parameters of the router that are not its matrix (biases, corrections).
    shared_width
        Inner dimension of the experts every token uses, all together; 0 without.
    shared_gate
        Whether their output has a learned gate.
    latent_width
        Dimension the experts read and write after a projection (Nemotron-3); 0: the hidden size.
    dense_width
        Inner dimension of a dense layer beside the experts (Gemma-4); 0 without.
    """

    experts: int
    experts_per_token: int
    width: int
    gated: bool = True
    bias: bool = False
    router_vectors: int = 0
    shared_width: int = 0
    shared_gate: bool = False
    latent_width: int = 0
    dense_width: int = 0

    def tensors(self, hidden_size: int) -> Iterator[Tensor]:
        """Yield the weights of the layer: all experts, with those that one token uses marked."""
        inputs = 2 * self.width if self.gated else self.width
        outer = self.latent_width or hidden_size
        if self.latent_width:
            for rows, columns in ((outer, hidden_size), (hidden_size, outer)):
                yield Tensor(role=Role.FEED_FORWARD, rows=rows, columns=columns)
        for rows, columns in ((inputs, outer), (outer, self.width)):
            yield Tensor(
                role=Role.EXPERTS,
                rows=rows,
                columns=columns,
                copies=self.experts,
                active_copies=self.experts_per_token,
            )
        yield Tensor(role=Role.ROUTER, rows=self.experts, columns=hidden_size, split=Split.COPIED)
        if self.bias:
            yield Tensor(
                role=Role.VECTORS,
                rows=1,
                columns=inputs + outer,
                copies=self.experts,
                active_copies=self.experts_per_token,
                split=Split.EVEN,
            )
        if self.router_vectors:
            yield vector(self.router_vectors)
        for width, role in (
            (self.shared_width, Role.SHARED_EXPERTS),
            (self.dense_width, Role.FEED_FORWARD),
        ):
            if width:
                yield from DenseFeedForward(width=width, gated=self.gated).tensors(
                    hidden_size, role
                )
        if self.shared_gate:
            yield vector(hidden_size)
