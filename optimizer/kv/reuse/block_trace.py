"""Requests as paths in a prefix tree: the input of every replay."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["BlockTrace", "TracedRequest"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRequest:
    """One request of a trace.

    Parameters
    ----------
    time_s
        Arrival, since the start of the trace.
    input_tokens, output_tokens
        Lengths.
    blocks
        Hash of each block of the prompt, of its own tokens or of all tokens up to its end.
    answer_blocks
        The same of the answer, where the trace knows it.
    """

    time_s: float
    input_tokens: int
    output_tokens: int
    blocks: Sequence[Hashable]
    answer_blocks: Sequence[Hashable] = ()


@dataclass(frozen=True, slots=True, eq=False)
class BlockTrace:
    """A trace whose blocks are numbered 0, 1, ... in the order in which they first appear.

    Parameters
    ----------
    offsets
        Where each request's blocks begin in `nodes`, shape (requests + 1,).
    nodes
        Blocks of all requests, head first; those of an answer behind those of its prompt.
    prompt_blocks
        How many of a request's blocks are of its prompt.
    times_s, input_tokens, output_tokens
        Per request.
    parents
        Per node the block before it, -1 at the head of a prompt.
    block_tokens
        Tokens of a full block.
    """

    offsets: IntArray
    nodes: IntArray
    prompt_blocks: IntArray
    times_s: FloatArray
    input_tokens: IntArray
    output_tokens: IntArray
    parents: IntArray
    block_tokens: int

    def __len__(self) -> int:
        return len(self.prompt_blocks)

    @property
    def node_count(self) -> int:
        """Distinct blocks."""
        return len(self.parents)

    @property
    def prompt_references(self) -> int:
        """Prompt blocks of all requests."""
        return int(self.prompt_blocks.sum())

    def hit_tokens(self, hit_blocks: IntArray) -> IntArray:
        """Return the prompt tokens in the leading blocks: a last block may be partial."""
        tokens: IntArray = np.minimum(hit_blocks * self.block_tokens, self.input_tokens)
        return tokens

    @classmethod
    def of_requests(
        cls,
        requests: Iterable[TracedRequest],
        block_tokens: int,
        *,
        with_answers: bool = False,
    ) -> Self:
        """Give numbers to the blocks of requests, in the order given.

        Parameters
        ----------
        requests
            Of a trace.
        block_tokens
            Tokens of a full block.
        with_answers
            Whether answers are stored too, as nodes of their own behind the prompt's. Where the
            trace has no hashes for them they take room and are never hit.
        """
        builder = _Builder(block_tokens, with_answers)
        for request in requests:
            builder.add(request)
        return cls(
            offsets=np.array(builder.offsets, dtype=np.int64),
            nodes=np.array(builder.nodes, dtype=np.int64),
            prompt_blocks=np.array(builder.prompt_blocks, dtype=np.int64),
            times_s=np.array(builder.times_s, dtype=np.float64),
            input_tokens=np.array(builder.input_tokens, dtype=np.int64),
            output_tokens=np.array(builder.output_tokens, dtype=np.int64),
            parents=np.array(builder.parents, dtype=np.int64),
            block_tokens=block_tokens,
        )


class _Builder:
    def __init__(self, block_tokens: int, with_answers: bool) -> None:
        self._block_tokens, self._with_answers = block_tokens, with_answers
        # By the node before it too: hashes of a block's own tokens alone do as well.
        self._number: dict[tuple[int, Hashable], int] = {}
        self.offsets, self.nodes, self.prompt_blocks = [0], list[int](), list[int]()
        self.times_s, self.parents = list[float](), list[int]()
        self.input_tokens, self.output_tokens = list[int](), list[int]()

    def add(self, request: TracedRequest) -> None:
        parent = -1
        for block in request.blocks:
            parent = self._visit(block, parent)
        if self._with_answers:
            for block in request.answer_blocks or self._anonymous(request):
                parent = self._visit(block, parent)
        self.offsets.append(len(self.nodes))
        self.prompt_blocks.append(len(request.blocks))
        self.times_s.append(request.time_s)
        self.input_tokens.append(request.input_tokens)
        self.output_tokens.append(request.output_tokens)

    def _visit(self, block: Hashable, parent: int) -> int:
        node = self._number.get((parent, block))
        if node is None:
            node = self._number[parent, block] = len(self.parents)
            self.parents.append(parent)
        self.nodes.append(node)
        return node

    def _anonymous(self, request: TracedRequest) -> Iterable[Hashable]:
        """Blocks of an answer without hashes: the prompt's partial block takes its first tokens."""
        room = -request.input_tokens % self._block_tokens
        more = max(request.output_tokens - room, 0)
        count = -(-more // self._block_tokens)
        return (("answer", len(self.times_s), k) for k in range(count))
