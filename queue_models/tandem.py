"""Disaggregated serving: replicas that prefill, transfer of the KV cache, replicas that decode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import BoolArray, FloatArray, IntArray, checked_array
from queue_models.base import Metric, QueueMetrics, QueueModel, Statistic, Targets
from queue_models.errors import OutsideValidityError, ServiceProcessError
from queue_models.process import Role, ServiceProcess, checked_arrival_rate
from queue_models.quantile_mixture import mixture_quantile_of, tail_grid
from queue_models.rate_search import largest_rate

__all__ = ["Tandem", "TandemMetrics", "evaluate_tandem", "tandem_max_rate"]

# Sizing offers no more than this share of the smaller pool's capacity.
_HIGHEST_LOAD = 1.0 - 1e-6
# Points in place of a distribution where two are added, and how their parts narrow upwards.
_POINTS, _TAIL_POWER = 64, 3.0


@dataclass(frozen=True, eq=False)
class Tandem:
    """Two pools that serve one kind of requests, or many such pairs; arrays broadcast to `shape`.

    Parameters
    ----------
    prefill
        One replica of the first pool; its role must be PREFILL.
    decode
        One replica of the second pool; its role must be DECODE, its lengths those of `prefill`.
    transfer_ms
        Time from the first token until the prompt's KV cache has reached the second pool, >= 0.
    prefill_replicas, decode_replicas
        Replicas in the pools, whole numbers >= 1.

    Raises
    ------
    ServiceProcessError
        If a role is another, a number is out of range, or shapes do not broadcast.
    """

    prefill: ServiceProcess
    decode: ServiceProcess
    transfer_ms: FloatArray
    prefill_replicas: FloatArray
    decode_replicas: FloatArray

    def __init__(
        self,
        prefill: ServiceProcess,
        decode: ServiceProcess,
        transfer_ms: ArrayLike,
        *,
        prefill_replicas: ArrayLike = 1,
        decode_replicas: ArrayLike = 1,
    ) -> None:
        for name, process, role in (
            ("prefill", prefill, Role.PREFILL),
            ("decode", decode, Role.DECODE),
        ):
            if np.any(process.role != role):
                raise ServiceProcessError(f"Tandem.{name}: every pair's role must be {role.name}")
            object.__setattr__(self, name, process)
        for name, value, least, whole in (
            ("transfer_ms", transfer_ms, 0.0, False),
            ("prefill_replicas", prefill_replicas, 1.0, True),
            ("decode_replicas", decode_replicas, 1.0, True),
        ):
            array = checked_array("Tandem", name, value, least, whole=whole)
            object.__setattr__(self, name, array)
        shapes = (prefill.shape, decode.shape, *(a.shape for a in self._numbers()))
        try:
            np.broadcast_shapes(*shapes)
        except ValueError as error:
            raise ServiceProcessError(f"Tandem: shapes do not broadcast: {shapes}") from error

    def _numbers(self) -> tuple[FloatArray, ...]:
        return self.transfer_ms, self.prefill_replicas, self.decode_replicas

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape that everything broadcasts to."""
        numbers = (array.shape for array in self._numbers())
        return np.broadcast_shapes(self.prefill.shape, self.decode.shape, *numbers)


@dataclass(frozen=True, eq=False, kw_only=True)
class TandemMetrics:
    """What requests see of both pools together, and what each pool does.

    Attributes
    ----------
    stable
        Whether both pools have a steady state.
    throughput_rps
        Requests per second that leave the second pool.
    ttft_ms, itl_ms, tpot_ms, e2e_ms
        Means. The first gap between tokens holds the transfer and the wait in the second pool.
    percentiles
        Those asked for.
    prefill, decode
        The pools, per replica.
    """

    stable: BoolArray
    throughput_rps: FloatArray
    ttft_ms: FloatArray
    itl_ms: FloatArray
    tpot_ms: FloatArray
    e2e_ms: FloatArray
    percentiles: dict[Statistic, FloatArray]
    prefill: QueueMetrics
    decode: QueueMetrics

    def value(self, statistic: Statistic) -> FloatArray:
        """Return the array of a statistic."""
        if statistic.percentile is not None:
            return self.percentiles[statistic]
        mean: FloatArray = getattr(self, str(statistic.metric))
        return mean


