"""One pair at one arrival rate: occupancy, backlog, delays and waits put together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.iteration_level.arrivals import short_dispersion
from queue_models.iteration_level.backlog import (
    TIMES,
    arrival_exponents,
    iterate_backlog,
    start_backlog,
)
from queue_models.iteration_level.compilation import compiled
from queue_models.iteration_level.first_token import ATOMS, GROUPS, delays
from queue_models.iteration_level.lattice import (
    CELLS,
    HALF,
    ComplexArray,
    deposit,
    fourier,
    probabilities_of,
)
from queue_models.iteration_level.occupancy import Responses, linear_occupancy, slot_occupancy
from queue_models.iteration_level.pair_table import PairTable
from queue_models.iteration_level.slot_wait import truncated_mean, wait_stretch

__all__ = ["NODES", "Solution", "Space", "new_space", "solve"]

# Strata of the number in service as cumulated probabilities: the upper tail decides percentiles.
_STRATA = (0.0, 0.15, 0.4, 0.65, 0.85, 0.96, 1.0)

NODES = len(_STRATA) + 1
"""Numbers in service at which backlogs are computed: none decoding, the strata, a full batch."""

FULL = NODES - 1
"""The node of a full batch."""

LATE = 8
"""Atoms of the delay of those who waited for a slot."""

# Steps of the backlog's recursion: from a guess, where the budget binds, from a neighbouring node.
_STEPS, _CHUNKED_STEPS, _MORE_STEPS = 8, 24, 4

# Loads: the least, standing for 0; the most at which limited queues take the linear system; that of
# the chunk budget above which what follows a first full iteration grows by heavy-traffic scaling.
_LEAST_LOAD, _MOST_LINEAR_LOAD, _MOST_BUDGET_LOAD = 1e-9, 0.999, 0.97

# How fast the probability of waiting hides the mean of the linear system.
_CROWDING = 8.0

# Means of the queue of prompts that the lattice has room for where the budget binds.
_QUEUES = 7.0

# Standard deviations of the tokens of an iteration that the lattice has room for.
_DEVIATIONS = 4.0


class Space(NamedTuple):
    """Arrays a solution is written to, used again for every point."""

    states: FloatArray
    present: FloatArray
    weight: FloatArray
    empty: FloatArray
    room: FloatArray
    length: FloatArray
    rest: FloatArray
    delay: FloatArray
    first: FloatArray
    backlog: FloatArray
    shares: FloatArray
    running: FloatArray
    values: FloatArray
    below: FloatArray
    sums: FloatArray
    idle_values: FloatArray
    idle_below: FloatArray
    idle_sums: FloatArray
    late_values: FloatArray
    late_shares: FloatArray
    lattice: FloatArray
    times: FloatArray
    parts: FloatArray
    transform: ComplexArray
    exponents: ComplexArray
    work: ComplexArray


class Solution(NamedTuple):
    """Scalars of a point; probabilities are those of accepted requests, times in ms."""

    accepted: float
    refused: float
    idle: float
    waits: float
    wait_mean: float
    wait_limit: float
    stretch: float
    decay: float
    longest: float
    cell: float
    wait: float
    ttft: float
    decode: float
    dispersion: float
    in_service: float
    fast: float
    slow: float


def new_space(slots: int) -> Space:
    """Return arrays for pairs of at most so many slots."""
    nodes, atoms = (NODES,), (NODES, GROUPS, ATOMS)
    return Space(
        states=np.zeros(slots + 2),
        present=np.zeros(nodes),
        weight=np.zeros(nodes),
        empty=np.zeros(nodes),
        room=np.zeros(nodes),
        length=np.zeros(nodes),
        rest=np.zeros(nodes),
        delay=np.zeros(nodes),
        first=np.zeros(nodes),
        backlog=np.zeros((NODES, CELLS)),
        shares=np.zeros((NODES, GROUPS)),
        running=np.ones((NODES, GROUPS)),
        values=np.zeros(atoms),
        below=np.zeros(atoms),
        sums=np.zeros(atoms),
        idle_values=np.zeros(CELLS),
        idle_below=np.zeros(CELLS),
        idle_sums=np.zeros(CELLS),
        late_values=np.zeros(LATE),
        late_shares=np.zeros(LATE),
        lattice=np.zeros(CELLS),
        times=np.zeros(TIMES),
        parts=np.zeros((4, HALF)),
        transform=np.zeros(CELLS, np.complex128),
        exponents=np.zeros(HALF, np.complex128),
        work=np.zeros((8, CELLS), np.complex128),
    )


@compiled
def solve(
    table: PairTable,
    pair: int,
    offered: float,
    responses: Responses,
    tails: bool,
    space: Space,
) -> Solution:
    """Solve a pair at an offered rate per ms; below capacity where the queue has no limit.

    Without `tails` the distributions of TTFT and wait are not written where means do not need them.
    """
    capacity = table.capacity[pair]
    rate = max(offered, _LEAST_LOAD * capacity)
    linear_rate = rate if np.isinf(table.places[pair]) else min(rate, _MOST_LINEAR_LOAD * capacity)
    linear_mean, dispersion = linear_occupancy(table, pair, linear_rate, responses)
    full_rate, pooled = table.full_rate[pair], table.pooled[pair]
    stretch, limit = wait_stretch(
        table.slots[pair] * pooled,
        rate / full_rate,
        table.size_scv[pair],
        table.stay_scv[pair],
        table.arrival_scv[pair],
    )
    linear_inflow = linear_mean * (1.0 - linear_rate * table.work[pair]) / linear_rate
    waits, refused = slot_occupancy(
        table, pair, rate, linear_inflow, dispersion, stretch, space.states
    )
    refused = max(refused, 1.0 - capacity / rate)
    accepted = min(max(rate * (1.0 - refused), _LEAST_LOAD * capacity), capacity)
    in_service = _in_service(table, pair, waits, min(linear_mean, table.slots[pair]), space.states)
    average = _average(table, pair, accepted)
    length = table.base[pair] / (1.0 - accepted * table.work[pair])
    excess = short_dispersion(1.2 * length, rate, table.short_scv[pair])
    cell, budget_load, binds = _lattice(table, pair, accepted, space)
    arrival_exponents(space.transform, accepted, excess, space.exponents)
    _nodes(table, pair, waits, space)
    idle = _delays(table, pair, accepted, average, budget_load, binds, excess, cell, tails, space)
    if offered <= 0.0:
        idle, waits = 1.0, 0.0
        space.weight[:] = 0.0
    late, late_first = _late(table, pair, cell, space)
    decay = (full_rate - rate) * pooled / stretch
    longest = (table.places[pair] * pooled + 1.0) / (full_rate * pooled)
    wait_mean, wait_limit = (
        stretch / ((full_rate - rate) * pooled),
        limit / ((full_rate - rate) * pooled),
    )
    if not np.isinf(table.places[pair]):
        wait_mean = truncated_mean(decay, longest)
        wait_limit = wait_mean
    return _means(
        table,
        pair,
        accepted,
        refused,
        idle,
        waits,
        wait_mean,
        wait_limit,
        stretch,
        decay,
        longest,
        cell,
        late,
        late_first,
        dispersion,
        in_service,
        space,
    )


@compiled
def _in_service(
    table: PairTable, pair: int, waits: float, linear: float, states: FloatArray
) -> float:
    """Return the mean number in service, of the chain where slots matter, else linear."""
    mean = waits * table.slots[pair]
    for n in range(int(np.ceil(table.slots[pair]))):
        mean += n * states[n]
    if table.kv_scv[pair] > 0.0:
        return linear
    seldom = np.exp(-_CROWDING * waits)
    return float(seldom * linear + (1.0 - seldom) * mean)


@compiled
def _room(table: PairTable, pair: int, present: float) -> float:
    """Return the prompt tokens that an iteration takes beside so many decoding."""
    room = table.chunk[pair] - present * table.decode_tokens[pair]
    return float(max(room, table.least_room[pair]))


@compiled
def _average(table: PairTable, pair: int, rate: float) -> float:
    """Return the mean number in service over iterations, from the mean time of one."""
    length = table.base[pair] / (1.0 - rate * table.work[pair])
    return float(min(rate * table.stay[pair] * length, table.slots[pair]))


@compiled
def _span(table: PairTable, pair: int, rate: float) -> tuple[float, float, float, float]:
    """Return what tokens of an iteration seldom exceed, its room, the budget's load, the queue."""
    mean, square = table.prompt_mean[pair], table.prompt_square[pair]
    per_token, average = table.per_token[pair], _average(table, pair, rate)
    prompt_load = min(rate * per_token * mean, 0.9)
    empty = table.base[pair] + table.member[pair] * average
    length = empty / (1.0 - prompt_load) + per_token * square / mean
    deviation = np.sqrt(rate * length * square / (1.0 - prompt_load**2))
    reach = table.prompt_longest[pair] + rate * length * mean + _DEVIATIONS * deviation
    room = _room(table, pair, average)
    full = empty + per_token * room
    load = rate * mean * full / room
    queue = rate * square * full / room / (2.0 * (1.0 - min(load, _MOST_BUDGET_LOAD)))
    return reach, room, load, queue


