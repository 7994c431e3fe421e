"""Numbers in service, and what prompts meet at each: backlog, delays, lone and late requests."""

from __future__ import annotations

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.compilation import compiled
from queue_models.iteration_level.backlog import (
    arrival_exponents,
    iterate_backlog,
    start_backlog,
)
from queue_models.iteration_level.first_token import delays
from queue_models.iteration_level.lattice import (
    CELLS,
    HALF,
    deposit,
    fourier,
    probabilities_of,
)
from queue_models.iteration_level.pair_table import PairTable
from queue_models.iteration_level.space import FULL, LATE, NODES, STRATA, Space

__all__ = [
    "MOST_LINEAR_LOAD",
    "alone_delay",
    "average_present",
    "begun_when_full",
    "further_chunks",
    "late_delay",
    "lay_lattice",
    "lay_own",
    "node_delays",
    "room_beside",
    "set_nodes",
]

# Steps of the backlog's recursion: from a guess, where the budget binds, from a neighbouring node.
_STEPS, _CHUNKED_STEPS, _MORE_STEPS = 8, 24, 4

MOST_LINEAR_LOAD = 0.999
"""Load at which limited queues take the linear system at most."""

# Load of the chunk budget above which what follows a first full iteration grows by heavy-traffic
# scaling.
_MOST_BUDGET_LOAD = 0.97

# Means of the queue of prompts that the lattice has room for where the budget binds.
_QUEUES = 7.0

# Part of the chunk budget's rate up to which it does not hold up prompts of a full batch.
_MOST_FULL_RATE = 0.95

# Standard deviations of the tokens of an iteration that the lattice has room for.
_DEVIATIONS = 4.0


@compiled
def room_beside(table: PairTable, pair: int, present: float) -> float:
    """Return the prompt tokens that an iteration takes beside so many decoding."""
    room = table.chunk[pair] - present * table.decode_tokens[pair]
    return float(max(room, table.least_room[pair]))


@compiled
def average_present(table: PairTable, pair: int, rate: float) -> float:
    """Return the mean number in service over iterations, from the mean time of one."""
    length = table.base[pair] / (1.0 - rate * table.work[pair])
    return float(min(rate * table.stay[pair] * length, table.slots[pair]))


@compiled
def _span(table: PairTable, pair: int, rate: float) -> tuple[float, float, float, float]:
    """Return what tokens of an iteration seldom exceed, its room, the budget's load, the queue."""
    mean, square = table.prompt_mean[pair], table.prompt_square[pair]
    per_token, average = table.per_token[pair], average_present(table, pair, rate)
    prompt_load = min(rate * per_token * mean, 0.9)
    empty = table.base[pair] + table.member[pair] * average
    length = empty / (1.0 - prompt_load) + per_token * square / mean
    deviation = np.sqrt(rate * length * square / (1.0 - prompt_load**2))
    reach = table.prompt_longest[pair] + rate * length * mean + _DEVIATIONS * deviation
    room = room_beside(table, pair, average)
    full = empty + per_token * room
    load = rate * mean * full / room
    queue = rate * square * full / room / (2.0 * (1.0 - min(load, _MOST_BUDGET_LOAD)))
    return reach, room, load, queue


@compiled
def lay_lattice(
    table: PairTable, pair: int, rate: float, space: Space
) -> tuple[float, float, bool]:
    """Lay the prompts on a lattice long enough for backlogs.

    Returns the cell, the load of the chunk budget and whether it binds, at a high load if not at
    this one: what is computed does not change its form with the rate.
    """
    # Without prompts any lattice does on which the chunk budget does not bind.
    cell, load, binds = 0.5 * table.least_room[pair] / CELLS, 0.0, False
    if table.prompt_mean[pair] > 0.0:
        reach, room, load, queue = _span(table, pair, MOST_LINEAR_LOAD * table.capacity[pair])
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
def lay_own(table: PairTable, pair: int, cell: float, tagged: bool, space: Space) -> None:
    """Lay the prompts whose delays are wanted on the lattice: those of all, or the tagged ones."""
    if not tagged:
        space.own[:] = space.lattice
        space.own_transform[:] = space.transform
        return
    space.own[:] = 0.0
    for j in range(table.own_prompts.shape[1]):
        if table.own_prompt_shares[pair, j] > 0.0:
            deposit(table.own_prompts[pair, j], table.own_prompt_shares[pair, j], cell, space.own)
    for i in range(CELLS):
        space.work[0, i] = space.own[i]
    fourier(space.work[0], space.own_transform, False)


