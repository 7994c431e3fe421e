"""What an engine is set to, in the words of vLLM, and as compiled code reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import NamedTuple

from optimizer.errors import FleetError

__all__ = [
    "EngineConfig",
    "EngineConfigError",
    "KvAccounting",
    "Policy",
    "Preemption",
    "ReplicaRole",
    "Rules",
]


class EngineConfigError(FleetError, ValueError):
    """A setting of the engine is out of range, or two contradict each other."""


class KvAccounting(IntEnum):
    """How the KV cache is kept account of."""

    BLOCKS = 0  # block tables, references, prefix cache, preemption: vLLM's rules
    RESERVED = 1  # tokens alone: prompt and whole output are set aside at admission (lean)


class Policy(IntEnum):
    """Order in which waiting requests are admitted, and who is preempted."""

    FCFS = 0  # by arrival; the most recently admitted is preempted
    PRIORITY = 1  # by (priority, arrival), least first; the largest is preempted


class Preemption(IntEnum):
    """What happens to the KV cache of a preempted request."""

    RECOMPUTE = 0  # it is dropped and computed again: vLLM V1
    SWAP = 1  # it is copied to CPU memory where that has room: an extension


class ReplicaRole(IntEnum):
    """What a replica does of a request."""

    AGGREGATED = 0
    PREFILL = 1  # up to the first token; the KV cache is then sent away
    DECODE = 2  # from the second token on; the prompt's KV cache comes with the request


class Rules(NamedTuple):
    """`EngineConfig` as compiled code reads it; the fields are the same."""

    kv_accounting: int
    block_size: int
    num_blocks: int
    kv_capacity_tokens: float
    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    chunked_prefill: bool
    long_prefill_token_threshold: int
    prefix_caching: bool
    prefix_match_unit: int
    reserve_full_isl: bool
    watermark_blocks: int
    policy: int
    preemption: int
    cpu_blocks: int
    link_latency_ms: float
    link_ms_per_token: float
    draft_tokens: int
    acceptance_rate: float
    lookahead_tokens: int
    role: int
    max_waiting: int
    drop_late: bool
    external: bool
    seed: int


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """Settings of one replica; the names are vLLM's where it has the same thing.

    Parameters
    ----------
    kv_accounting
        Blocks with every rule of vLLM, or the lean account of reserved tokens.
    block_size
        Tokens per KV block.
    num_blocks
        Blocks of the KV cache, the null block included as vLLM counts them: one less can be used.
    kv_capacity_tokens
        With reserved tokens: what the cache holds; `inf` without limit.
    max_num_seqs
        Most requests that run together.
    max_num_batched_tokens
        Token budget of an iteration.
    max_model_len
        Longest prompt and output together [tokens].
    chunked_prefill
        Whether a prompt may be computed over several iterations.
    long_prefill_token_threshold
        Most prompt tokens of one request in an iteration while others are present; 0: no limit.
    prefix_caching
        Whether full blocks are found again by their hash.
    prefix_match_unit
        Tokens after which a block that is not full yet can be found too, a divisor of `block_size`;
        what is found of such a block is copied. None: full blocks alone.
    reserve_full_isl
        Whether a request is admitted only when its whole prompt has room, not its first chunk.
    watermark
        Share of the blocks kept free when a request is admitted beside others, in [0, 1).
    policy, preemption
        See `Policy` and `Preemption`.
    cpu_blocks
        Blocks of CPU memory for swapping.
    link_gb_per_s, link_latency_ms, kv_bytes_per_token
        Link that KV caches are copied over, for swapping and for sending them to decode replicas;
        copies follow one another and run beside the computation.
    draft_tokens, acceptance_rate
        Speculative decoding: tokens drafted per iteration, and the chance that one is accepted
        when those before it were.
    lookahead_tokens
        Slots allocated beyond the tokens scheduled while drafting; None: `draft_tokens`, as with
        a draft model.
    role
        See `ReplicaRole`.
    max_waiting
        Requests that may wait; more are refused. None: any number.
    drop_late
        Refuse a request that, when its turn comes, could not meet its deadline for the first token
        even if it were computed at once: an extension.
    seed
        Of all draws inside the engine.

    Raises
    ------
    EngineConfigError
        Naming the setting, what came and what is wanted.
    """

    kv_accounting: KvAccounting = KvAccounting.BLOCKS
    block_size: int = 16
    num_blocks: int = 8192
    kv_capacity_tokens: float = math.inf
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 8192
    max_model_len: int = 131072
    chunked_prefill: bool = True
    long_prefill_token_threshold: int = 0
    prefix_caching: bool = True
    prefix_match_unit: int | None = None
    reserve_full_isl: bool = True
    watermark: float = 0.0
    policy: Policy = Policy.FCFS
    preemption: Preemption = Preemption.RECOMPUTE
    cpu_blocks: int = 0
    link_gb_per_s: float = 25.0
    link_latency_ms: float = 0.0
    kv_bytes_per_token: float = 131072.0
    draft_tokens: int = 0
    acceptance_rate: float = 0.0
    lookahead_tokens: int | None = None
    role: ReplicaRole = ReplicaRole.AGGREGATED
    max_waiting: int | None = None
    drop_late: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise EngineConfigError(
                    f"EngineConfig.{name} = {value}: must be from {least} to {most}"
                )
        if self.prefix_match_unit is not None and self.block_size % self.prefix_match_unit != 0:
            raise EngineConfigError(
                f"EngineConfig.prefix_match_unit = {self.prefix_match_unit}: must divide "
                f"block_size = {self.block_size}"
            )
        if not self.chunked_prefill and self.max_num_batched_tokens < self.max_model_len:
            raise EngineConfigError(
                f"EngineConfig.max_num_batched_tokens = {self.max_num_batched_tokens}: without "
                f"chunked prefill a prompt is computed at once, so that it must be at least "
                f"max_model_len = {self.max_model_len}"
            )
        if self.kv_accounting is KvAccounting.RESERVED and (
            self.preemption is Preemption.SWAP or self.policy is Policy.PRIORITY
        ):
            raise EngineConfigError(
                "EngineConfig.kv_accounting = RESERVED: nothing is preempted there; "
                "swapping and priorities need BLOCKS"
            )

    @property
    def usable_blocks(self) -> int:
        """Blocks that requests can hold."""
        return self.num_blocks - 1

    def rules(self, *, external: bool = False) -> Rules:
        """Return the settings as compiled code reads them.

        Parameters
        ----------
        external
            Whether the caller says after every iteration what came out of it.
        """
        own = {f.name for f in fields(self)} & set(Rules._fields)
        values = {name: getattr(self, name) for name in own}
        return Rules(
            **{
                **values,
                "kv_accounting": int(self.kv_accounting),
                "policy": int(self.policy),
                "preemption": int(self.preemption),
                "role": int(self.role),
                "prefix_caching": self.prefix_caching and self.kv_accounting is KvAccounting.BLOCKS,
                "prefix_match_unit": self.prefix_match_unit or self.block_size,
                "kv_capacity_tokens": float(self.kv_capacity_tokens),
                "watermark_blocks": int(self.watermark * self.num_blocks),
                "link_latency_ms": float(self.link_latency_ms),
                "link_ms_per_token": self.kv_bytes_per_token / (self.link_gb_per_s * 1e6),
                "acceptance_rate": float(self.acceptance_rate),
                "lookahead_tokens": self.draft_tokens
                if self.lookahead_tokens is None
                else self.lookahead_tokens,
                "max_waiting": -1 if self.max_waiting is None else self.max_waiting,
                "external": external,
            }
        )


_COUNT = 2**31 - 1
# Name, least and largest value; NaN is in no range.
_RANGES: tuple[tuple[str, float, float], ...] = (
    ("block_size", 1, 65536),
    ("num_blocks", 2, _COUNT),
    ("kv_capacity_tokens", 1, math.inf),
    ("max_num_seqs", 1, 1_000_000),
    ("max_num_batched_tokens", 1, _COUNT),
    ("max_model_len", 1, 2**30),
    ("long_prefill_token_threshold", 0, _COUNT),
    ("prefix_match_unit", 1, 65536),
    ("watermark", 0, 1 - 1e-9),
    ("cpu_blocks", 0, _COUNT),
    ("link_gb_per_s", 1e-9, math.inf),
    ("link_latency_ms", 0, 1e9),
    ("kv_bytes_per_token", 0, 1e15),
    ("draft_tokens", 0, 1024),
    ("acceptance_rate", 0, 1),
    ("lookahead_tokens", 0, 1024),
    ("max_waiting", 0, _COUNT),
    ("seed", 0, 2**63 - 1),
)
