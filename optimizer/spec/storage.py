"""Stores of KV caches, and what services reuse of them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from optimizer.spec.base import Milliseconds, Name, NonNegative, Positive, SpecModel

__all__ = [
    "LEAST_RATIO",
    "KvReuseSpec",
    "KvTransferSpec",
    "QualitySpec",
    "ReuseKind",
    "StoreScope",
    "StoreSpec",
]

LEAST_RATIO = 0.15
"""Share of chunks' tokens below which quality was seen to fall (CacheBlend, Fig. 16)."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
PositiveShare = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class StoreScope(StrEnum):
    """Whether every replica has a store of its own, or all share one."""

    LOCAL = "local"
    SHARED = "shared"


class StoreSpec(SpecModel):
    """A place where KV caches can be kept; the catalogue supplies what is not given here."""

    name: Name = Field(description="Name that services and plans use.")
    catalog: Name | None = Field(
        default=None, description="Entry of the built-in catalogue of storage devices."
    )
    scope: StoreScope | None = Field(
        default=None,
        strict=False,
        description="local: in the node of each replica; shared: one for the whole fleet. By "
        "default as the catalogue has it, else shared.",
    )
    bandwidth_gb_s: Positive | None = Field(
        default=None,
        description="Read bandwidth of the store, or of the one of each replica [GB/s].",
    )
    latency_ms: Milliseconds | None = Field(
        default=None, description="Time until the first byte [ms]; by default 0."
    )
    bandwidth_share: PositiveShare = Field(
        default=0.7,
        description="Share of the bandwidth that may be used; delays are those at this share.",
    )
    capacity_gb: Positive | None = Field(
        default=None,
        description="What it holds, of a local store that of one replica [GB = 1e9 bytes]; by "
        "default the catalogue's, else no limit.",
    )
    total_gb: Positive | None = Field(
        default=None,
        description="Of a local store: what all replicas of the fleet together may keep [GB]; by "
        "default no limit.",
    )
    cost_per_gb_hour: NonNegative | None = Field(
        default=None,
        description="Price of keeping, in the fleet's currency; by default the catalogue's for a "
        "shared store, 0 for a local one.",
    )
    read_cost_per_gb: NonNegative | None = Field(
        default=None, description="Fee of reading; by default the catalogue's, else 0."
    )
    write_cost_per_gb: NonNegative | None = Field(
        default=None, description="Fee of writing; by default the catalogue's, else 0."
    )
    pools: tuple[Name, ...] | None = Field(
        default=None,
        strict=False,
        description="Pools of the accelerators that can reach it; by default all.",
    )


class KvTransferSpec(SpecModel):
    """The way of a request's KV cache from the pool that prefills to the one that decodes."""

    bandwidth_gb_s: Positive = Field(description="What one transfer gets [GB/s].")
    latency_ms: Milliseconds = Field(default=0.0, description="Until the first byte [ms].")


class ReuseKind(StrEnum):
    """What is found in a store again."""

    PREFIX = "prefix"  # the exact beginning of a prompt: recomputing some of it changes nothing
    CHUNKS = "chunks"  # texts that stood elsewhere: the share recomputed decides the quality


class QualitySpec(SpecModel):
    """Q(r) = Q0 + (Q1 - Q0) (1 - exp(-k r)) / (1 - exp(-k)), r being the share recomputed."""

    at_zero: float = Field(
        ge=-1e6, le=1e6, allow_inf_nan=False, description="Quality Q0 of loading alone."
    )
    at_one: float = Field(
        ge=-1e6, le=1e6, allow_inf_nan=False, description="Quality Q1 of computing everything."
    )
    rate: float = Field(gt=0, le=1e6, allow_inf_nan=False, description="How fast it rises, k.")


class KvReuseSpec(SpecModel):
    """KV caches that a service may keep in a store and load instead of computing them again."""

    kind: ReuseKind = Field(
        default=ReuseKind.PREFIX,
        strict=False,
        description="prefix: the exact beginning of prompts; chunks: texts that stood elsewhere, "
        "blended by recomputing a share of their tokens.",
    )
    hit_rate: Share = Field(description="Share of requests that find their context in the store.")
    cached_tokens: Positive = Field(description="Tokens of the prompt that such a request finds.")
    working_set_gb: Positive | None = Field(
        default=None, description="What has to be kept for that hit rate [GB]."
    )
    keep_hours: Positive | None = Field(
        default=None,
        description="Instead of `working_set_gb`: how long a context is kept [h]; those that "
        "requests do not find are written, and stay so long.",
    )
    stores: tuple[Name, ...] | None = Field(
        default=None,
        strict=False,
        description="Stores that it may use; by default all that its replicas can reach.",
    )
    compression: Annotated[float, Field(ge=1, le=1e3, allow_inf_nan=False)] = Field(
        default=1.0, description="Factor by which what is stored is smaller than the KV cache."
    )
    recompute_ratios: tuple[Share, ...] | None = Field(
        default=None,
        strict=False,
        description="Shares of the cached tokens to be recomputed that are tried; by default the "
        "least that quality allows, the one that loading just hides, and one between.",
    )
    minimum_ratio: Share | None = Field(
        default=None,
        description="Least share recomputed; by default 0 for prefixes, 0.15 for chunks.",
    )
    quality: QualitySpec | None = Field(
        default=None, description="Quality of the answers, by the share recomputed (chunks)."
    )
    minimum_quality: float | None = Field(
        default=None,
        ge=-1e6,
        le=1e6,
        allow_inf_nan=False,
        description="Least quality that the service accepts.",
    )
