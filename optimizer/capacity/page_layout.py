"""How an engine cuts its KV pool into pages: groups of equal layers, blocks, what a request takes.

The rules are those of vLLM's hybrid KV-cache manager (v1/core/kv_cache_utils.py, releases 0.10 to
0.19); they contain no fitted constant. A model with one kind of layer has one group, and the rules
reduce to whole blocks of tokens.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from optimizer.capacity.architecture import Architecture, Layer
from optimizer.capacity.attention import Reach
from optimizer.capacity.kv_formats import KVFormat, row_bytes
from optimizer.capacity.recurrent import Recurrent

__all__ = ["PageGroup", "PageLayout", "page_layout"]

# Where the kinds' layer counts differ by less than this factor, the larger is the group size:
# padding costs less than splitting (vLLM, `_get_kv_cache_groups_uniform_page_size`).
_NEARLY_EQUAL = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class PageGroup:
    """Groups of layers of one kind, each of the size of all groups.

    Parameters
    ----------
    reach
        Which tokens their layers see; None for recurrent layers.
    window
        Their window or chunk; None without.
    groups
        Groups of this kind.
    block_tokens
        Tokens of a block.
    """

    reach: Reach | None
    window: int | None
    groups: int
    block_tokens: int

    def admitted_blocks(self, tokens: int, max_batched_tokens: int) -> int:
        """Blocks of a group that the engine reserves for a request of so many tokens."""
        if self.reach is None:
            return 1
        if self.window is None:
            return -(-tokens // self.block_tokens)
        if self.reach is Reach.SLIDING:
            # The window and the tokens of a prefill step, from anywhere within a block.
            held = min(self.window - 1 + max_batched_tokens, tokens)
            return -(-held // self.block_tokens) + 1
        return -(-min(self.window + max_batched_tokens, tokens) // self.block_tokens)

    def steady_blocks(self, tokens: float) -> int:
        """Blocks of a group that a request of so many tokens holds once it is decoding."""
        if self.reach is None:
            return 1
        held = tokens if self.window is None else min(self.window, tokens)
        return math.ceil(held / self.block_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLayout:
    """Pages of a KV pool on one rank.

    Parameters
    ----------
    groups
        Kinds of groups.
    block_bytes
        Bytes of a block: a page of every layer of a group.
    """

    groups: tuple[PageGroup, ...]
    block_bytes: int

    @property
    def group_count(self) -> int:
        """Groups, all kinds together."""
        return sum(group.groups for group in self.groups)

    @property
    def block_tokens(self) -> int:
        """Tokens of the smallest block of a group that grows with the context."""
        growing = [group.block_tokens for group in self.groups if group.reach is not None]
        return min(growing, default=1)

    def blocks(self, pool_bytes: float) -> int:
        """Blocks that fit into a pool."""
        return max(0, int(pool_bytes // self.block_bytes))

    def tokens(self, blocks: int) -> int:
        """Tokens that the engine reports for so many blocks."""
        return blocks // self.group_count * self.block_tokens

    def admitted_blocks(self, tokens: int, max_batched_tokens: int) -> int:
        """Blocks that the engine reserves for a request of so many tokens."""
        return sum(
            group.groups * group.admitted_blocks(tokens, max_batched_tokens)
            for group in self.groups
        )

    def steady_blocks(self, tokens: float) -> int:
        """Blocks that a request of so many tokens holds once it is decoding."""
        return sum(group.groups * group.steady_blocks(tokens) for group in self.groups)


@dataclass(frozen=True, slots=True)
class _Kind:
    reach: Reach | None
    window: int | None
    row: Fraction
    state_bytes: int


def page_layout(
    architecture: Architecture,
    form: KVFormat,
    *,
    tensor_parallel: int = 1,
    layers: Sequence[Layer] | None = None,
    block_tokens: int = 16,
) -> PageLayout | None:
    """Pages of a model's KV pool.

    Parameters
    ----------
    architecture
        The model.
    form
        Format of the cache.
    tensor_parallel
        Ranks that divide heads.
    layers
        Layers of a pipeline stage; None: all.
    block_tokens
        Tokens of a block where layers do not ask for more.

    Returns
    -------
    PageLayout | None
        None when these layers keep nothing.
    """
    counts: Counter[_Kind] = Counter()
    for layer in architecture.layers if layers is None else layers:
        mixer = layer.mixer
        if mixer is None:
            continue
        if isinstance(mixer, Recurrent):
            state = mixer.state_bytes(architecture.native_format, tensor_parallel)
            counts[_Kind(None, None, Fraction(0), state)] += 1
        else:
            row = row_bytes(mixer, form, tensor_parallel)
            counts[_Kind(mixer.reach, mixer.window, row, 0)] += 1
    if not counts:
        return None
    if len({(kind.reach, kind.window) for kind in counts}) == 1:
        return _uniform(counts, block_tokens)
    return _hybrid(counts, block_tokens)


def _uniform(counts: Counter[_Kind], block_tokens: int) -> PageLayout:
    """One group with all layers, whatever the size of their rows."""
    first = next(iter(counts))
    page = sum(
        count * math.ceil(kind.row * block_tokens + kind.state_bytes)
        for kind, count in counts.items()
    )
    group = PageGroup(reach=first.reach, window=first.window, groups=1, block_tokens=block_tokens)
    return PageLayout(groups=(group,), block_bytes=page)


def _hybrid(counts: Counter[_Kind], block_tokens: int) -> PageLayout:
    """Cut layers into groups of equal size, whose pages have equal bytes."""
    largest_row = max(kind.row for kind in counts)
    state = max(kind.state_bytes for kind in counts)
    if state and largest_row:
        # Blocks of attention grow until their page holds a recurrent state.
        block_tokens *= math.ceil(Fraction(state) / (block_tokens * largest_row))
    page = math.ceil(largest_row * block_tokens) if largest_row else state
    size = _group_size(list(counts.values()))
    groups = tuple(
        PageGroup(
            reach=kind.reach,
            window=kind.window,
            groups=-(-count // size),
            block_tokens=block_tokens * int(largest_row // kind.row) if kind.row else block_tokens,
        )
        for kind, count in counts.items()
    )
    return PageLayout(groups=groups, block_bytes=size * page)


def _group_size(counts: list[int]) -> int:
    least, most = min(counts), max(counts)
    return most if most < least * _NEARLY_EQUAL else least
