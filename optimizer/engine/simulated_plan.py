"""A simulated plan: what was predicted of every service beside what came out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, computed_field

from optimizer.engine.errors import SimulationError

__all__ = [
    "DecodePool",
    "LatencyDistribution",
    "PlanSimulation",
    "SimulatedService",
    "SimulatedStatistic",
    "Usage",
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SimulatedStatistic(_Part):
    """One latency of a service, predicted and simulated."""

    metric: str = Field(description="wait_ms, ttft_ms, itl_ms, tpot_ms or e2e_ms.")
    statistic: str = Field(description="mean, or a percentile such as p99.")
    predicted: float | None = Field(description="By the plan's queue model [ms].")
    simulated: float | None = Field(description="[ms]; null without a steady state.")
    half_width: float | None = Field(description="Of the 95 % confidence interval [ms].")
    bound: float | None = Field(description="What an objective asks for [ms].")
    kept_by: float | None = Field(description="Share of requests within the bound.")
    kept_by_half_width: float | None = Field(
        default=None, description="Of its 95 % confidence interval."
    )
    holds: bool | None = Field(description="Whether the simulated value keeps the bound.")
    certain: bool | None = Field(description="Whether the bound lies outside the interval.")


class Usage(_Part):
    """How the replicas were used; shares of 1, over time."""

    busy: float = Field(description="Time with an iteration in flight.")
    batch: float = Field(description="Requests running, of the largest batch.")
    kv: float | None = Field(description="KV cache in use; null without a limit.")
    iteration_ms: float = Field(description="Mean length of an iteration [ms].")
    output_tokens_per_s: float = Field(description="All replicas together.")
    preemptions: int = Field(description="Over the requests that count.")
    prefix_hit_share: float = Field(description="Prompt tokens found in the cache.")
    loading_ms: float | None = Field(
        default=None,
        description="Mean time of loading a KV cache from the store, the wait for it included "
        "[ms]; null where nothing is loaded.",
    )
    store_busy: float | None = Field(
        default=None, description="Time that the store reads for these requests."
    )


class LatencyDistribution(_Part):
    """How a latency is distributed: what share of it lies below each value."""

    metric: str = Field(description="ttft_ms, itl_ms (over all tokens) or e2e_ms.")
    shares: tuple[float, ...] = Field(description="Rising, from 0 to 1.")
    values: tuple[float, ...] = Field(description="[ms].")


class DecodePool(_Part):
    """Replicas that decode what others prefill."""

    accelerator: str
    replicas: int
    usage: Usage | None = None


class SimulatedService(_Part):
    """One allocation of a plan, simulated; `skipped` says why it was not.

    A prefill and a decode pool are simulated together, as one.
    """

    service: str
    accelerator: str | None
    replicas: int = Field(description="Simulated; those that prefill where others decode.")
    decode: DecodePool | None = None
    arrival_rate_rps: float = Field(description="What all its replicas together are asked for.")
    skipped: str | None = None
    load: str = Field(default="", description="What came, where it was not the fleet's own load.")
    notes: tuple[str, ...] = Field(default=(), description="What to know of the figures.")
    requests: int = 0
    replications: int = Field(default=1, description="Independent runs behind the figures.")
    keeps_up: bool | None = Field(
        default=None, description="false: the backlog grows, there is no steady state."
    )
    precise: bool | None = Field(default=None, description="Whether the precision was reached.")
    throughput_rps: float | None = None
    goodput_rps: float | None = Field(
        default=None, description="Requests per second within every bound at once."
    )
    attainment: float | None = Field(
        default=None, description="Share of all requests that were completed within every bound."
    )
    attainment_half_width: float | None = None
    refused_share: float | None = None
    statistics: tuple[SimulatedStatistic, ...] = ()
    distributions: tuple[LatencyDistribution, ...] = ()
    usage: Usage | None = None

    @property
    def misses(self) -> bool:
        """Whether it cannot keep up or an objective does not hold."""
        return self.keeps_up is False or any(s.holds is False for s in self.statistics)


class PlanSimulation(_Part):
    """Every allocation of a plan, simulated."""

    schema_version: Literal[1] = 1
    fleet: str
    queue_model: str = Field(description="What predicted.")
    precision: float = Field(description="Relative half-width asked for.")
    seed: int
    interrupted: bool = Field(default=False, description="Whether it was ended before its end.")
    services: tuple[SimulatedService, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def missing(self) -> tuple[str, ...]:
        """Services that would miss an objective or cannot keep up."""
        return tuple(dict.fromkeys(s.service for s in self.services if s.misses))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def holds(self) -> bool:
        """Whether every service that was simulated keeps every objective."""
        return not self.missing

    def service(self, name: str) -> SimulatedService:
        """Return what was simulated of a service, the first where it splits.

        Raises
        ------
        KeyError
            If there is nothing of it.
        """
        for service in self.services:
            if service.service == name:
                return service
        raise KeyError(f"service {name!r} was not simulated")

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the result as JSON, and write it to a file when a path is given."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> PlanSimulation:
        """Read a result back.

        Raises
        ------
        SimulationError
            If the text is not one.
        """
        try:
            document = json.loads(text)
            if isinstance(document, dict):
                document = {k: v for k, v in document.items() if k not in ("missing", "holds")}
            return cls.model_validate(document)
        except (ValueError, ValidationError) as error:
            raise SimulationError(f"not a simulated plan: {error}") from error
