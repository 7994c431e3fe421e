"""Many points one after another: the door to the compiled functions."""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np

from queue_models.arrays import FloatArray, IntArray
from queue_models.compilation import compiled
from queue_models.iteration_level.occupancy import Responses, responses_of
from queue_models.iteration_level.pair_table import PairTable, pair_table
from queue_models.iteration_level.percentiles import E2E, ITL, TPOT, TTFT, WAIT, exceeds, quantile
from queue_models.iteration_level.point import solve
from queue_models.iteration_level.space import Solution, Space, new_space
from queue_models.process import ServiceProcess

__all__ = ["MEANS", "NO_BOUND", "Pairs", "evaluate_points", "excesses"]

MEANS = 9
"""Columns of means: accepted rate, refused share, every metric; wait and stay of all requests."""

NO_BOUND = 1e300
"""Bound of a target that a pair does not have."""

# Stand-in inside logarithms for a mean or a probability of 0.
_NOTHING = 1e-300


class Pairs(NamedTuple):
    """Everything about pairs that does not depend on the rate."""

    table: PairTable
    responses: Responses

    @classmethod
    def of(cls, service: ServiceProcess) -> Pairs:
        """Return the pairs of a service process, flattened."""
        table = pair_table(service)
        return cls(table, responses_of(table))


def evaluate_points(
    known: Pairs,
    pairs: IntArray,
    rates: FloatArray,
    metrics: IntArray,
    shares: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return means (N, MEANS) and quantiles (N, S) of pairs at offered rates per ms.

    Parameters
    ----------
    known
        All pairs.
    pairs, rates
        Which pair each point is of, and its rate; shape (N,).
    metrics, shares
        Quantiles wanted, shape (S,).
    """
    means = np.zeros((pairs.size, MEANS))
    quantiles = np.zeros((pairs.size, metrics.size))
    if pairs.size:
        space = new_space(int(np.ceil(known.table.slots.max())))
        _evaluate(
            known.table, known.responses, pairs, rates, metrics, shares, space, means, quantiles
        )
    return means, quantiles


def excesses(
    known: Pairs,
    pairs: IntArray,
    rates: FloatArray,
    metrics: IntArray,
    shares: FloatArray,
    bounds: FloatArray,
) -> FloatArray:
    """Return, per point, the largest of ln(mean/bound) and ln(P(metric > bound)/allowed share).

    `shares` is NaN where the mean is bounded; `bounds` has shape (N, S).
    """
    result = np.full(pairs.size, -np.inf)
    if pairs.size:
        space = new_space(int(np.ceil(known.table.slots.max())))
        _excesses(
            known.table, known.responses, pairs, rates, metrics, shares, bounds, space, result
        )
    return result


@compiled
def _mean(table: PairTable, pair: int, solution: Solution, metric: int) -> float:
    if metric == WAIT:
        return solution.wait
    if metric == TTFT:
        return solution.ttft
    if metric in (ITL, TPOT):
        several = table.own_decodes[pair] > 0.0 or table.tagged[pair] == 0.0
        return float(solution.decode / table.gained[pair]) if several else 0.0
    return float(solution.ttft + table.own_decodes[pair] * solution.decode)


@compiled
def _needs_tails(metrics: IntArray, shares: FloatArray) -> bool:
    for j in range(metrics.size):
        if metrics[j] in (WAIT, TTFT, E2E) and not np.isnan(shares[j]):
            return True
    return False


@compiled
def _evaluate(
    table: PairTable,
    responses: Responses,
    pairs: IntArray,
    rates: FloatArray,
    metrics: IntArray,
    shares: FloatArray,
    space: Space,
    means: FloatArray,
    quantiles: FloatArray,
) -> None:
    tails = _needs_tails(metrics, shares)
    for i in range(pairs.size):
        pair = pairs[i]
        solution = solve(table, pair, rates[i], responses, tails, space)
        means[i, 0], means[i, 1] = solution.accepted, solution.refused
        for metric in range(MEANS - 4):
            means[i, 2 + metric] = _mean(table, pair, solution, metric)
        means[i, MEANS - 2], means[i, MEANS - 1] = space.of_all[0], space.of_all[1]
        for j in range(metrics.size):
            quantiles[i, j] = quantile(table, pair, solution, space, metrics[j], shares[j])


@compiled
def _excesses(
    table: PairTable,
    responses: Responses,
    pairs: IntArray,
    rates: FloatArray,
    metrics: IntArray,
    shares: FloatArray,
    bounds: FloatArray,
    space: Space,
    result: FloatArray,
) -> None:
    tails = _needs_tails(metrics, shares)
    for i in range(pairs.size):
        pair = pairs[i]
        solution = solve(table, pair, rates[i], responses, tails, space)
        for j in range(metrics.size):
            if bounds[i, j] >= NO_BOUND:
                continue
            if np.isnan(shares[j]):
                mean = _mean(table, pair, solution, metrics[j])
                excess = log(max(mean, _NOTHING) / bounds[i, j])
            else:
                tail = exceeds(table, pair, solution, space, metrics[j], bounds[i, j])
                excess = log(max(tail, _NOTHING) / (1.0 - shares[j]))
            result[i] = max(result[i], excess)