def evaluate_tandem(
    model: QueueModel,
    tandem: Tandem,
    arrival_rate_rps: ArrayLike,
    statistics: Sequence[Statistic] = (),
) -> TandemMetrics:
    """Evaluate both pools at a rate offered to the whole, spread evenly over each pool.

    Parameters
    ----------
    model
        A model that knows the roles.
    tandem
        The pools.
    arrival_rate_rps
        Requests per second in all, >= 0; broadcasts with the tandem.
    statistics
        Percentiles wanted beside the means: of TTFT, ITL and E2E.

    Raises
    ------
    OutsideValidityError
        If the model refuses a pool, or a percentile is of a metric other than these.
    ServiceProcessError
        If a rate is negative, NaN or infinite.

    Notes
    -----
    The second pool is taken to see arrivals as its process says, Poisson by default: departures of
    the first are no burstier than its arrivals [1]_. Waits in the pools are taken as independent;
    percentiles of E2E are those of a sum of independent times, those of ITL those of a mixture, in
    which one gap of a request's Lo - 1 is the first.

    References
    ----------
    .. [1] Burke, P. J. (1956). The output of a queuing system. Operations Research 4 (M/M/c, where
       departures are Poisson).
    """
    _refuse_unknown(statistics)
    rate = checked_arrival_rate(arrival_rate_rps, tandem.shape)
    asked = tuple(s for s in statistics if s.percentile is not None)
    of_pools = [_needed(statistic) for statistic in asked]
    first = model.evaluate(
        tandem.prefill,
        rate / tandem.prefill_replicas,
        tuple(dict.fromkeys(s for needed, _ in of_pools for s in needed)),
    )
    second = model.evaluate(
        tandem.decode,
        rate / tandem.decode_replicas,
        tuple(dict.fromkeys(s for _, needed in of_pools for s in needed)),
    )
    gaps = np.broadcast_to(np.maximum(tandem.decode.output_tokens - 1.0, 1.0), rate.shape)
    after_first = tandem.transfer_ms + second.e2e_ms
    first_gap = tandem.transfer_ms + second.ttft_ms
    found = {statistic: _percentile(statistic, tandem, first, second, gaps) for statistic in asked}
    return TandemMetrics(
        stable=np.logical_and(first.stable, second.stable),
        throughput_rps=second.throughput_rps * tandem.decode_replicas,
        ttft_ms=first.ttft_ms,
        itl_ms=first_gap / gaps + second.itl_ms * (1.0 - 1.0 / gaps),
        tpot_ms=after_first / gaps,
        e2e_ms=first.ttft_ms + after_first,
        percentiles=found,
        prefill=first,
        decode=second,
    )


def tandem_max_rate(model: QueueModel, tandem: Tandem, targets: Targets) -> FloatArray:
    """Return the largest rate that the whole carries with every target held, of the tandem's shape.

    Parameters
    ----------
    model
        A model that knows the roles.
    tandem
        The pools.
    targets
        Upper bounds, as of `evaluate_tandem`.

    Returns
    -------
    FloatArray
        Requests per second; 0 where no rate holds the targets.

    Raises
    ------
    OutsideValidityError
        If the model refuses a pool or a target.
    """
    _refuse_unknown(targets.statistics)
    capacity = _capacity(model, tandem)
    bounds = [np.broadcast_to(target.bound, tandem.shape).ravel() for target in targets.targets]

    def excess(pairs: IntArray, rate: FloatArray) -> FloatArray:
        full = np.zeros(capacity.size)
        full[pairs] = rate
        metrics = evaluate_tandem(model, tandem, full.reshape(tandem.shape), targets.statistics)
        worst = np.full(len(pairs), -np.inf)
        for statistic, bound in zip(targets.statistics, bounds, strict=True):
            value = metrics.value(statistic).ravel()[pairs]
            with np.errstate(divide="ignore"):
                worst = np.maximum(worst, np.log(value / bound[pairs]))
        return worst

    highest = _HIGHEST_LOAD * capacity
    if not bounds:
        return highest.reshape(tandem.shape)
    rate = largest_rate(excess, np.zeros(capacity.size), highest, capacity)
    return rate.reshape(tandem.shape)


def _capacity(model: QueueModel, tandem: Tandem) -> FloatArray:
    """Return the smaller capacity of the two pools, flattened [requests/s]."""
    first = model.max_rate(tandem.prefill, Targets()) * tandem.prefill_replicas
    second = model.max_rate(tandem.decode, Targets()) * tandem.decode_replicas
    return np.broadcast_to(np.minimum(first, second), tandem.shape).ravel()


