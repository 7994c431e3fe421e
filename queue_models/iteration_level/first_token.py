"""Time to first token of a request that finds a slot, as a mixture over iteration lengths."""

from __future__ import annotations

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.compilation import compiled
from queue_models.iteration_level.backlog import TIMES, within
from queue_models.iteration_level.lattice import (
    CELLS,
    HALF,
    ComplexArray,
    probabilities_of,
)

__all__ = ["ATOMS", "GROUPS", "delays", "mean_until", "share_within"]

GROUPS = 4
"""Groups of iteration lengths: what remains of an iteration goes with what arrives in it."""

# Groups as ranges of the TIMES lengths: shorter ones, more frequent, are told apart finer.
_EDGES = (0, 1, 3, 7, TIMES)

ATOMS = 2 * CELLS + 1
"""Values a delay after the running iteration may take."""


@compiled
def delays(
    empty_ms: float,
    per_cell: float,
    room: float,
    cell: float,
    excess: float,
    longer_ms: float,
    stretch: float,
    exponents: ComplexArray,
    transform: ComplexArray,
    own_transform: ComplexArray,
    token_rate: float,
    prompt_mean: float,
    own_mean: float,
    tails: bool,
    times: FloatArray,
    beyond: float,
    shares: FloatArray,
    running: FloatArray,
    values: FloatArray,
    below: FloatArray,
    sums: FloatArray,
    work: ComplexArray,
) -> tuple[float, float, float, float]:
    """Write the distribution of TTFT = (rest of the running iteration) + (delay).

    An arrival sees iterations biased by their length T, and of one of length T a uniform part to
    come. The next iteration computes its prompt, with those that came before and after it within T:
    empty_ms + per token (sum). What exceeds `room` waits; then R tokens are ahead, own ones
    included, and it takes ceil(R/room) iterations, full but for the last, into which later prompts
    come. Arrivals in batches bring companions: 1/(1 + excess (1 - phi)) is the transform of theirs.
    The own prompt has a transform of its own: that of the kind whose delays are wanted. Without
    `tails` only means are computed where the budget does not bind. `stretch`
    multiplies what comes after a first full iteration, in heavy traffic of the budget.

    Per group g: `shares`, its probability; `running`, its T; and the atoms of the delay, `values`
    with cumulated probabilities `below` and cumulated probability times value `sums`.

    Returns
    -------
    tuple
        E[T], the means of the rest of the running iteration and of the delay, and the mean of the
        delay cut at one full iteration.
    """
    reach = cell * (CELLS - 1)
    limit = min(room, reach)
    chunked = room < reach
    step_ms = per_cell * limit / cell / (TIMES - 1)
    full_ms = empty_ms + per_cell * limit / cell
    arrived, power, tail, longest = work[0], work[1], work[2], work[4]
    carried, scratch, companions, waiting = work[3], work[5], work[6], work[7]
    for k in range(HALF):
        longest[k] *= arrived[k]
        companions[k] = own_transform[k] / (1.0 + excess * (1.0 - transform[k]))
    mean_ms, square, cube = beyond * full_ms, beyond * full_ms**2, beyond * full_ms**3
    for j in range(TIMES):
        t = empty_ms + step_ms * j
        mean_ms += times[j] * t
        square += times[j] * t * t
        cube += times[j] * t * t * t
    if longer_ms != 0.0:
        found_ms = square / mean_ms
        variance = max(cube / mean_ms - found_ms * found_ms, 1e-12 * found_ms * found_ms)
        tilt = longer_ms / variance
        tilt = min(tilt, 1.0 / max(found_ms - empty_ms, 1e-9 * found_ms))
        tilt = max(tilt, -1.0 / max(full_ms - found_ms, 1e-9 * found_ms))
        square += tilt * variance * mean_ms
        for j in range(TIMES):
            times[j] *= 1.0 + tilt * (empty_ms + step_ms * j - found_ms)
        last = 1.0 + tilt * (full_ms - found_ms)
        beyond *= last
        for k in range(HALF):
            work[2][k] *= last
    rest = 0.5 * square / mean_ms
    if not chunked:
        tokens = own_mean + prompt_mean * excess + token_rate * square / mean_ms
        delay = first_part = empty_ms + per_cell * tokens / cell
        if not tails:
            return mean_ms, rest, delay, first_part
    delay_sum, first_sum = 0.0, 0.0
    total, before = np.zeros(CELLS), np.zeros(CELLS)
    for g in range(GROUPS):
        low, high = _EDGES[g], _EDGES[g + 1]
        last = g == GROUPS - 1
        weight, length = 0.0, 0.0
        for j in range(low, high):
            t = empty_ms + step_ms * j
            weight += times[j] * t / mean_ms
            length += times[j] * t * t / mean_ms
        if last:
            weight += beyond * full_ms / mean_ms
            length += beyond * full_ms**2 / mean_ms
        shares[g] = weight
        if weight < 1e-15:
            shares[g], running[g] = 0.0, full_ms
        else:
            running[g] = length / weight
        known = 0.0
        for j in range(low, high):
            known += times[j]
        for k in range(HALF):
            mixture, discount, earlier = 0.0j, arrived[k], 0.0j
            for j in range(low, high):
                term = times[j] * discount
                mixture += (empty_ms + step_ms * j) * term
                earlier += term
                discount *= power[k]
            arrived[k] = discount
            if chunked and last:
                mixture += tail[k] * full_ms * longest[k]
                earlier += tail[k] * longest[k]
            carried[k] = mixture * companions[k]
            # T E[exp(-exponent U T)] over the group, U uniform: what came before the arrival.
            if abs(exponents[k]) * full_ms < 1e-9:
                waiting[k] = carried[k]
            elif chunked:
                there = known + tail[k] if last else known + 0.0j
                waiting[k] = (there - earlier) / exponents[k] * companions[k]
        if shares[g] == 0.0:
            continue
        probabilities_of(carried, scratch, total)
        if chunked:
            probabilities_of(waiting, scratch, before)
        expected, cut = _atoms(
            total,
            before,
            chunked,
            cell,
            limit,
            empty_ms,
            per_cell,
            full_ms,
            token_rate,
            running[g],
            stretch,
            values[g],
            below[g],
            sums[g],
        )
        delay_sum += weight * expected
        first_sum += weight * cut
    if chunked:
        delay, first_part = delay_sum, first_sum
    return mean_ms, rest, delay, first_part


