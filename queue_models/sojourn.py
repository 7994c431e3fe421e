"""Time from arrival to completion in a birth-death queue: its exact distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import FloatArray
from queue_models.birth_death import BirthDeathChain
from queue_models.erlang import checked_probability
from queue_models.errors import ServiceProcessError, UnstableError
from queue_models.tail_quantile import quantile_of_tail

__all__ = ["SojournTime"]

# An endless queue is cut where it is longer with less than this probability.
_CUT = 1e-13
# Requests are followed until less than this share is left.
_LEFT = 1e-14
_MOST_PLACES, _MOST_STEPS = 1000, 2_000_000


class SojournTime:
    """Sojourn time of an accepted request where n <= B present share mu(n) evenly.

    Parameters
    ----------
    arrival_rate
        λ > 0.
    rates
        Total rate mu(n) > 0 for n = 1..B in service, shape (B,), unit of λ.
    places
        Waiting places beyond the slots, a whole number >= 0, or `inf`.

    Raises
    ------
    UnstableError
        If `places` is infinite and λ >= mu(B).
    ServiceProcessError
        If an argument is out of range, or if the queue is longer than 1000 with a probability above
        1e-13.

    Notes
    -----
    The tagged request is followed through states (requests to leave before it enters, requests
    behind it) while it waits, in which mu(B) is constant, then through n, the number present: it
    leaves at rate mu(n)/n, another at mu(n)(n - 1)/n. Uniformised with Λ = λ + max mu,
    P(T > t) = sum over k of Poisson(k; Λ t) x (share left after k steps): positive terms only
    [1]_. Cost: about Λ x (time until all have left) steps over B + m + m²/2 states, m the waiting
    places in use. Service requirements are exponential; without waiting the sharing makes means,
    not percentiles, insensitive to that.

    References
    ----------
    .. [1] Jensen, A. (1953). Markoff chains as an aid in the study of Markoff processes.
       Skandinavisk Aktuarietidskrift 36; Grassmann, W. K. (1977). Transient solutions in Markovian
       queueing systems. Computers and Operations Research 4.
    """

    def __init__(self, arrival_rate: float, rates: ArrayLike, places: float = np.inf) -> None:
        mu = np.array(rates, dtype=np.float64)
        if not (arrival_rate > 0 and np.isfinite(arrival_rate)):
            raise ServiceProcessError(
                f"arrival_rate = {arrival_rate!r}: must be greater than 0 and finite"
            )
        if mu.ndim != 1 or not mu.size:
            raise ServiceProcessError("rates: must be one row, mu(1) to mu(B)")
        steady = BirthDeathChain.from_rates(mu, places).steady_state(np.array([arrival_rate]))
        if not steady.stable[0]:
            raise UnstableError(f"arrival_rate = {arrival_rate!r}: must be below mu(B) = {mu[-1]}")
        room = _places_in_use(float(places), arrival_rate / float(mu[-1]))
        found = _found(arrival_rate, mu, room)
        self.step_rate = arrival_rate + float(mu.max())
        self.left = _shares_left(arrival_rate, mu, room, found, self.step_rate)

    def tail(self, time: float) -> float:
        """P(an accepted request stays longer), `time` >= 0."""
        from scipy.special import gammaln, xlogy

        mean = self.step_rate * time
        step = np.arange(self.left.size)
        chance = np.exp(xlogy(step, mean) - mean - gammaln(step + 1.0))
        return float(min(1.0, chance @ self.left))

    def mean(self) -> float:
        """Mean sojourn time."""
        return float(self.left.sum()) / self.step_rate

    def quantile(self, probability: float) -> float:
        """Quantile of the sojourn time, 0 <= probability < 1 - 1e-12."""
        share = 1.0 - float(checked_probability(probability))
        return quantile_of_tail(self.tail, share, 1.0 / self.step_rate)


def _places_in_use(places: float, load: float) -> int:
    """Return the waiting places, those hardly ever used left out."""
    needed = places
    if load < 1.0:
        needed = min(places, np.ceil(np.log(_CUT) / np.log(load)))
    if needed > _MOST_PLACES:
        raise ServiceProcessError(
            f"places = {places:g}: {needed:g} waiting places are in use at load {load:g}; the "
            f"sojourn time is followed through {_MOST_PLACES} at most"
        )
    return int(needed)


def _found(rate: float, mu: FloatArray, room: int) -> FloatArray:
    """P(an accepted arrival finds n), n = 0..B + room - 1."""
    served = np.concatenate([mu, np.full(max(room - 1, 0), mu[-1])])
    logs = np.concatenate([[0.0], np.cumsum(np.log(rate / served))])[: mu.size + room]
    chance = np.exp(logs - logs.max())
    result: FloatArray = chance / chance.sum()
    return result


def _shares_left(
    rate: float, mu: FloatArray, room: int, found: FloatArray, step_rate: float
) -> FloatArray:
    """Return the share of requests that has not left after k steps, k = 0, 1, ..."""
    slots, most = mu.size, mu.size + room
    present = np.arange(1, most + 1)
    total = mu[np.minimum(present, slots) - 1]
    # Above B the tagged request is one of the B in service.
    own = total / np.minimum(present, slots) / step_rate
    others = total / step_rate - own
    arrival = np.where(present < most, rate / step_rate, 0.0)
    stay = 1.0 - own - others - arrival
    serving = np.zeros(most)
    serving[:slots] = found[:slots]
    # waiting[w - 1, k]: w leave before it enters, k are behind it; w + k <= room.
    waiting = np.zeros((room, room))
    waiting[:, :1] = found[slots:, None]
    ahead = np.arange(1, room + 1)[:, None] + np.arange(room)
    joins = np.where(ahead < room, rate / step_rate, 0.0)
    leaves = float(mu[-1]) / step_rate
    lasting = []
    any_waits = room > 0
    for _ in range(_MOST_STEPS):
        lasting.append(float(serving.sum() + waiting.sum()))
        if lasting[-1] < _LEFT:
            break
        moved = serving * stay
        moved[1:] += serving[:-1] * arrival[:-1]
        moved[:-1] += serving[1:] * others[1:]
        if any_waits:
            moved[slots - 1 : most - 1] += waiting[0] * leaves
            still = waiting * (1.0 - leaves - joins)
            still[:, 1:] += waiting[:, :-1] * joins[:, :-1]
            still[:-1] += waiting[1:] * leaves
            waiting = still
            any_waits = bool(waiting.any()) and float(waiting.sum()) > _LEFT * 1e-3
        serving = moved
    return np.array(lasting)
