"""How many requests are in service: a linear system without slots, then a chain with them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.compilation import compiled
from queue_models.iteration_level.arrivals import excess_spectrum
from queue_models.iteration_level.bursts import burst_tail, fill_arrival_rates, phases_of
from queue_models.iteration_level.lattice import ComplexArray
from queue_models.iteration_level.pair_table import PairTable

__all__ = ["Responses", "linear_occupancy", "responses_of", "slot_occupancy"]

# Exponent of the dispersion with which the tail above the slots is heavier than the chain's: 1 in
# the heavy-traffic limit; 0.7 fits simulations of 24 random configurations at loads 0.5 to 0.95.
_TAIL_POWER = 0.7

# Load up to which the tail under bursts is computed; it changes little from there to 1.
_MOST_TAIL_LOAD = 0.9999

# Exponent of the dispersion that arrivals leave, over that of exponential stays, with which bursts
# make the tail heavier: fits simulated fixed and lognormal stays without prompts.
_BURST_POWER = 0.55

# Dispersion of the number in service is at least this multiple of that of a birth-death chain.
_LEAST_DISPERSION = 0.3

# Rates of the chain are at least this share of those without correction of its mean.
_LEAST_INFLOW = 0.02

# Beyond this the states of a long queue outweigh all others, or weigh nothing, in any ratio.
_MOST_EXPONENT = 300.0

# Most that varying reservations add to the logarithm of the probability of waiting.
_MOST_SPREAD = 3.0


@compiled
def _square(value: complex) -> float:
    return value.real * value.real + value.imag * value.imag


class Responses(NamedTuple):
    """What one arriving request adds, iteration by iteration, as transforms, shape (P, F).

    g(k) = 1 while the request is in service and h(k) its share of the k-th iteration's time
    (prompt, decode and KV cache, which grows), both random through its lengths.

    Attributes
    ----------
    present, time
        E[g] and E[h].
    cross, square
        E[g conj h] and E|h|^2.
    """

    present: ComplexArray
    time: ComplexArray
    cross: ComplexArray
    square: FloatArray


def responses_of(table: PairTable) -> Responses:
    """Return the responses of every pair."""
    shape = table.frequency.shape
    found = Responses(
        np.zeros(shape, np.complex128),
        np.zeros(shape, np.complex128),
        np.zeros(shape, np.complex128),
        np.zeros(shape),
    )
    _respond(table, found)
    return found


@compiled
def _respond(table: PairTable, found: Responses) -> None:
    pairs, count = table.frequency.shape
    for pair in range(pairs):
        prompt, square = table.prompt_mean[pair], table.prompt_square[pair]
        kv, prompt_kv = table.kv_ms[pair], table.kv_ms[pair] * table.prompt_kv[pair]
        for k in range(count):
            z = np.exp(-1j * table.frequency[pair, k])
            once, twice = z / (1.0 - z), z / (1.0 - z) ** 2
            for j in range(table.stays.shape[1]):
                share, stay = table.stay_shares[pair, j], table.stays[pair, j]
                if share == 0.0:
                    continue
                power = np.exp(-1j * table.frequency[pair, k] * stay)
                decoding = once * (1.0 - power)
                own = table.decode_ms[pair] * decoding
                if kv > 0.0:
                    ages = twice * (1.0 - (stay + 1.0) * power + stay * power * z)
                    own += kv * table.gained[pair] * ages
                per_token = table.per_token[pair] + prompt_kv * decoding
                time = own + prompt * per_token
                present = 1.0 + decoding
                found.present[pair, k] += share * present
                found.time[pair, k] += share * time
                found.cross[pair, k] += share * present * time.conjugate()
                cross = (own * per_token.conjugate()).real
                found.square[pair, k] += share * (
                    _square(own) + 2.0 * prompt * cross + square * _square(per_token)
                )


@compiled
def linear_occupancy(
    table: PairTable,
    pair: int,
    rate: float,
    responses: Responses,
) -> tuple[float, float, float]:
    """Return mean (over time) and dispersion of the number in service, were there no slots.

    The third is the dispersion that Poisson arrivals of the same rate would leave.

    Iterations lengthen with what arrived before, and more arrives in longer ones: a marked Hawkes
    process in the clock of iterations, whose second moments are exact (Bremaud and Massoulie 2001,
    power spectra of random fields). With R = rate z g/(1 - rate z h) and A arrivals per iteration,
    the spectrum of the number in service is A E|g + R h|^2, its cross-spectrum with the iteration
    time A E[(g + R h) conj h]/conj(1 - rate z h), plus the excess of the arrivals' own spectrum.
    The time average weighs iterations by their length. The dispersion is the variance over that of
    the birth-death chain mu(n) = n/(base stay + n work), mean/(1 - rate work).
    """
    load = rate * table.work[pair]
    per_iteration = rate * table.base[pair] / (1.0 - load)
    length = per_iteration / rate
    scv = table.arrival_scv[pair]
    variance, covariance, of_bursts = table.stay[pair], 0.0, 0.0
    for k in range(table.frequency.shape[1]):
        z = rate * np.exp(-1j * table.frequency[pair, k])
        weight = table.weight[pair, k]
        g, h = responses.present[pair, k], responses.time[pair, k]
        gh, hh = responses.cross[pair, k], responses.square[pair, k]
        feedback = 1.0 - z * h
        r = z * g / feedback
        variance += weight * (2.0 * (r.conjugate() * gh).real + _square(r) * hh)
        covariance += weight * ((gh + r * hh) / feedback.conjugate()).real
        if scv != 1.0:
            excess = excess_spectrum(table.frequency[pair, k] / length, rate, scv)
            of_bursts += weight * excess * _square(g / feedback)
            covariance += weight * excess * (g * h.conjugate()).real / _square(feedback)
    mean = per_iteration * table.stay[pair] + per_iteration * covariance / length
    scale = (1.0 - load) / table.stay[pair]
    without = max(variance * scale, _LEAST_DISPERSION)
    return mean, max((variance + of_bursts) * scale, _LEAST_DISPERSION), without


@compiled
def slot_occupancy(
    table: PairTable,
    pair: int,
    rate: float,
    linear_inflow: float,
    dispersion: float,
    without_bursts: float,
    stretch: float,
    states: FloatArray,
    found: FloatArray,
) -> tuple[float, float, float]:
    """Write P(n in service, slots left) over time to `states`, as arrivals find it to `found`.

    Returns P(accepted arrivals wait), P(refused) and P(no slot left) over time.

    A birth-death chain, tempered: the logarithms of its ratios are divided by the dispersion, which
    gives it the right variance, and its inflow is shifted so that its mean stays that of the linear
    system, of which `linear_inflow` is mean (1 - rate work)/rate.

    Above the slots the workload goes on with the same density per ms: a waiting request
    adds all of its time to it, one in service what is left of its own, so that the tail is heavier
    by about the dispersion. `stretch` is the wait's variability (see `slot_wait`).

    Bursty arrivals find other states than the average over time: the chain has their phases (see
    `bursts`), and `without_bursts` is its tempering.

    With R pooled replicas the pool holds n on each: every ratio counts R times. Where the KV cache
    limits, the number of slots is not whole, and it varies with who is in service.
    """
    slots, pooled, work = table.slots[pair], table.pooled[pair], table.work[pair]
    whole = int(np.ceil(slots))
    part = slots - (whole - 1)
    base = table.base[pair] * table.stay[pair]
    inflow_alone = linear_inflow - dispersion * work
    bursts = table.arrival_scv[pair] > 1.0 and pooled == 1.0
    tempering = without_bursts if bursts else dispersion
    slope = 0.0
    for n in range(1, whole + 1):
        inflow = max(inflow_alone + n * work, _LEAST_INFLOW * (base + n * work))
        slope = np.log(rate * inflow / n) / tempering
        states[n] = slope
    found[: whole + 1] = 1.0
    heavier = tempering**_TAIL_POWER
    if bursts:
        heavier *= _lay_bursts(table, pair, rate, dispersion / tempering, whole, states, found)
    states[0], logarithm, largest = 0.0, 0.0, 0.0
    for n in range(1, whole + 1):
        logarithm += states[n] * pooled + np.log(found[n - 1])
        states[n] = logarithm
        largest = max(largest, logarithm)
    below, second, nearly_full = 0.0, 0.0, 0.0
    for n in range(whole + 1):
        weight = np.exp(states[n] - largest)
        states[n] = weight
        if pooled > 1.0 and n > 0:
            # The states of a pool between n - 1 and n on each replica.
            inflow = max(inflow_alone + n * work, _LEAST_INFLOW * (base + n * work))
            step = np.log(rate * inflow / n) / tempering
            between = max(weight, below) * _between(abs(step), pooled)
            if n == whole:
                nearly_full = between
            else:
                states[n] = weight / pooled + between
        below, second = weight, below
    if pooled > 1.0:
        states[0] /= pooled
    # States in which a slot is left; the last whole one is so for a part of the time.
    full = states[whole] * part + second * (1.0 - part)
    states[whole - 1] = states[whole - 1] * part + nearly_full
    states[whole] = 0.0
    total, seen = 0.0, 0.0
    for n in range(whole):
        total += states[n]
        found[n] *= states[n]
        seen += found[n]
    if not bursts:
        # Arrivals that come in bursts find more than the average over time, regular ones less.
        full *= np.exp(-0.5 * (table.arrival_scv[pair] - 1.0) * max(slope, -1.0))
    full_found = full * found[whole]
    spread = table.kv_scv[pair]
    if spread > 0.0:
        heavier *= (1.0 + spread) * np.exp(min(0.5 * slots * spread * slope**2, _MOST_SPREAD))
    load = rate / table.full_rate[pair]
    waiting, refused = waiting_weights(load, table.places[pair] * pooled, heavier, stretch)
    waiting *= full_found / pooled
    refused *= full_found / pooled
    everything = seen + waiting + refused
    busy = full + load * waiting if bursts else waiting
    for n in range(whole):
        states[n] /= total + busy
        found[n] /= seen + waiting
    return waiting / (seen + waiting), refused / everything, busy / (total + busy)


@compiled
def _lay_bursts(
    table: PairTable,
    pair: int,
    rate: float,
    dispersion: float,
    whole: int,
    slopes: FloatArray,
    found: FloatArray,
) -> float:
    """Write arrival rates by number in service to `found`; return how much longer the tail is.

    `slopes` has the logarithms of rate/(rate of departures). `dispersion` is what bursts multiply
    that of the chain by, (1 + SCV)/2 where stays are exponential; for others the chain is given the
    SCV that leaves it this dispersion.
    """
    full_rate, scv = table.full_rate[pair], table.arrival_scv[pair]
    felt = max(2.0 * dispersion - 1.0, 1.0)
    for n in range(1, whole + 1):
        slopes[n] = rate * np.exp(-slopes[n])
    fill_arrival_rates(phases_of(rate, felt), rate, full_rate, slopes, whole, found)
    for n in range(1, whole + 1):
        slopes[n] = np.log(rate / slopes[n])
    load = min(rate / full_rate, _MOST_TAIL_LOAD)
    fall = burst_tail(load, scv, 1.0)
    heavier = ((1.0 + felt) / (1.0 + scv)) ** _BURST_POWER
    return float(heavier * fall / (1.0 - fall) * (1.0 - load) / load)


@compiled
def _between(slope: float, pooled: float) -> float:
    """Return the sum of exp(-j slope) over j = 1..R - 1, divided by R; slope >= 0."""
    if slope > 700.0:
        return 0.0
    if slope < 1e-9:
        return (pooled - 1.0) / pooled
    return math.expm1(-slope * (pooled - 1.0)) / -math.expm1(slope) / pooled


@compiled
def waiting_weights(
    load: float, places: float, heavier: float, stretch: float
) -> tuple[float, float]:
    """Return the weights of arrivals that wait and that are refused, relative to a full batch.

    Without limit 1 + heavier load/(1 - load). With m places the tail, which falls by
    load^(1/stretch) from place to place, ends at the last but one: from the first place on each
    holds heavier load/stretch, times that fall. What is refused is the local time of a reflected
    Brownian motion at its upper barrier (Harrison 1985, section 5.6), stretch times the last place:
    stretch/m of the arrivals at load 1, and far above it all that the capacity leaves. For
    exponential stays it is M/M/c/K, exactly.
    """
    if places == 0.0:
        return 0.0, 1.0
    gap = 1.0 - load
    if np.isinf(places):
        return 1.0 + heavier * load / gap, 0.0
    fall = min(max(np.log(load) / stretch * (places - 1.0), -_MOST_EXPONENT), _MOST_EXPONENT)
    last = heavier * load * np.exp(fall)
    near = abs(gap) < 1e-8
    area = (places - 1.0) / stretch if near else -np.expm1(fall) / gap
    return 1.0 + heavier * load * area, last
