"""Prompt tokens that wait at the start of an iteration, with n requests in service."""

from __future__ import annotations

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.compilation import compiled
from queue_models.iteration_level.arrivals import compound_exponent
from queue_models.iteration_level.lattice import (
    CELLS,
    HALF,
    ComplexArray,
    fourier,
    probabilities_of,
)

__all__ = [
    "TIMES",
    "arrival_exponents",
    "iterate_backlog",
    "start_backlog",
    "tail_beyond",
    "within",
]

TIMES = 16
"""Lengths of an iteration told apart, from no prompt tokens in it to as many as it takes."""

# Load of the prompt queue above which its start is that of this load.
_MOST_START_LOAD = 0.97


@compiled
def arrival_exponents(
    transform: ComplexArray, rate: float, excess: float, exponents: ComplexArray
) -> None:
    """Write the exponents per ms of the tokens that arrive, at every frequency of the lattice."""
    for k in range(HALF):
        exponents[k] = compound_exponent(transform[k], rate, excess)


@compiled
def within(cell: int, room: float) -> float:
    """Return the share of a cell that is not above `room`, in cells: each is one wide."""
    return min(max(room - cell + 0.5, 0.0), 1.0)


@compiled
def tail_beyond(backlog: FloatArray, cell: float, room: float, tail: ComplexArray) -> float:
    """Write what is left of backlogs above `room` once that is done; return their probability."""
    tail[:] = 0.0
    beyond = 0.0
    for i in range(CELLS):
        share = 1.0 - within(i, room / cell)
        if share > 0.0:
            place = max(i - room / cell, 0.0)
            j = int(place)
            tail[j] += share * backlog[i] * (1.0 - (place - j))
            tail[j + 1] += share * backlog[i] * (place - j)
            beyond += share * backlog[i]
    return beyond


@compiled
def start_backlog(
    lattice: FloatArray,
    exponents: ComplexArray,
    quiet_ms: float,
    load: float,
    prompts_per_room: float,
    backlog: FloatArray,
    scratch: ComplexArray,
    transform: ComplexArray,
) -> None:
    """Write a first guess where the chunk budget binds.

    A mixture of what arrives in a mean iteration, `quiet_ms`, and of the workload of a queue that
    serves prompts one by one (Pollaczek and Khinchine: a geometric number of residual prompts); the
    latter is exact in heavy traffic, where iterations alone would take long. Its weight is
    1 - (1 - load)^2, less where many prompts fit into an iteration.
    """
    bounded = min(load, _MOST_START_LOAD)
    residual = scratch
    residual[:] = 0.0
    longer, total = 0.0, 0.0
    for i in range(CELLS - 1, 0, -1):
        longer += lattice[i]
        residual[i - 1] += 0.5 * longer
        residual[i] += 0.5 * longer
        total += longer
    fourier(residual, transform, False)
    weight = 0.0
    if total > 0.0:
        likely = 1.0 - (1.0 - bounded) ** 2
        weight = likely * min(1.0, prompts_per_room) ** (3.0 * (1.0 - bounded))
    for k in range(HALF):
        queue = 0.0j
        if weight > 0.0:
            queue = (1.0 - bounded) / (1.0 - bounded * transform[k] / total)
        transform[k] = weight * queue + (1.0 - weight) * np.exp(-quiet_ms * exponents[k])
    probabilities_of(transform, scratch, backlog)


@compiled
def iterate_backlog(
    arrivals_ms: float,
    empty_ms: float,
    per_cell: float,
    room: float,
    cell: float,
    exponents: ComplexArray,
    steps: int,
    lattice: FloatArray,
    idles: bool,
    backlog: FloatArray,
    times: FloatArray,
    parts: FloatArray,
    work: ComplexArray,
) -> tuple[float, float]:
    """Improve the stationary backlog V by V' = (V - room)+ + A(T(V)), a Lindley recursion.

    T(V) = empty_ms + per_cell min(V, room)/cell is the length of the iteration, A(t) the tokens
    that arrive in t. The lengths are TIMES values between which probabilities are split, so that
    the transform of A is a polynomial in exp(-exponent step), evaluated by Horner's rule. A replica
    that `idles` starts its next iteration with the next prompt alone.

    Returns
    -------
    tuple
        P(V > room), for which iterations are as long as they get, and P(an iteration leaves the
        replica idle); the probabilities of the TIMES values are in `times`, the transforms of what
        arrives in the shortest, per step to the next, in all steps, in rows 0, 1, 4 of `work`, that
        of what is left beyond `room` in row 2.
    """
    reach = cell * (CELLS - 1)
    limit = min(room, reach)
    step_ms = per_cell * limit / cell / (TIMES - 1)
    chunked = room < reach
    first, power, tail, carried, longest = work[0], work[1], work[2], work[3], work[4]
    power_real, power_imag, real, imag = parts[0], parts[1], parts[2], parts[3]
    for k in range(HALF):
        first[k] = np.exp(-exponents[k] * (arrivals_ms if arrivals_ms > 0.0 else empty_ms))
        power[k] = 1.0 if arrivals_ms > 0.0 else np.exp(-exponents[k] * step_ms)
        power_real[k], power_imag[k] = power[k].real, power[k].imag
        longest[k] = power[k] ** (TIMES - 1) if chunked else 0.0j
    beyond, left_idle = 0.0, 0.0
    average = np.zeros(CELLS)
    scale = cell / limit * (TIMES - 1)
    cells = min(int(limit / cell + 0.5) + 1, CELLS)
    for step in range(steps + 1):
        times[:] = 0.0
        for i in range(cells):
            place = min(i * scale, TIMES - 1.0)
            j = min(int(place), TIMES - 2)
            share = backlog[i] * within(i, limit / cell) if chunked else backlog[i]
            times[j] += share * (1.0 - (place - j))
            times[j + 1] += share * (place - j)
        if chunked:
            beyond = tail_beyond(backlog, cell, limit, carried)
            fourier(carried, tail, False)
        if step == steps:
            break
        # In real numbers, frequencies innermost: that is what vector instructions can do.
        real[:], imag[:] = times[TIMES - 1], 0.0
        for j in range(TIMES - 2, -1, -1):
            time = times[j]
            for k in range(HALF):
                turned = real[k] * power_real[k] - imag[k] * power_imag[k] + time
                imag[k] = real[k] * power_imag[k] + imag[k] * power_real[k]
                real[k] = turned
        for k in range(HALF):
            mixture = complex(real[k], imag[k])
            if chunked:
                mixture += tail[k] * longest[k]
            carried[k] = mixture * first[k]
        probabilities_of(carried, work[5], backlog)
        if idles:
            alone = backlog[0]
            backlog[0] = 0.0
            for i in range(CELLS):
                backlog[i] += alone * lattice[i]
            # Prompts of several chunks make steps run in circles: of the later half, the average.
            later = step - steps // 2
            if later == 0:
                average[:] = 0.0
            if later >= 0:
                share = 1.0 / (later + 1.0)
                left_idle += share * (alone - left_idle)
                for i in range(CELLS):
                    average[i] += share * (backlog[i] - average[i])
            if step == steps - 1:
                backlog[:] = average
    return beyond, left_idle
