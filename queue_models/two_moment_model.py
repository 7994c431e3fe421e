"""What lps and mgc share: waits stretched for the variability of lengths and arrivals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from queue_models.arrays import BoolArray
from queue_models.base import Statistic
from queue_models.occupancy_model import OccupancyModel
from queue_models.process import ServiceProcess
from queue_models.service_law import ServiceLaw
from queue_models.variability import Variability, pooled_routing

__all__ = ["TwoMomentModel"]


class TwoMomentModel(OccupancyModel):
    """Endless queue whose waits follow from two moments of arrivals and of service.

    Subclasses name the law; the chain of exponential service has the chance of waiting, and the
    wait of those who wait is stretched and stays exponential.
    """

    honours: ClassVar[frozenset[str]] = (OccupancyModel.honours - {"queue_capacity"}) | {
        "arrival_scv",
        "input_tokens_scv",
        "routing",
    }

    def variability(self, service: ServiceProcess, law: ServiceLaw) -> Variability:
        """Return the variability of arrivals and service."""
        return Variability.of(service, law)

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why the model does not hold; see `QueueModel.refusals`."""
        return {**super().refusals(service, statistics), **pooled_routing(service)}
