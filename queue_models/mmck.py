"""M/M/c/K: a replica as c servers at full-batch speed, with a waiting room that may be full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, final

import numpy as np

from queue_models.arrays import BoolArray
from queue_models.base import Statistic
from queue_models.occupancy_model import OccupancyModel
from queue_models.process import ServiceProcess
from queue_models.service_law import ServiceLaw, service_law

__all__ = ["MMcKModel"]

_ENDLESS = "the waiting room is finite: queue_capacity must be given (mmc takes an endless queue)"


@final
class MMcKModel(OccupancyModel):
    """M/M/c/K queue, c the maximum batch and K = c + `queue_capacity`; any load is stable.

    As `mmc`, every request is served as slowly as in a full batch, S(B). Requests that find K
    present are refused: `blocking_probability` is their share, exact, and so are the mean, the
    percentiles and the length of the queue of those accepted. With K = c it is Erlang's loss
    system. A service without `queue_capacity` is refused.
    """

    name: ClassVar[str] = "mmck"
    summary: ClassVar[str] = (
        "M/M/c/K at full-batch speed: mmc with a finite waiting room, refused requests counted"
    )
    assumptions: ClassVar[tuple[str, ...]] = (
        "Arrivals are Poisson; those that find the waiting room full are lost.",
        "Every request is served as slowly as in a full batch.",
        "Time in service is exponential.",
        "Requests are admitted in order of arrival.",
    )
    ignores: ClassVar[frozenset[str]] = frozenset({"input_tokens_scv"})
    source: ClassVar[str] = (
        "Gross et al., Fundamentals of Queueing Theory, 4th ed. (2008), section 2.5"
    )
    cost: ClassVar[str] = (
        "B exponentials per pair and rate, whatever K; a sizing takes about 60 µs for B = 256"
    )

    def law(self, service: ServiceProcess) -> ServiceLaw:
        """Return the law of a batch that is always full."""
        return service_law(service).at_full_batch()

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why the model does not hold; see `QueueModel.refusals`."""
        endless = ~service.differing_from_default("queue_capacity")
        unlimited = {_ENDLESS: endless} if np.any(endless) else {}
        return {**super().refusals(service, statistics), **unlimited}
