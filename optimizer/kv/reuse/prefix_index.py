"""A prefix cache that is run live: look-ups, references of requests in flight, stored answers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import Fault, SpecError
from optimizer.kv.reuse.replay import CacheRules, WriteMode, new_cache

__all__ = ["PrefixIndex", "PrefixMatch"]

IntArray = NDArray[np.int64]

_FIRST_NODES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixMatch:
    """The stored prefix of a prompt.

    Parameters
    ----------
    blocks
        Leading blocks that some tier holds.
    by_tier
        How many of them each tier gives, the fastest that has a block.
    """

    blocks: int
    by_tier: tuple[int, ...]


class PrefixIndex:
    """A tree of blocks over the tiers of a cache, by the rules of `replay`.

    `serve` takes a request in: it counts its hits, stores its blocks and holds them; `finish` lets
    go of them and stores the answer's. What a request holds does not leave the fastest tier. All
    nodes ever seen are remembered (some 130 bytes each), for policies learn from what was dropped.

    Parameters
    ----------
    capacity_blocks
        Blocks of each tier, fastest first.
    rules
        None: the defaults.
    block_tokens
        Tokens of a block.

    Notes
    -----
    Not safe in threads: one request at a time.
    """

    def __init__(
        self,
        capacity_blocks: Sequence[int],
        rules: CacheRules | None = None,
        *,
        block_tokens: int = 16,
    ) -> None:
        self._rules = rules or CacheRules()
        self._capacity = np.asarray(capacity_blocks, dtype=np.int64)
        self._block_tokens = block_tokens
        self._number: dict[tuple[int, Hashable], int] = {}
        self._flights: dict[int, IntArray] = {}
        self._served = 0
        self._state, self._model = new_cache(_FIRST_NODES, self._capacity, self._rules.policy)

    def match(self, blocks: Iterable[Hashable]) -> PrefixMatch:
        """Look a prompt up without leaving a trace of having looked."""
        found = [0] * len(self._capacity)
        parent = -1
        for block in blocks:
            node = self._number.get((parent, block))
            if node is None:
                break
            holders = np.flatnonzero(self._state.slots[:, node].resident)
            if not len(holders):
                break
            found[holders[0]] += 1
            parent = node
        return PrefixMatch(blocks=sum(found), by_tier=tuple(found))

    def serve(
        self,
        blocks: Sequence[Hashable],
        *,
        now_s: float,
        input_tokens: int | None = None,
        output_tokens: int = 0,
    ) -> tuple[int, PrefixMatch]:
        """Take a request in.

        Parameters
        ----------
        blocks
            Hashes of its blocks, head first.
        now_s
            Time, not falling from call to call [s].
        input_tokens
            None: as many as fill the blocks.
        output_tokens
            Expected, 0 where it is not known.

        Returns
        -------
        int
            Number by which to `finish` it.
        PrefixMatch
            What was found.
        """
        nodes = self._nodes_of(blocks, -1)
        tokens = len(blocks) * self._block_tokens if input_tokens is None else input_tokens
        hits = self._run(nodes, len(nodes), now_s, tokens, output_tokens)
        self._state.nodes.references[nodes] += 1
        number = self._served
        self._flights[number] = nodes
        return number, PrefixMatch(blocks=int(hits.sum()), by_tier=tuple(map(int, hits)))

    def finish(self, number: int, answer: Sequence[Hashable] = (), *, now_s: float) -> None:
        """Let go of a request's blocks, and store those of its answer behind them.

        Raises
        ------
        SpecError
            If no such request is in flight.
        """
        if number not in self._flights:
            raise SpecError([Fault("is no request in flight", path="number", value=repr(number))])
        prompt = self._flights.pop(number)
        self._state.nodes.references[prompt] -= 1
        # Behind a prompt whose end was not stored an answer is of no use.
        stored = not len(prompt) or self._state.slots[:, prompt[-1]].resident.any()
        if answer and stored:
            nodes = self._nodes_of(answer, int(prompt[-1]) if len(prompt) else -1)
            self._run(nodes, 0, now_s, 0, len(answer) * self._block_tokens)

    def stored_blocks(self) -> tuple[int, ...]:
        """Return how many blocks each tier holds."""
        return tuple(map(int, self._state.tiers.blocks))

    def _run(
        self, nodes: IntArray, prompt: int, now_s: float, input_tokens: int, output_tokens: int
    ) -> IntArray:
        from optimizer.kv.reuse.serving import serve

        hits = np.zeros(len(self._capacity), dtype=np.int64)
        self._served += 1
        serve(
            self._state,
            self._model,
            self._rules.policy.code,
            self._rules.write is WriteMode.BACK,
            self._rules.admit_from,
            nodes,
            prompt,
            self._served,
            float(now_s),
            np.array([input_tokens, output_tokens, self._block_tokens], dtype=np.int64),
            hits,
        )
        return hits

    def _nodes_of(self, blocks: Iterable[Hashable], parent: int) -> IntArray:
        nodes = list[int]()
        for block in blocks:
            node = self._number.setdefault((parent, block), len(self._number))
            if node == len(self._state.nodes):
                self._grow()
            self._state.nodes[node].parent = parent
            nodes.append(node)
            parent = node
        return np.array(nodes, dtype=np.int64)

    def _grow(self) -> None:
        """Double the room for nodes."""
        old, remembered = self._state, self._model
        count = 2 * len(old.nodes)
        state, model = new_cache(count, self._capacity, self._rules.policy)
        for was, now in zip((*old, *remembered), (*state, *model), strict=True):
            now[tuple(slice(0, length) for length in was.shape)] = was
        self._state, self._model = state, model