@compiled
def _lattice(table: PairTable, pair: int, rate: float, space: Space) -> tuple[float, float, bool]:
    """Lay the prompts on a lattice long enough for backlogs.

    Returns the cell, the load of the chunk budget and whether it binds, at a high load if not at
    this one: what is computed does not change its form with the rate.
    """
    # Without prompts any lattice does on which the chunk budget does not bind.
    cell, load, binds = 0.5 * table.least_room[pair] / CELLS, 0.0, False
    if table.prompt_mean[pair] > 0.0:
        reach, room, load, queue = _span(table, pair, _MOST_LINEAR_LOAD * table.capacity[pair])
        binds = room < reach
        reach, room, load, queue = _span(table, pair, rate)
        if binds:
            reach = max(reach, table.prompt_longest[pair] + 3.0 * room) + _QUEUES * queue
        cell = reach / (CELLS - 1)
    space.lattice[:] = 0.0
    for j in range(table.prompts.shape[1]):
        if table.prompt_shares[pair, j] > 0.0:
            deposit(table.prompts[pair, j], table.prompt_shares[pair, j], cell, space.lattice)
    for i in range(CELLS):
        space.work[0, i] = space.lattice[i]
    fourier(space.work[0], space.transform, False)
    return cell, load, binds


@compiled
def _nodes(table: PairTable, pair: int, waits: float, space: Space) -> None:
    """Split the states with a slot left into strata, each at its mean.

    Nobody decodes where all present are in prefill, each with the share of its stay that this is.
    """
    whole = int(np.ceil(table.slots[pair]))
    alone = table.prefills[pair] / table.stay[pair]
    none, left, share = 0.0, 1.0 - waits, 1.0
    for n in range(whole):
        none += space.states[n] * share
        share *= alone
    none = min(none, left)
    space.present[0], space.weight[0] = 0.0, none
    total = 0.0
    for n in range(1, whole):
        total += space.states[n]
    space.present[FULL], space.weight[FULL] = table.slots[pair], waits
    for j in range(1, FULL):
        space.present[j] = 0.0
        space.weight[j] = (_STRATA[j] - _STRATA[j - 1]) * max(left - none, 0.0)
    if total <= 0.0:
        space.weight[0] = left
        space.weight[1:FULL] = 0.0
        return
    n, used = 1, 0.0
    for j in range(1, FULL):
        size = (_STRATA[j] - _STRATA[j - 1]) * total
        needed, mean = size, 0.0
        while n < whole and space.states[n] - used <= needed:
            mean += n * (space.states[n] - used)
            needed -= space.states[n] - used
            n, used = n + 1, 0.0
        # Rounding leaves the last stratum short of nothing that matters.
        mean += min(n, whole - 1) * needed
        used += needed
        space.present[j] = mean / size


