"""Distribution functions of a solved point, and their inverses."""

from __future__ import annotations

from math import erfc

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.compilation import compiled
from queue_models.iteration_level.first_token import GROUPS, mean_until, share_within
from queue_models.iteration_level.lattice import CELLS
from queue_models.iteration_level.nodes import begun_when_full
from queue_models.iteration_level.pair_table import PairTable
from queue_models.iteration_level.slot_wait import truncated_tail, wait_tail
from queue_models.iteration_level.space import FULL, LATE, Solution, Space

__all__ = ["E2E", "ITL", "TPOT", "TTFT", "WAIT", "exceeds", "quantile"]

WAIT, TTFT, ITL, TPOT, E2E = 0, 1, 2, 3, 4

# Bisection of a quantile stops at this relative width.
_PRECISION = 1e-10

# Doublings, and halvings, at most.
_MOST_STEPS = 100

# Nodes and weights of a normal law: three points with its first five moments.
_SPREAD = (-(3.0**0.5), 0.0, 3.0**0.5)
_SPREAD_SHARES = (1.0 / 6.0, 2.0 / 3.0, 1.0 / 6.0)


@compiled
def _slot_tail(table: PairTable, pair: int, solution: Solution, time: float) -> float:
    """Return P(wait for a slot > time), of those who wait."""
    if np.isinf(table.places[pair]):
        return wait_tail(time, solution.wait_mean, solution.wait_limit, solution.stretch)
    return truncated_tail(time, solution.decay, solution.longest)


@compiled
def _ttft_exceeds(
    table: PairTable, pair: int, solution: Solution, space: Space, time: float
) -> float:
    width = max(table.per_token[pair] * solution.cell, 1e-6 * table.base[pair])
    within = solution.idle * share_within(
        space.idle_values, space.idle_below, space.idle_sums, width, time + 0.5 * width
    )
    above = solution.idle - within
    for node in range(FULL):
        for group in range(GROUPS):
            weight = space.weight[node] * space.shares[node, group]
            if weight > 0.0:
                above += weight * (
                    1.0
                    - share_within(
                        space.values[node, group],
                        space.below[node, group],
                        space.sums[node, group],
                        space.running[node, group],
                        time,
                    )
                )
    if solution.waits > 0.0:
        for j in range(LATE):
            if space.late_shares[j] > 0.0:
                tail = _slot_tail(table, pair, solution, time - space.late_values[j])
                above += solution.waits * space.late_shares[j] * tail
    return above


@compiled
def _wait_exceeds(
    table: PairTable, pair: int, solution: Solution, space: Space, time: float
) -> float:
    """As for TTFT, but of the delay only what exceeds a first full iteration counts."""
    above = 0.0
    for node in range(FULL):
        full = space.empty[node] + table.per_token[pair] * space.room[node]
        for group in range(GROUPS):
            weight = space.weight[node] * space.shares[node, group]
            if weight > 0.0:
                values, below = space.values[node, group], space.below[node, group]
                sums, running = space.sums[node, group], space.running[node, group]
                start = mean_until(values, below, sums, full)
                area = mean_until(values, below, sums, full + time) - start
                if time > running:
                    area -= mean_until(values, below, sums, full + time - running) - start
                above += weight * (1.0 - min(area / running, 1.0))
    return above + solution.waits * _slot_tail(table, pair, solution, time)


@compiled
def _length_within(backlog: FloatArray, room_cells: float, place: float) -> float:
    """Return P(min(V, room) <= place) in cells, probabilities spread over a cell but for V = 0."""
    if place < 0.0:
        return 0.0
    if place >= room_cells:
        return 1.0
    if place < 0.5:
        return float(backlog[0])
    cells = int(place + 0.5)
    within = 0.0
    for i in range(min(cells, CELLS)):
        within += backlog[i]
    if cells < CELLS:
        within += backlog[cells] * (place + 0.5 - cells)
    return within


@compiled
def _iteration_exceeds(
    table: PairTable, pair: int, solution: Solution, space: Space, time: float
) -> float:
    """Return the share of tokens whose iteration takes longer."""
    whole = int(np.ceil(table.slots[pair]))
    per_cell = table.per_token[pair] * solution.cell
    above, total, seen, node, edge = 0.0, 0.0, 0.0, 1, 0.0
    strata = 0.0
    for n in range(1, whole):
        strata += space.states[n]
    edge = space.weight[1]
    scale = 0.0
    for j in range(1, FULL):
        scale += space.weight[j]
    scale = scale / strata if strata > 0.0 else 0.0
    for n in range(1, whole + 1):
        if n < whole:
            probability, present = space.states[n], float(n)
            middle = seen + 0.5 * probability * scale
            while node < FULL - 1 and middle > edge:
                node += 1
                edge += space.weight[node]
            seen += probability * scale
            which = node
        else:
            probability, present, which = solution.waits, table.slots[pair], FULL
        if probability < 1e-14:
            continue
        empty = table.base[pair] + table.member[pair] * present
        length = space.length[which] - space.empty[which] + empty
        weight = probability * present / length
        total += weight
        slack = time - empty
        if per_cell <= 0.0:
            within = 1.0 if slack >= 0.0 else 0.0
        elif slack < 0.0:
            within = 0.0
        else:
            room = min(space.room[which] / solution.cell, CELLS - 1.0)
            within = _length_within(space.backlog[which], room, slack / per_cell)
            if which == FULL:
                # Prompts take slots of those who decode: iterations with many give fewer tokens.
                begun = begun_when_full(table, pair, solution.accepted)
                with_prompts = _length_within(space.ahead, room, slack / per_cell)
                within = max(present * within - begun * with_prompts, 0.0) / (present - begun)
        above += weight * (1.0 - within)
    if total <= 0.0:
        return 1.0 if time < table.base[pair] + table.member[pair] else 0.0
    return above / total