def _refuse_unknown(statistics: Sequence[Statistic]) -> None:
    known = (Metric.TTFT, Metric.ITL, Metric.E2E)
    for statistic in statistics:
        if statistic.metric is Metric.WAIT:
            raise OutsideValidityError(
                "tandem: a request waits in both pools; ask the pools for wait_ms"
            )
        if statistic.percentile is not None and statistic.metric not in known:
            raise OutsideValidityError(f"tandem: {statistic} is not known, only its mean is")


def _needed(statistic: Statistic) -> tuple[tuple[Statistic, ...], tuple[Statistic, ...]]:
    """Return what to ask of the first and of the second pool."""
    assert statistic.percentile is not None
    if statistic.metric is Metric.TTFT:
        return (statistic,), ()
    if statistic.metric is Metric.ITL:
        shares = tail_grid(1.0 - statistic.percentile / 100.0)
        return (), tuple(_at(m, s) for m in (Metric.TTFT, Metric.ITL) for s in shares)
    shares, _ = _parts()
    return tuple(_at(Metric.TTFT, s) for s in shares), tuple(_at(Metric.E2E, s) for s in shares)


def _at(metric: Metric, share: float) -> Statistic:
    return Statistic(metric, 100.0 * (1.0 - share))


def _parts() -> tuple[FloatArray, FloatArray]:
    """Return shares above points that stand for parts of a distribution, and the parts' weights.

    Parts grow finer towards the upper tail, whose percentiles are asked for.
    """
    edges = (1.0 - np.arange(_POINTS + 1) / _POINTS) ** _TAIL_POWER
    return 0.5 * (edges[:-1] + edges[1:]), edges[:-1] - edges[1:]


def _percentile(
    statistic: Statistic,
    tandem: Tandem,
    first: QueueMetrics,
    second: QueueMetrics,
    gaps: FloatArray,
) -> FloatArray:
    assert statistic.percentile is not None
    if statistic.metric is Metric.TTFT:
        return first.percentiles[statistic]
    share = 1.0 - statistic.percentile / 100.0
    if statistic.metric is Metric.ITL:
        grid = tail_grid(share)
        first_gap = _table(second, Metric.TTFT, grid) + tandem.transfer_ms
        parts = np.stack([first_gap, _table(second, Metric.ITL, grid)], axis=1)
        return _where_finite(
            parts,
            lambda finite: mixture_quantile_of(
                finite, grid, np.stack([1.0 / gaps, 1.0 - 1.0 / gaps]), share
            ),
        )
    shares, _ = _parts()
    tables = np.stack([_table(first, Metric.TTFT, shares), _table(second, Metric.E2E, shares)])
    sums = _where_finite(tables, lambda finite: _quantile_of_sum(finite[0], finite[1], share))
    return sums + tandem.transfer_ms


def _table(metrics: QueueMetrics, metric: Metric, shares: FloatArray) -> FloatArray:
    return np.stack([metrics.percentiles[_at(metric, share)] for share in shares])


def _where_finite(table: FloatArray, answer: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Return the answer, `inf` for pairs (the axes that are left) with an infinite entry."""
    found = answer(np.where(np.isinf(table), 0.0, table))
    endless = np.isinf(table).any(axis=tuple(range(table.ndim - found.ndim)))
    return np.where(endless, np.inf, found)


def _quantile_of_sum(first: FloatArray, second: FloatArray, share: float) -> FloatArray:
    """Return what the sum of two independent times exceeds with this probability.

    Parameters
    ----------
    first, second
        Their quantiles at the shares of `_parts`, (N, ...).
    share
        In (0, 1).
    """
    _, weights = _parts()
    shape = first.shape[1:]
    sums = (first[:, None] + second[None, :]).reshape(len(weights) ** 2, -1)
    masses = np.outer(weights, weights).ravel()
    order = np.argsort(sums, axis=0)
    ordered = np.take_along_axis(sums, order, axis=0)
    # Mass up to the middle of each point, at which the sum's distribution is read.
    below = np.cumsum(masses[order], axis=0) - 0.5 * masses[order]
    found = [
        np.interp(1.0 - share, below[:, pair], ordered[:, pair]) for pair in range(sums.shape[1])
    ]
    return np.array(found).reshape(shape)