@compiled
def _delays(
    table: PairTable,
    pair: int,
    rate: float,
    average: float,
    budget_load: float,
    binds: bool,
    excess: float,
    cell: float,
    tails: bool,
    space: Space,
) -> float:
    """Solve backlog and delays of every node; return P(an arrival finds the replica idle)."""
    per_cell = table.per_token[pair] * cell
    # A long backlog outlives changes of the number in service: it sees their average.
    steady = min(budget_load, 1.0) ** 4 if binds else 0.0
    over = rate / table.budget_rate[pair]
    stretch = max((1.0 - _MOST_BUDGET_LOAD) / max(1.0 - over, 1e-12), 1.0)
    idle = 0.0
    backlog = space.backlog
    for node in range(NODES):
        present = space.present[node]
        if binds and node < FULL:
            present = average + (present - average) * (1.0 - steady)
        empty = table.base[pair] + table.member[pair] * present
        room = _room(table, pair, present)
        space.empty[node], space.room[node] = empty, room
        prompt_load = min(rate * table.per_token[pair] * table.prompt_mean[pair], 0.95)
        quiet = empty / (1.0 - prompt_load)
        if node == 0 and not binds:
            backlog[0] = space.lattice
            steps = _STEPS
        elif node > 1:
            backlog[node] = backlog[node - 1]
            steps = _MORE_STEPS
        elif binds:
            full = empty + table.per_token[pair] * room
            load = rate * table.prompt_mean[pair] * full / room
            residual = table.prompt_square[pair] / table.prompt_mean[pair]
            start_backlog(
                space.lattice,
                space.exponents,
                quiet,
                load,
                residual / room,
                backlog[node],
                space.work[0],
                space.work[1],
            )
            steps = _CHUNKED_STEPS
        else:
            backlog[1] = 0.0
            deposit(rate * table.prompt_mean[pair] * quiet, 1.0, cell, backlog[1])
            steps = _STEPS
        beyond, left_idle = iterate_backlog(
            empty,
            per_cell,
            room,
            cell,
            space.exponents,
            steps,
            space.lattice,
            node == 0,
            backlog[node],
            space.times,
            space.parts,
            space.work,
        )
        space.length[node], space.rest[node], space.delay[node], space.first[node] = delays(
            empty,
            per_cell,
            room,
            cell,
            excess,
            stretch,
            space.exponents,
            space.transform,
            rate * table.prompt_mean[pair],
            table.prompt_mean[pair],
            tails,
            space.times,
            beyond,
            space.shares[node],
            space.running[node],
            space.values[node],
            space.below[node],
            space.sums[node],
            space.work,
        )
        if node == 0:
            pause = left_idle / rate
            idle = space.weight[0] * pause / (pause + space.length[0])
            space.weight[0] -= idle
    return idle