@compiled
def _itl_exceeds(
    table: PairTable, pair: int, solution: Solution, space: Space, time: float
) -> float:
    """Return the share of tokens that exceed; e tokens of one iteration take 1/e of it each."""
    drafted = int(table.drafted[pair])
    if table.own_decodes[pair] <= 0.0:
        return 0.0
    if drafted == 0:
        return _iteration_exceeds(table, pair, solution, space, time)
    above, total, chance = 0.0, 0.0, 1.0
    for emitted in range(1, drafted + 2):
        stop = 1.0 - table.acceptance[pair] if emitted <= drafted else 1.0
        weight = emitted * chance * stop
        chance *= table.acceptance[pair]
        if weight > 0.0:
            total += weight
            above += weight * _iteration_exceeds(table, pair, solution, space, time * emitted)
    return above / total


@compiled
def _spread_of_mean(table: PairTable, pair: int, solution: Solution, stay: float) -> float:
    """Return the variance of the mean iteration of a request with so many decode iterations.

    What varies from iteration to iteration averages out as 1/stay; what comes with the number in
    service persists for its relaxation time, stay/(1 - load) iterations of the mean request.
    """
    load = min(solution.accepted / table.capacity[pair], 0.999)
    y = max(stay * (1.0 - load) / table.stay[pair], 1e-6)
    kept = 1.0 - y / 3.0 if y < 1e-3 else 2.0 * (y - 1.0 + np.exp(-y)) / y**2
    return float(solution.fast / max(stay, 1.0) + solution.slow * kept)


@compiled
def _pace_exceeds(
    table: PairTable, pair: int, solution: Solution, variance: float, time: float
) -> float:
    """Return P(mean iteration of a request > time): base and a lognormal of these moments."""
    base = table.base[pair]
    mean = max(solution.decode - base, 1e-9 * base)
    if time <= base:
        return 1.0
    spread = np.log1p(variance / mean**2)
    if spread < 1e-12:
        return 1.0 if time < base + mean else 0.0
    z = (np.log((time - base) / mean) + 0.5 * spread) / np.sqrt(spread)
    return 0.5 * erfc(z / np.sqrt(2.0))


@compiled
def _tpot_exceeds(table: PairTable, pair: int, solution: Solution, time: float) -> float:
    if table.own_decodes[pair] <= 0.0:
        return 0.0
    above, total = 0.0, 0.0
    for j in range(table.own_stays.shape[1]):
        share, stay = table.own_stay_shares[pair, j], table.own_stays[pair, j]
        if share > 0.0 and stay > 0.0:
            variance = _spread_of_mean(table, pair, solution, stay)
            total += share
            above += share * _pace_exceeds(
                table, pair, solution, variance, time * table.gained[pair]
            )
    return above / total


@compiled
def _e2e_exceeds(
    table: PairTable, pair: int, solution: Solution, space: Space, time: float
) -> float:
    """Sum over lengths: TTFT and a normal decode time, taken as independent."""
    above, total = 0.0, 0.0
    for j in range(table.own_stays.shape[1]):
        share, stay = table.own_stay_shares[pair, j], table.own_stays[pair, j]
        if share <= 0.0:
            continue
        total += share
        variance = _spread_of_mean(table, pair, solution, stay) if stay > 0.0 else 0.0
        deviation = stay * np.sqrt(variance)
        for point in range(3):
            decode = stay * solution.decode + _SPREAD[point] * deviation
            decode = max(decode, stay * table.base[pair])
            tail = 1.0
            if time > decode:
                tail = _ttft_exceeds(table, pair, solution, space, time - decode)
            above += share * _SPREAD_SHARES[point] * tail
    return above / total


@compiled
def exceeds(
    table: PairTable, pair: int, solution: Solution, space: Space, metric: int, time: float
) -> float:
    """Return P(metric > time), over accepted requests (over tokens for ITL)."""
    if metric == WAIT:
        return _wait_exceeds(table, pair, solution, space, time)
    if metric == TTFT:
        return _ttft_exceeds(table, pair, solution, space, time)
    if metric == ITL:
        return _itl_exceeds(table, pair, solution, space, time)
    if metric == TPOT:
        return _tpot_exceeds(table, pair, solution, time)
    return _e2e_exceeds(table, pair, solution, space, time)


@compiled
def quantile(
    table: PairTable, pair: int, solution: Solution, space: Space, metric: int, share: float
) -> float:
    """Return the least time that at most 1 - share exceed, by bisection."""
    allowed = 1.0 - share
    if exceeds(table, pair, solution, space, metric, 0.0) <= allowed:
        return 0.0
    low, high = 0.0, solution.ttft + 2.0 * table.base[pair]
    for _ in range(_MOST_STEPS):
        if exceeds(table, pair, solution, space, metric, high) <= allowed:
            break
        low, high = high, 2.0 * high
    for _ in range(_MOST_STEPS):
        if high - low <= _PRECISION * high:
            break
        middle = 0.5 * (low + high)
        if exceeds(table, pair, solution, space, metric, middle) > allowed:
            low = middle
        else:
            high = middle
    return float(high)
