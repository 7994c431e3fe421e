"""An SLO sheet: objectives with targets and alert thresholds, apart from any fleet.

The same sheet decides a plan, judges a simulation or a running system, and becomes alert rules.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from optimizer.spec.base import Name, Positive, SpecModel
from optimizer.spec.service_class import STATISTIC_PATTERN, SloMetric

__all__ = [
    "DURATION_PATTERN",
    "LABEL_PATTERN",
    "ObjectiveMetric",
    "ObjectiveSpec",
    "SloSheetSpec",
]

DURATION_PATTERN = r"^[1-9][0-9]{0,5}(ms|s|m|h|d|w)$"
"""One number and one unit, as Prometheus writes durations."""

LABEL_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_]{0,99}$"
"""Names of labels in Prometheus."""

Duration = Annotated[str, StringConstraints(pattern=DURATION_PATTERN)]
LabelName = Annotated[str, StringConstraints(pattern=LABEL_PATTERN)]
LabelValue = Annotated[str, Field(max_length=1000)]
PercentileOrMean = Annotated[str, StringConstraints(pattern=STATISTIC_PATTERN)]


class ObjectiveMetric(StrEnum):
    """What an objective bounds."""

    TTFT_MS = "ttft_ms"
    ITL_MS = "itl_ms"
    TPOT_MS = "tpot_ms"
    E2E_MS = "e2e_ms"
    QUEUEING_MS = "queueing_ms"
    SERVICE_REQUESTS_PER_S = "service_requests_per_s"
    SERVICE_TOKENS_PER_S = "service_tokens_per_s"
    GPU_UTILIZATION_PERCENT = "gpu_utilization_percent"
    SUCCESS_PERCENT = "success_percent"
    TIMEOUT_PERCENT = "timeout_percent"
    OUT_OF_MEMORY_PERCENT = "out_of_memory_percent"

    @property
    def is_latency(self) -> bool:
        """Whether it is a time of requests."""
        return self.value.endswith("_ms")

    @property
    def is_percent(self) -> bool:
        """Whether it is a share in per cent."""
        return self.value.endswith("_percent")

    @property
    def is_floor(self) -> bool:
        """Whether more is better."""
        return not self.is_latency and self not in (
            ObjectiveMetric.TIMEOUT_PERCENT,
            ObjectiveMetric.OUT_OF_MEMORY_PERCENT,
        )

    @property
    def planned(self) -> SloMetric | None:
        """What a plan decides by; None for what only a running system shows."""
        return None if self.is_percent else SloMetric(self.value)


class ObjectiveSpec(SpecModel):
    """One objective: `{metric: ttft_ms, statistic: p99, target: 200, alert: 300}`."""

    metric: ObjectiveMetric = Field(
        strict=False,
        description="ttft_ms, itl_ms, tpot_ms, e2e_ms, queueing_ms: at most `target`; "
        "service_requests_per_s, service_tokens_per_s (output tokens of a service), "
        "gpu_utilization_percent, success_percent: at least; timeout_percent, "
        "out_of_memory_percent: at most.",
    )
    statistic: PercentileOrMean = Field(
        default="mean", description="Of latencies: mean, or a percentile p1 ... p99.9."
    )
    target: Positive = Field(description="What is promised, in the metric's unit.")
    alert: Positive | None = Field(
        default=None,
        description="From where on people are alerted; by default beyond the target.",
    )
    output_tokens: Positive | None = Field(
        default=None,
        description="Of e2e_ms: length of the answer that it is stated for [tokens]; services with "
        "others are held to it in proportion.",
    )
    service_class: Name | None = Field(
        default=None, alias="class", description="Class it holds for; by default every class."
    )
    query: Annotated[str, Field(min_length=1, max_length=10_000)] | None = Field(
        default=None,
        description="PromQL that yields the figure in the metric's unit, instead of the usual one.",
    )


class SloSheetSpec(SpecModel):
    """A whole sheet."""

    schema_version: int = Field(default=1, ge=1, le=1, description="Version of this format.")
    name: Name = Field(default="slo", description="Name of the sheet.")
    objectives: tuple[ObjectiveSpec, ...] = Field(
        strict=False, min_length=1, description="Every objective."
    )
    window: Duration = Field(default="5m", description="Time that alerts look back over, as 5m.")
    hold: Duration = Field(
        default="5m", description="Time that a threshold is passed before an alert, as 5m."
    )
    selector: dict[LabelName, LabelValue] = Field(
        default_factory=dict, description="Labels of the series that alerts look at."
    )
    labels: dict[LabelName, LabelValue] = Field(
        default_factory=dict, description="Labels that alerts carry, such as a team."
    )
