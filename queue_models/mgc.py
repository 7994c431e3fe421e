"""M/G/c: a replica as c servers at full-batch speed, with service times of any variability."""

from __future__ import annotations

from typing import ClassVar, final

from queue_models.process import ServiceProcess
from queue_models.service_law import ServiceLaw, service_law
from queue_models.two_moment_model import TwoMomentModel

__all__ = ["MGcModel"]


@final
class MGcModel(TwoMomentModel):
    """G/G/c queue from two moments, c the maximum batch.

    As `mmc`, every request is served as slowly as in a full batch; the wait of those who wait is
    stretched for the variability of lengths and arrivals, and stays exponential. Exact for one
    server with Poisson arrivals in the mean (Pollaczek-Khinchine), and for exponential times.
    """

    name: ClassVar[str] = "mgc"
    summary: ClassVar[str] = (
        "M/G/c at full-batch speed: as mmc, with the variability of lengths and arrivals"
    )
    assumptions: ClassVar[tuple[str, ...]] = (
        "Every request is served as slowly as in a full batch.",
        "The wait depends on two moments of service and arrivals; once it waits, a request waits "
        "an exponential time.",
        "Requests are admitted in order of arrival; the queue has no limit.",
    )
    source: ClassVar[str] = (
        "Kimura, Queueing Systems 17 (1994); Cosmetatos, INFOR 13 (1975); "
        "Whitt, Production and Operations Management 2 (1993)"
    )
    cost: ClassVar[str] = "B exponentials per pair and rate: sizing takes about 35 µs for B = 256"

    def law(self, service: ServiceProcess) -> ServiceLaw:
        """Return the law of a batch that is always full."""
        return service_law(service).at_full_batch()
