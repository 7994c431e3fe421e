"""Bursty arrivals as a chain feels them: rates that depend on the number in service.

Between arrivals of a gamma renewal process with SCV c > 1 passes a hyperexponential time of two
phases with the same first three moments. With it, the number in service and the phase are a
Markov chain in which arrivals enter a new phase by chance, so that the phases at n in service
follow from those at n + 1.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from queue_models.arrays import FloatArray
from queue_models.compilation import compiled

__all__ = ["Phases", "burst_tail", "fill_arrival_rates", "phases_of"]

# Steps of iterations that converge, at most.
_STEPS = 100


class Phases(NamedTuple):
    """Two phases: their rates, and the probability that a new interarrival time has the first."""

    slow: float
    fast: float
    share: float


@compiled
def phases_of(rate: float, scv: float) -> Phases:
    """Return the phases of interarrival times with the moments of a gamma law of SCV above 1.

    The means of the phases are the roots of x^2 - s x + q, s and q linear in the moments
    (Whitt 1982, Approximating a point process by a renewal process).
    """
    total, product = 2.0 * (1.0 + scv) / 3.0, (1.0 + scv) / 6.0
    root = math.sqrt(total * total - 4.0 * product)
    long, short = 0.5 * (total + root), 0.5 * (total - root)
    return Phases(rate / long, rate / short, (1.0 - short) / (long - short))


@compiled
def burst_tail(rate: float, scv: float, full_rate: float) -> float:
    """Return the ratio of successive numbers that arrivals find waiting: GI/M/1's root below 1.

    It solves x = E exp(-full_rate (1 - x) A), A gamma.
    """
    ratio = full_rate * scv / rate
    gap = 1.0 - rate / full_rate
    # From the heavy-traffic side, Newton's steps on the gap 1 - x, a convex function, are safe.
    found = 2.0 * gap / (1.0 + scv)
    for _ in range(_STEPS):
        inside = 1.0 + ratio * found
        power = math.exp(-math.log(inside) / scv)
        value = 1.0 - found - power
        slope = -1.0 + power * ratio / (scv * inside)
        step = value / slope
        found = min(max(found - step, 1e-12), 1.0)
        if abs(step) <= 1e-13 * found:
            break
    return 1.0 - found


@compiled
def _slow_below(phases: Phases, chance: float, death: float) -> float:
    """Return the share of the slow phase at n in service, given that at n + 1.

    What is at n came from n - 1 by an arrival, with a new phase; it may go up to n + 1 and
    return, and then has a phase as it is found there.
    """
    slow, fast, share = phases.slow, phases.fast, phases.share
    in_slow, in_fast = 1.0 / (slow + death), 1.0 / (fast + death)
    leaves = share * slow * in_slow + (1.0 - share) * fast * in_fast
    again = chance * slow * in_slow + (1.0 - chance) * fast * in_fast
    returns = leaves / (1.0 - again)
    first = in_slow * (share + chance * returns)
    second = in_fast * ((1.0 - share) + (1.0 - chance) * returns)
    return first / (first + second)


@compiled
def fill_arrival_rates(
    phases: Phases, rate: float, full_rate: float, deaths: FloatArray, whole: int, out: FloatArray
) -> None:
    """Write the mean arrival rate while n = 0..whole are in service, relative to `rate`.

    Parameters
    ----------
    phases
        Of the interarrival times, whose mean is 1/`rate`.
    full_rate
        Rate of departures where all slots are taken and requests wait.
    deaths
        Rates at which n = 1..whole in service become one fewer, at place n.
    """
    slow, fast = phases.slow, phases.fast
    chance = phases.share
    for _ in range(_STEPS):
        before, chance = chance, _slow_below(phases, chance, full_rate)
        if abs(chance - before) <= 1e-12:
            break
    for n in range(whole, 0, -1):
        chance = _slow_below(phases, chance, deaths[n])
        out[n] = (chance * slow + (1.0 - chance) * fast) / rate
    # With nobody in service no departure ends the stay in a phase.
    out[0] = 1.0 / (rate * (chance / slow + (1.0 - chance) / fast))