@compiled
def set_nodes(table: PairTable, pair: int, waits: float, space: Space) -> None:
    """Split the states with a slot left into strata, each at its mean.

    Nobody decodes where all present are in prefill, each with the share of its stay that this is.
    """
    whole = int(np.ceil(table.slots[pair]))
    alone = table.prefills[pair] / table.stay[pair]
    none, left, share = 0.0, 1.0 - waits, 1.0
    for n in range(whole):
        none += space.found[n] * share
        share *= alone
    none = min(none, left)
    space.present[0], space.weight[0] = 0.0, none
    total = 0.0
    for n in range(1, whole):
        total += space.found[n]
    space.present[FULL], space.weight[FULL] = table.slots[pair], waits
    for j in range(1, FULL):
        space.present[j] = 0.0
        space.weight[j] = (STRATA[j] - STRATA[j - 1]) * max(left - none, 0.0)
    if total <= 0.0:
        space.weight[0] = left
        space.weight[1:FULL] = 0.0
        return
    n, used = 1, 0.0
    for j in range(1, FULL):
        size = (STRATA[j] - STRATA[j - 1]) * total
        needed, mean = size, 0.0
        while n < whole and space.found[n] - used <= needed:
            mean += n * (space.found[n] - used)
            needed -= space.found[n] - used
            n, used = n + 1, 0.0
        # Rounding leaves the last stratum short of nothing that matters.
        mean += min(n, whole - 1) * needed
        used += needed
        space.present[j] = mean / size


@compiled
def node_delays(
    table: PairTable,
    pair: int,
    rate: float,
    average: float,
    budget_load: float,
    binds: bool,
    excess: float,
    together: float,
    cell: float,
    own_mean: float,
    tails: bool,
    space: Space,
) -> float:
    """Solve backlog and delays of every node; return P(an arrival finds the replica idle).

    Where the batch is full, those begin whose slots become free, however long an iteration takes.
    """
    per_cell = table.per_token[pair] * cell
    feedback = rate * table.per_token[pair] * table.prompt_mean[pair]
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
        room = room_beside(table, pair, present)
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
        arrivals_ms = 0.0
        if node == FULL and table.full_rate[pair] < _MOST_FULL_RATE * table.budget_rate[pair]:
            arrivals_ms = quiet
            begun = begun_when_full(table, pair, rate) / quiet
            arrival_exponents(space.transform, begun, 0.0, space.exponents)
        beyond, left_idle = iterate_backlog(
            arrivals_ms,
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
        space.beyond[node] = beyond
        space.length[node], space.rest[node], space.delay[node], space.first[node] = delays(
            empty,
            per_cell,
            room,
            cell,
            excess - feedback * together,
            table.per_token[pair] * table.prompt_mean[pair] * together,
            stretch,
            space.exponents,
            space.transform,
            space.own_transform,
            rate * table.prompt_mean[pair],
            table.prompt_mean[pair],
            own_mean,
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
def begun_when_full(table: PairTable, pair: int, rate: float) -> float:
    """Return the requests that begin in an iteration of a full batch, on average.

    Of slots that become free, a share of rate/full rate is taken at once, as somebody waits.
    """
    return float(min(rate / table.full_rate[pair], 1.0) * table.slots[pair] / table.stay[pair])


@compiled
def late_delay(
    table: PairTable, pair: int, cell: float, tagged: bool, space: Space
) -> tuple[float, float]:
    """Write the delay of those who waited, from their slot on: their prompt and those of others.

    Of a request of any kind, the tokens of these together are in `space.ahead`.

    Returns its mean, and the mean of it cut at one full iteration.
    """
    per_cell = table.per_token[pair] * cell
    for i in range(CELLS):
        space.work[0, i] = space.backlog[FULL, i]
    fourier(space.work[0], space.work[1], False)
    for k in range(HALF):
        space.work[0, k] = space.work[1, k] * space.transform[k]
    probabilities_of(space.work[0], space.work[2], space.ahead)
    ahead = space.ahead
    if tagged:
        for k in range(HALF):
            space.work[0, k] = space.work[1, k] * space.own_transform[k]
        ahead = np.zeros(CELLS)
        probabilities_of(space.work[0], space.work[2], ahead)
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
def alone_delay(
    table: PairTable,
    pair: int,
    cell: float,
    prompts: FloatArray,
    shares: FloatArray,
    space: Space,
) -> float:
    """Write the delay of those who find the replica idle: their own prompt; return its mean."""
    room = room_beside(table, pair, 0.0)
    below, sums = 0.0, 0.0
    for i in range(CELLS):
        whole = max(np.ceil(i * cell / room - 1e-9), 1.0)
        value = whole * table.base[pair] + table.per_token[pair] * i * cell
        below += space.own[i]
        sums += space.own[i] * value
        space.idle_values[i], space.idle_below[i], space.idle_sums[i] = value, below, sums
    mean, share = 0.0, 0.0
    for j in range(prompts.size):
        whole = max(np.ceil(prompts[j] / room - 1e-9), 1.0)
        mean += shares[j] * (whole * table.base[pair] + table.per_token[pair] * prompts[j])
        share += shares[j]
    return mean / share


@compiled
def further_chunks(
    table: PairTable, pair: int, present: float, prompts: FloatArray, shares: FloatArray
) -> float:
    """Return the mean iterations of a prompt's prefill after the first."""
    room = room_beside(table, pair, present)
    more = 0.0
    for j in range(prompts.size):
        more += shares[j] * (max(np.ceil(prompts[j] / room - 1e-9), 1.0) - 1.0)
    return more
