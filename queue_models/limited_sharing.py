"""Limited processor sharing on arrays, for research."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from queue_models.birth_death import BirthDeathChain, SteadyState
from queue_models.errors import ServiceProcessError, UnstableError
from queue_models.variability import Variability

__all__ = ["limited_sharing_queue"]


def limited_sharing_queue(
    arrival_rate: ArrayLike,
    rates: ArrayLike,
    *,
    service_scv: ArrayLike = 1.0,
    arrival_scv: ArrayLike = 1.0,
    slots: ArrayLike | None = None,
) -> SteadyState:
    """Steady state of P queues whose requests share a rate mu(n), at most B of them at a time.

    Parameters
    ----------
    arrival_rate
        λ >= 0, shape (P,) or a number.
    rates
        Total rate mu(n) > 0 for n = 1..B in service, shape (P, max B) or (B,), unit of λ.
    service_scv, arrival_scv
        cs² >= 0 of the work of a request, and ca² > 0; they broadcast to (P,).
    slots
        B of every queue where they differ.

    Returns
    -------
    SteadyState
        Waits are those before a slot. Exact for cs² = ca² = 1; else the states up to B are exact,
        by insensitivity, as long as nobody waits, and the wait of those who wait is exponential
        with the mean of exponential service times a factor of two moments.

    Raises
    ------
    UnstableError
        If λ >= mu(B).
    ServiceProcessError
        If an argument is out of range.

    References
    ----------
    .. [1] Zhang, J., Zwart, B. (2008). Steady state approximations of limited processor sharing
       queues in heavy traffic. Queueing Systems 60.
    .. [2] Kimura, T. (1994). Approximations for multi-server queues: system interpolations.
       Queueing Systems 17.
    """
    chain = BirthDeathChain.from_rates(rates, slots=slots)
    shape = chain.slots.shape
    load = np.broadcast_to(np.asarray(arrival_rate, dtype=np.float64), shape)
    cs2 = np.broadcast_to(np.asarray(service_scv, dtype=np.float64), shape)
    ca2 = np.broadcast_to(np.asarray(arrival_scv, dtype=np.float64), shape)
    if not np.all((load >= 0) & np.isfinite(load)):
        raise ServiceProcessError(f"arrival_rate = {arrival_rate!r}: must be at least 0 and finite")
    if not (np.all((cs2 >= 0) & np.isfinite(cs2)) and np.all((ca2 > 0) & np.isfinite(ca2))):
        raise ServiceProcessError(
            f"service_scv = {service_scv!r}, arrival_scv = {arrival_scv!r}: must be at least 0, "
            f"and above 0, both finite"
        )
    if not np.all(load < chain.full_rate):
        raise UnstableError(f"arrival_rate = {arrival_rate!r}: must be below mu(B)")
    stretch = Variability(ca2, cs2).stretch(load / chain.full_rate, chain.slots)
    return chain.steady_state(load, stretch=stretch)
