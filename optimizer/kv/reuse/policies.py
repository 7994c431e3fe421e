"""Which block leaves first."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["DEFAULT_POLICY", "EvictionPolicy"]


class EvictionPolicy(StrEnum):
    """How leaves are ranked for eviction; blocks in use and inner nodes always stay.

    Attributes
    ----------
    LRU
        The longest unused first; of one request the last block first.
    LFU
        The least used since it was stored, the longest unused of equals. The count is lost when the
        block is.
    LFU_AGEING
        As LFU, but a new use adds to what the last victim had, so that old counts lose worth [1]_.
    GDSF
        Greedy-Dual-Size-Frequency [2]_: as LFU with ageing, each use worth the block's prefill
        time, which grows with its position.
    ARC
        Adaptive Replacement Cache [3]_: blocks used once and more often in two lists, whose shares
        follow what was missed.
    REUSE_TIME
        Learned while it runs: the least chance of reuse per unit of time from now on
        (`optimizer.kv.reuse.reuse_times`).

    References
    ----------
    .. [1] Arlitt et al., *Evaluating content management techniques for Web proxy caches*, 2000.
    .. [2] Cherkasova, *Improving WWW proxies performance with GDSF caching policy*, HPL-98-69R1.
    .. [3] Megiddo and Modha, *ARC: a self-tuning, low overhead replacement cache*, FAST 2003.
    """

    LRU = "lru"
    LFU = "lfu"
    LFU_AGEING = "lfu-ageing"
    GDSF = "gdsf"
    ARC = "arc"
    REUSE_TIME = "reuse-time"

    @property
    def code(self) -> int:
        """Number of the policy in compiled loops."""
        return list(EvictionPolicy).index(self)


DEFAULT_POLICY = EvictionPolicy.REUSE_TIME
"""The best by hit rate over the traces and capacities of docs/background/prefix-reuse.md."""