@compiled
def _atoms(
    total: FloatArray,
    before: FloatArray,
    chunked: bool,
    cell: float,
    limit: float,
    empty_ms: float,
    per_cell: float,
    full_ms: float,
    token_rate: float,
    running: float,
    stretch: float,
    values: FloatArray,
    below: FloatArray,
    sums: FloatArray,
) -> tuple[float, float]:
    """Write the atoms of the delay of a group; return its mean, and that of it cut at full_ms."""
    count, share, product = 0, 0.0, 0.0
    room = limit / cell
    for i in range(CELLS):
        inside = within(i, room) if chunked else 1.0
        if inside == 0.0:
            break
        value = empty_ms + per_cell * min(float(i), room)
        share += inside * total[i]
        product += inside * total[i] * value
        values[count], below[count], sums[count] = value, share, product
        count += 1
    cut = product
    if chunked:
        at_once = 0.0
        for i in range(CELLS):
            at_once += within(i, room) * before[i]
        filled = max(at_once - share, 0.0)
        share += filled
        product += filled * full_ms
        values[count], below[count], sums[count] = full_ms, share, product
        count += 1
        scale = (1.0 - share) / (1.0 - at_once) if at_once < 1.0 else 0.0
        cut = product + (1.0 - share) * full_ms
        for i in range(CELLS):
            outside = 1.0 - within(i, room)
            if outside > 0.0:
                whole = _whole_before(float(i), room)
                later = token_rate * (0.5 * running + whole * full_ms)
                last = min(max(i * cell - whole * limit, 0.0) + later, limit)
                value = whole * full_ms + empty_ms + per_cell * last / cell
                value = full_ms + stretch * (value - full_ms)
                value = max(value, values[count - 1])
                share += outside * before[i] * scale
                product += outside * before[i] * scale * value
                values[count], below[count], sums[count] = value, share, product
                count += 1
    for i in range(count):
        below[i] /= share
        sums[i] /= share
    for i in range(count, ATOMS):
        values[i], below[i], sums[i] = np.inf, 1.0, sums[count - 1]
    return product / share, cut / share


@compiled
def _whole_before(place: float, room: float) -> float:
    """Return the full iterations before the last, at least 1, averaged over a cell at `place`."""
    parts = place / room
    nearest = np.floor(parts + 0.5)
    offset = (parts - nearest) * room
    whole = nearest - 1.0 + min(max(offset + 0.5, 0.0), 1.0)
    return float(max(whole, 1.0))


@compiled
def mean_until(values: FloatArray, below: FloatArray, sums: FloatArray, time: float) -> float:
    """Return E(time - X)+, the integral of P(X <= x) up to `time`, of atoms in increasing order."""
    low, high = 0, values.size
    while low < high:
        middle = (low + high) // 2
        if values[middle] <= time:
            low = middle + 1
        else:
            high = middle
    return 0.0 if low == 0 else time * below[low - 1] - sums[low - 1]


@compiled
def share_within(
    values: FloatArray, below: FloatArray, sums: FloatArray, running: float, time: float
) -> float:
    """Return P(U running + X <= time), U uniform on (0, 1)."""
    last = values.size - 1
    while last > 0 and values[last] == np.inf:
        last -= 1
    if time - running >= values[last]:
        return 1.0
    upper = mean_until(values, below, sums, time)
    lower = mean_until(values, below, sums, time - running)
    return min(max((upper - lower) / running, 0.0), 1.0)
