"""Generated instances of the classical kind: dense, profits unrelated to consumptions."""

from __future__ import annotations

import numpy as np

from solvers.problem import AllocationProblem

__all__ = ["classical"]


def classical(groups: int, *, seed: int = 0, items: int = 10, rows: int = 10) -> AllocationProblem:
    """Return a dense, uncorrelated MMKP of the sizes and tightness of Khan's instances.

    Parameters
    ----------
    groups, items, rows
        Groups, items per group and capacity rows, each at least 1.
    seed
        Of `numpy.random.default_rng`, >= 0.

    Notes
    -----
    Drawn in this order: consumptions, whole, uniform on 0..9, (rows, groups * items); profits,
    whole, uniform on 1..500; a hidden selection, uniform. Capacity of every row: 5 per group as in
    Khan's I01-I13 [1]_, or the use of the hidden selection where that is more, which makes the
    instance feasible. Cost is minus profit.

    References
    ----------
    .. [1] Khan, S., Li, K. F., Manning, E. G., Akbar, M. M. (2002). Solving the knapsack problem
       for adaptive multimedia systems. *Studia Informatica Universalis* 2(1), 157-178.
    """
    rng = np.random.default_rng(seed)
    usage = rng.integers(0, 10, (rows, groups * items)).astype(np.float64)
    profit = rng.integers(1, 501, groups * items).astype(np.float64)
    hidden = np.arange(groups) * items + rng.integers(0, items, groups)
    capacity = np.maximum(5.0 * groups, usage[:, hidden].sum(axis=1))
    return AllocationProblem(-profit, usage, capacity, np.repeat(np.arange(groups), items))