@compiled
def _late(table: PairTable, pair: int, cell: float, space: Space) -> tuple[float, float]:
    """Write the delay of those who waited, from their slot on: their prompt and those of others.

    Returns its mean, and the mean of it cut at one full iteration.
    """
    per_cell = table.per_token[pair] * cell
    for i in range(CELLS):
        space.work[0, i] = space.backlog[FULL, i]
    fourier(space.work[0], space.work[1], False)
    for k in range(HALF):
        space.work[0, k] = space.work[1, k] * space.transform[k]
    ahead = np.zeros(CELLS)
    probabilities_of(space.work[0], space.work[1], ahead)
    room, empty = space.room[FULL], space.empty[FULL]
    full = empty + table.per_token[pair] * room
    mean, cut, share, atom, product, mass = 0.0, 0.0, 0.0, 0, 0.0, 0.0
    for i in range(CELLS):
        whole = max(np.ceil(i * cell / room - 1e-9), 1.0) - 1.0
        value = whole * full + empty + per_cell * i - table.per_token[pair] * whole * room
        mean += ahead[i] * value
        cut += ahead[i] * min(value, full)
        left = ahead[i]
        # Atoms of equal probability; one of the lattice may be split over several.
        while left > 0.0 and atom < LATE - 1 and mass + left >= 1.0 / LATE:
            part = 1.0 / LATE - mass
            space.late_values[atom] = (product + part * value) * LATE
            space.late_shares[atom] = 1.0 / LATE
            left -= part
            product, mass, atom = 0.0, 0.0, atom + 1
        product += left * value
        mass += left
        share += ahead[i]
    for j in range(atom, LATE):
        space.late_shares[j] = 0.0
        space.late_values[j] = 0.0
    if mass > 0.0:
        space.late_values[atom], space.late_shares[atom] = product / mass, mass
    return mean, cut


