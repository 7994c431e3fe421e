"""A model as a stack of layers: all that its weights, its KV cache and its work follow from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from optimizer.capacity.attention import Attention, AttentionType, LatentAttention
from optimizer.capacity.feed_forward import DenseFeedForward, ExpertFeedForward
from optimizer.capacity.number_formats import NumberFormat
from optimizer.capacity.recurrent import Recurrent
from optimizer.capacity.tensors import Role, Split, Tensor, vector
from optimizer.capacity.weight_formats import WeightFormat

__all__ = ["Architecture", "FeedForward", "Layer", "Mixer"]

Mixer: TypeAlias = Attention | LatentAttention | Recurrent
FeedForward: TypeAlias = DenseFeedForward | ExpertFeedForward


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer; some models have layers with only one of the two parts.

    Parameters
    ----------
    mixer
        Mixes tokens: attention or a recurrence.
    feed_forward
        Works on each token.
    norm_elements
        Parameters of the norms around them.
    """

    mixer: Mixer | None
    feed_forward: FeedForward | None
    norm_elements: int

    def tensors(self, hidden_size: int) -> Iterator[Tensor]:
        """Yield the weights of the layer."""
        if self.mixer is not None:
            yield from self.mixer.tensors(hidden_size)
        if self.feed_forward is not None:
            yield from self.feed_forward.tensors(hidden_size)
        if self.norm_elements:
            yield vector(self.norm_elements)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A model's configuration, read and normalised.

    Parameters
    ----------
    name
        Hub id or path it was read from.
    class_name, model_type
        As the configuration names them; "" where it does not.
    hidden_size
        Width of the residual stream.
    layers
        In order; equal layers are one object.
    vocabulary_size
        Rows of the embedding.
    tied_embeddings
        Whether the output layer is the embedding.
    max_context_tokens
        Longest sequence the configuration allows [tokens].
    native_format
        Format of the weights that are not quantised, and of activations.
    weight_format
        Format of the checkpoint's weights.
    kv_format_name
        KV format that the checkpoint declares; None: the native one.
    extra_vectors
        Parameters of the final norm, learned positions, output bias.
    vision
        Weights of encoders of other modalities and their projections.
    rotary_tables
        Rows and columns of each rotary table that an engine keeps; empty without such embeddings.
    image_inputs_per_token
        Pixel values behind one token of an image; 0 for a text model.
    """

    name: str
    class_name: str
    model_type: str
    hidden_size: int
    layers: tuple[Layer, ...]
    vocabulary_size: int
    tied_embeddings: bool
    max_context_tokens: int
    native_format: NumberFormat
    weight_format: WeightFormat
    kv_format_name: str | None = None
    extra_vectors: int = 0
    vision: tuple[Tensor, ...] = ()
    rotary_tables: tuple[tuple[int, int], ...] = ()
    image_inputs_per_token: int = 0

    @cached_property
    def layer_groups(self) -> tuple[tuple[Layer, int], ...]:
        """Different layers and how many there are of each, in order of appearance."""
        return tuple(Counter(self.layers).items())

    @cached_property
    def embedding(self) -> Tensor:
        """The embedding."""
        return Tensor(
            role=Role.EMBEDDING,
            rows=self.vocabulary_size,
            columns=self.hidden_size,
            split=Split.VOCABULARY,
        )

    @cached_property
    def output(self) -> Tensor | None:
        """The output layer; None where it is the embedding."""
        if self.tied_embeddings:
            return None
        return Tensor(
            role=Role.OUTPUT,
            rows=self.vocabulary_size,
            columns=self.hidden_size,
            split=Split.VOCABULARY,
        )

    @cached_property
    def tensors(self) -> tuple[tuple[Tensor, int], ...]:
        """All weights: groups of matrices, and in how many layers each occurs."""
        counts: Counter[Tensor] = Counter()
        counts[self.embedding] += 1
        if self.output is not None:
            counts[self.output] += 1
        for layer, times in self.layer_groups:
            for tensor in layer.tensors(self.hidden_size):
                counts[tensor] += times
        if self.extra_vectors:
            counts[vector(self.extra_vectors)] += 1
        for tensor in self.vision:
            counts[tensor] += 1
        return tuple(counts.items())

    @cached_property
    def mixers(self) -> tuple[tuple[Mixer, int], ...]:
        """Different token mixers and how many there are of each."""
        counts: Counter[Mixer] = Counter()
        for layer, times in self.layer_groups:
            if layer.mixer is not None:
                counts[layer.mixer] += times
        return tuple(counts.items())

    @property
    def attention_layers(self) -> tuple[tuple[Attention | LatentAttention, int], ...]:
        """Those of the mixers that keep a KV cache."""
        return tuple((m, n) for m, n in self.mixers if not isinstance(m, Recurrent))

    @property
    def recurrent_layers(self) -> tuple[tuple[Recurrent, int], ...]:
        """Those of the mixers that keep a recurrent state."""
        return tuple((m, n) for m, n in self.mixers if isinstance(m, Recurrent))

    @property
    def feed_forwards(self) -> tuple[tuple[FeedForward, int], ...]:
        """Different feed-forward layers and how many there are of each."""
        counts: Counter[FeedForward] = Counter()
        for layer, times in self.layer_groups:
            if layer.feed_forward is not None:
                counts[layer.feed_forward] += times
        return tuple(counts.items())

    @property
    def attention_type(self) -> AttentionType:
        """Kind of the first attention layer that sees all tokens, or else of the first."""
        main = self.main_attention
        return AttentionType.NONE if main is None else main.type

    @property
    def main_attention(self) -> Attention | LatentAttention | None:
        """The first attention layer without a window, or else the first; None without any."""
        attentions = [mixer for mixer, _ in self.attention_layers]
        full = [mixer for mixer in attentions if mixer.window is None]
        return next(iter(full or attentions), None)

    @property
    def is_mixture_of_experts(self) -> bool:
        """Whether any layer has experts."""
        return any(isinstance(part, ExpertFeedForward) for part, _ in self.feed_forwards)

    @cached_property
    def total_parameters(self) -> int:
        """Parameters, all experts and encoders included."""
        return sum(tensor.parameters * times for tensor, times in self.tensors)

    @cached_property
    def active_parameters(self) -> int:
        """Parameters that one token of text uses; the embedding counts as a whole."""
        return sum(
            tensor.active_parameters * times
            for tensor, times in self.tensors
            if tensor.role is not Role.VISION
        )

    def parameters_by_role(self) -> dict[str, int]:
        """Parameters of each role; roles without any are left out."""
        counts: Counter[str] = Counter()
        for tensor, times in self.tensors:
            counts[tensor.role.value] += tensor.parameters * times
        return {role.value: counts[role.value] for role in Role if counts[role.value]}
