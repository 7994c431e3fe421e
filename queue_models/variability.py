"""How far arrivals and lengths of a service process vary, and what that does to the wait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.multi_server import cosmetatos_factor
from queue_models.process import Role, Routing, ServiceProcess
from queue_models.service_law import ServiceLaw
from queue_models.timing import IterationTiming, PrefillDecodeTiming
from queue_models.work import RequestWork

__all__ = ["Variability", "pooled_routing"]


@dataclass(frozen=True, eq=False)
class Variability:
    """Squared coefficients of variation of the arrivals at a replica and of its service times.

    Parameters
    ----------
    arrival_scv, service_scv
        ca² > 0 and cs² >= 0, shape (P,).
    """

    arrival_scv: FloatArray
    service_scv: FloatArray

    @classmethod
    def of(cls, service: ServiceProcess, law: ServiceLaw) -> Variability:
        """Return the variability of a service process with this law, flattened.

        Of R replicas each gets every R-th arrival in turn, ca²/R, or one in R at random,
        1 + (ca² - 1)/R. Service times vary with the number of decode iterations and with the
        prompt's own prefill work, in the company of a full batch.
        """
        flat, work = service.flat, RequestWork.of(service)
        timing = flat.timing
        assert isinstance(timing, IterationTiming | PrefillDecodeTiming)
        in_turn = flat.routing == Routing.ROUND_ROBIN
        burst = flat.arrival_scv / flat.replicas
        arrivals = np.where(in_turn, burst, 1.0 + (flat.arrival_scv - 1.0) / flat.replicas)

        full = law.slots.astype(np.float64)
        decodes = np.where(flat.role == Role.PREFILL, 0.0, law.decode(full))
        spread = flat.output_tokens * np.sqrt(flat.output_tokens_scv) / work.tokens_per_iteration
        prompt = timing.prefill_ms_per_token * work.prefill_tokens
        variance = (spread * decodes) ** 2 + prompt**2 * flat.input_tokens_scv
        return cls(arrivals, variance / law.time_in_service(full) ** 2)

    def take(self, pairs: IntArray) -> Variability:
        """Return that of some pairs."""
        return Variability(self.arrival_scv[pairs], self.service_scv[pairs])

    def stretch(self, load: FloatArray, servers: IntArray) -> FloatArray:
        """Return the mean wait over that of Poisson arrivals and exponential service.

        Kimura's interpolation with Cosmetatos's M/D/c, scaled for arrivals that are not Poisson:
        (ca² + cs²)/(2 cs² + (1 - cs²)/f), f the M/D/c wait over the M/M/c wait, at loads in (0, 1).
        """
        constant = cosmetatos_factor(load, servers)
        weight = 2.0 * self.service_scv + (1.0 - self.service_scv) / constant
        factor: FloatArray = (self.arrival_scv + self.service_scv) / weight
        return factor


def pooled_routing(service: ServiceProcess) -> dict[str, BoolArray]:
    """Return the refusals of replicas that share their queues."""
    shared = (service.routing == Routing.LEAST_OUTSTANDING) & (service.replicas > 1)
    if not shared.any():
        return {}
    return {"replicas are taken one by one; routing must be RANDOM or ROUND_ROBIN": shared}
