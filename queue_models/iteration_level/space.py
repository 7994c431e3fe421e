"""What a solved point is written to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.iteration_level.backlog import TIMES
from queue_models.iteration_level.first_token import ATOMS, GROUPS
from queue_models.iteration_level.lattice import CELLS, HALF, ComplexArray

__all__ = ["FULL", "LATE", "NODES", "STRATA", "Solution", "Space", "new_space"]

STRATA = (0.0, 0.15, 0.4, 0.65, 0.85, 0.96, 1.0)
"""Strata of the number in service, cumulated: its upper tail decides percentiles."""

NODES = len(STRATA) + 1
"""Numbers in service at which backlogs are computed: none decoding, the strata, a full batch."""

FULL = NODES - 1
"""The node of a full batch."""

LATE = 8
"""Atoms of the delay of those who waited for a slot."""


class Space(NamedTuple):
    """Arrays a solution is written to, used again for every point."""

    states: FloatArray
    found: FloatArray
    present: FloatArray
    weight: FloatArray
    empty: FloatArray
    room: FloatArray
    length: FloatArray
    beyond: FloatArray
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
    ahead: FloatArray
    late_values: FloatArray
    late_shares: FloatArray
    lattice: FloatArray
    own: FloatArray
    of_all: FloatArray
    times: FloatArray
    parts: FloatArray
    transform: ComplexArray
    own_transform: ComplexArray
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
        found=np.zeros(slots + 2),
        present=np.zeros(nodes),
        weight=np.zeros(nodes),
        empty=np.zeros(nodes),
        room=np.zeros(nodes),
        length=np.zeros(nodes),
        beyond=np.zeros(nodes),
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
        ahead=np.zeros(CELLS),
        late_values=np.zeros(LATE),
        late_shares=np.zeros(LATE),
        lattice=np.zeros(CELLS),
        own=np.zeros(CELLS),
        of_all=np.zeros(2),
        times=np.zeros(TIMES),
        parts=np.zeros((4, HALF)),
        transform=np.zeros(CELLS, np.complex128),
        own_transform=np.zeros(CELLS, np.complex128),
        exponents=np.zeros(HALF, np.complex128),
        work=np.zeros((8, CELLS), np.complex128),
    )
