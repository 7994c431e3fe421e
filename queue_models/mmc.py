"""M/M/c and M/M/c/K: a replica as c servers that always work as in a full batch."""

from __future__ import annotations

from typing import ClassVar, final

from queue_models.occupancy_model import OccupancyModel
from queue_models.process import ServiceProcess
from queue_models.service_law import ServiceLaw, service_law

__all__ = ["MMcModel"]


@final
class MMcModel(OccupancyModel):
    """M/M/c queue, c the maximum batch, or M/M/c/K where the queue is limited.

    Service is exponential of mean S(B), the time in service in a full batch. TTFT is the wait plus
    the prefill time in a full batch; ITL and TPOT are constant. Means and percentiles of the wait
    are exact. Without `queue_capacity` the queue has no limit.
    """

    name: ClassVar[str] = "mmc"
    summary: ClassVar[str] = (
        "M/M/c(/K) at full-batch speed: textbook baseline, pessimistic when idle"
    )
    assumptions: ClassVar[tuple[str, ...]] = (
        "Arrivals are Poisson.",
        "Every request is served as slowly as in a full batch.",
        "Time in service is exponential.",
        "Requests are admitted in order of arrival.",
    )
    ignores: ClassVar[frozenset[str]] = frozenset({"input_tokens_scv"})
    source: ClassVar[str] = "Kleinrock, Queueing Systems I (1975), sections 3.5 and 3.6"
    cost: ClassVar[str] = "B exponentials per pair and rate: sizing takes about 35 µs for B = 256"

    def law(self, service: ServiceProcess) -> ServiceLaw:
        """Return the law of a batch that is always full."""
        return service_law(service).at_full_batch()
