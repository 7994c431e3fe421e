"""State-dependent M/M/1/K: a replica whose speed depends on how many requests it serves."""

from __future__ import annotations

from typing import ClassVar, final

from queue_models.occupancy_model import OccupancyModel
from queue_models.process import ServiceProcess
from queue_models.service_law import ServiceLaw, service_law

__all__ = ["StateDependentModel"]


@final
class StateDependentModel(OccupancyModel):
    """Birth-death queue with mu(n) = n/S(n) for n <= B in service.

    `service_law` says what S(n), prefill(n) and decode(n) are for either timing. TTFT is the wait
    plus the prefill time at the number in service that the request joins; ITL is weighted by
    tokens, hence by throughput. Percentiles of the wait are exact; those of TTFT and ITL come from
    the distribution of the number in service and leave out what varies within a state. Without
    `queue_capacity` the queue has no limit.
    """

    name: ClassVar[str] = "mm1k-state-dependent"
    summary: ClassVar[str] = "M/M/1/K with mu(n) = n/S(n): right for capacity, mean ITL, loose SLOs"
    assumptions: ClassVar[tuple[str, ...]] = (
        "Arrivals are Poisson.",
        "Completions depend on the past only through the number in service.",
        "Prefill starts when a slot is free: no residual iteration, no other prompts' chunks.",
        "Requests are admitted in order of arrival.",
    )
    honours: ClassVar[frozenset[str]] = OccupancyModel.honours | {"length_covariance", "tagged"}
    ignores: ClassVar[frozenset[str]] = frozenset({"input_tokens_scv"})
    source: ClassVar[str] = "Kleinrock, Queueing Systems I (1975), section 3.1"
    cost: ClassVar[str] = "B steps per pair and rate: sizing takes 35 µs (numpy), 10 µs (compiled)"

    def law(self, service: ServiceProcess) -> ServiceLaw:
        """Return the law of the service's timing."""
        return service_law(service)
