"""Service classes: who comes first, and what each model must hold for them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from optimizer.spec.base import Name, NonNegative, SpecModel
from optimizer.spec.precision import AllowedPrecision

__all__ = ["STATISTIC_PATTERN", "ServiceClassSpec", "SloMetric", "SloSpec", "TargetSpec"]


class SloMetric(StrEnum):
    """What a target bounds: latencies from above, rates from below."""

    TTFT_MS = "ttft_ms"
    ITL_MS = "itl_ms"
    TPOT_MS = "tpot_ms"
    E2E_MS = "e2e_ms"
    QUEUEING_MS = "queueing_ms"
    REQUEST_TOKENS_PER_S = "request_tokens_per_s"
    SERVICE_TOKENS_PER_S = "service_tokens_per_s"
    SERVICE_REQUESTS_PER_S = "service_requests_per_s"

    @property
    def is_latency(self) -> bool:
        """Whether it is a time, bounded from above."""
        return self.value.endswith("_ms")

    @property
    def is_service_rate(self) -> bool:
        """Whether it concerns the whole service and not a single request."""
        return self.value.startswith("service_")


STATISTIC_PATTERN = r"^(mean|p(?:[1-9]|[1-9][0-9])(?:\.[0-9]{1,4})?)$"
"""The mean, or a percentile from p1 to p99.9999."""

PercentileOrMean = Annotated[str, StringConstraints(pattern=STATISTIC_PATTERN)]


class TargetSpec(SpecModel):
    """One bound: `{metric: ttft_ms, statistic: p95, bound: 500}`."""

    metric: SloMetric = Field(
        strict=False,
        description="ttft_ms, itl_ms (between two tokens), tpot_ms (per output token of a "
        "request), e2e_ms, queueing_ms: at most `bound`; request_tokens_per_s (one request), "
        "service_tokens_per_s (output tokens of the whole service), service_requests_per_s: at "
        "least `bound`.",
    )
    statistic: PercentileOrMean = Field(
        default="mean",
        description="mean, or a percentile p1 ... p99.9 over requests (over tokens for itl_ms). "
        "For request_tokens_per_s, p95 means that 95 % of requests are at least that fast.",
    )
    bound: float = Field(
        ge=1e-6, le=1e15, allow_inf_nan=False, description="The bound, in the metric's unit."
    )

    @property
    def percentile(self) -> float | None:
        """The percentile, or None for the mean."""
        return None if self.statistic == "mean" else float(self.statistic[1:])


class SloSpec(SpecModel):
    """What one model, or every model of the class, must hold."""

    model: Name | None = Field(
        default=None, description="Model it holds for; without it, every model without its own."
    )
    targets: tuple[TargetSpec, ...] = Field(
        strict=False, description="Every bound; several may concern one metric."
    )


class ServiceClassSpec(SpecModel):
    """A class of users."""

    name: Name = Field(description="Name that services use.")
    priority: int = Field(ge=1, le=100, description="1 is served first.")
    slos: tuple[SloSpec, ...] = Field(
        default=(), strict=False, description="Its objectives; none: best effort."
    )
    tiers: tuple[Name, ...] | None = Field(
        default=None,
        strict=False,
        description="Purchase tiers that may serve it, where accelerators have tiers; by default "
        "all. Spot instances, say, may be none for a class that must not be interrupted.",
    )
    unserved_penalty_per_hour: NonNegative | None = Field(
        default=None,
        description="With weighted priorities: what leaving one service of the class unserved "
        "costs per hour.",
    )
    weight_precisions: tuple[AllowedPrecision, ...] | None = Field(
        default=None,
        strict=False,
        description="Precisions of the weights that its services may be served with; by default "
        "all.",
    )
    kv_precisions: tuple[AllowedPrecision, ...] | None = Field(
        default=None,
        strict=False,
        description="Precisions of the KV cache that its services may be served with; by default "
        "all.",
    )