@compiled
def _alone(table: PairTable, pair: int, cell: float, space: Space) -> float:
    """Write the delay of those who find the replica idle: their own prompt; return its mean."""
    room = _room(table, pair, 0.0)
    below, sums = 0.0, 0.0
    for i in range(CELLS):
        whole = max(np.ceil(i * cell / room - 1e-9), 1.0)
        value = whole * table.base[pair] + table.per_token[pair] * i * cell
        below += space.lattice[i]
        sums += space.lattice[i] * value
        space.idle_values[i], space.idle_below[i], space.idle_sums[i] = value, below, sums
    mean, share = 0.0, 0.0
    for j in range(table.prompts.shape[1]):
        tokens = table.prompts[pair, j]
        whole = max(np.ceil(tokens / room - 1e-9), 1.0)
        mean += table.prompt_shares[pair, j] * (
            whole * table.base[pair] + table.per_token[pair] * tokens
        )
        share += table.prompt_shares[pair, j]
    return mean / share


@compiled
def _means(
    table: PairTable,
    pair: int,
    accepted: float,
    refused: float,
    idle: float,
    waits: float,
    wait_mean: float,
    wait_limit: float,
    stretch: float,
    decay: float,
    longest: float,
    cell: float,
    late: float,
    late_first: float,
    dispersion: float,
    in_service: float,
    space: Space,
) -> Solution:
    """Return the means: nodes weighted by what arrivals find."""
    alone = _alone(table, pair, cell, space)
    longest_first = table.base[pair] + table.per_token[pair] * _room(table, pair, 0.0)
    ttft = idle * alone + waits * (wait_mean + late)
    first = idle * min(alone, longest_first) + waits * late_first
    wait = waits * wait_mean
    more = _further_chunks(table, pair, in_service)
    for node in range(FULL):
        weight = space.weight[node]
        if weight > 0.0:
            ttft += weight * (space.rest[node] + space.delay[node])
            first += weight * space.first[node]
            full = space.empty[node] + table.per_token[pair] * space.room[node]
            ahead = space.delay[node] - space.first[node] - more * full
            wait += weight * (space.rest[node] + max(ahead, 0.0))
    decode = 0.0
    if table.decodes[pair] > 0.0:
        decode = (in_service / accepted - first) / table.decodes[pair]
        decode = max(decode, table.base[pair])
    fast, slow = _variances(table, pair, accepted, cell, space)
    return Solution(
        accepted,
        refused,
        idle,
        waits,
        wait_mean,
        wait_limit,
        stretch,
        decay,
        longest,
        cell,
        wait,
        ttft,
        decode,
        dispersion,
        in_service,
        fast,
        slow,
    )


@compiled
def _further_chunks(table: PairTable, pair: int, present: float) -> float:
    """Return the mean iterations of a prompt's prefill after the first."""
    room = _room(table, pair, present)
    more = 0.0
    for j in range(table.prompts.shape[1]):
        more += table.prompt_shares[pair, j] * (
            max(np.ceil(table.prompts[pair, j] / room - 1e-9), 1.0) - 1.0
        )
    return more


@compiled
def _variances(
    table: PairTable, pair: int, rate: float, cell: float, space: Space
) -> tuple[float, float]:
    """Return the variances of the length of a token's iteration, within and between the nodes."""
    within, between, mean, total = 0.0, 0.0, 0.0, 0.0
    for node in range(1, NODES):
        weight = space.weight[node] * space.present[node]
        if weight <= 0.0:
            continue
        first, second = 0.0, 0.0
        for i in range(CELLS):
            part = table.per_token[pair] * min(i * cell, space.room[node])
            first += space.backlog[node, i] * part
            second += space.backlog[node, i] * part * part
        length = space.empty[node] + first
        weight /= length
        total += weight
        within += weight * (second - first * first)
        mean += weight * length
        between += weight * length * length
    if total <= 0.0:
        return 0.0, 0.0
    mean /= total
    # Iterations beget longer ones: a correlation of the prompts' load from one to the next.
    load = min(table.per_token[pair] * table.prompt_mean[pair] * rate, 0.95)
    within *= (1.0 + load) / (1.0 - load)
    return max(within / total, 0.0), max(between / total - mean * mean, 0.0)
