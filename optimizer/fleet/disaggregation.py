"""Prefill and decode in pools of their own: pairs of configurations, and how many of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.reuse import cached_gb
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import Serving
from optimizer.spec.service import ServiceSpec
from queue_models import (
    Metric,
    QueueModel,
    Role,
    Statistic,
    Tandem,
    TandemMetrics,
    Target,
    Targets,
    evaluate_tandem,
    tandem_max_rate,
)

__all__ = ["PoolPairs", "find_pairs", "largest_rate", "may_disaggregate", "transfer_ms"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# A bound counts as kept up to this relative excess.
_MET = 1e-6
_ROUNDING = 1e-9
# Doublings of the replicas that capacity asks for, before giving up.
_DOUBLINGS = 5
# Prefill replicas beyond the fewest that are tried where an objective concerns both pools.
_MORE_PREFILL = 3
# Verdicts of configurations that fit, are allowed and have a timing.
_USABLE = (Verdict.POSSIBLE, Verdict.SLO, Verdict.REPLICAS)
_MS_PER_S = 1000.0


def may_disaggregate(spec: FleetSpec, service: ServiceSpec) -> bool:
    """Whether a service's requests may prefill and decode in different pools."""
    return (service.serving or spec.optimizer.serving) is not Serving.AGGREGATED


def transfer_ms(spec: FleetSpec, service: int, performance: int) -> float:
    """Return how long the KV cache of a mean prompt takes to the decode pool [ms]."""
    link = spec.kv_transfer
    assert link is not None
    own, entry = spec.services[service], spec.performance[performance]
    model = next(model for model in spec.models if model.name == entry.model)
    size = cached_gb(model, entry.kv_precision, own.load.mean_input_tokens)
    return link.latency_ms + _MS_PER_S * size / link.bandwidth_gb_s


@dataclass(frozen=True, eq=False)
class PoolPairs:
    """Prefill and decode pools that serve services together, (pairs,) each.

    Parameters
    ----------
    service
        Index of the service.
    prefill, decode
        Their performance entries.
    prefill_batch, decode_batch
        Their maximum batches.
    prefill_replicas, decode_replicas
        Their replicas.
    """

    table: CandidateTable
    service: IntArray
    prefill: IntArray
    decode: IntArray
    prefill_batch: IntArray
    decode_batch: IntArray
    prefill_replicas: IntArray
    decode_replicas: IntArray

    @property
    def rate_rps(self) -> FloatArray:
        """Load of each pair's service [requests/s]."""
        return self.table.targets.rate_rps[self.service]

    def take(self, rows: IntArray) -> PoolPairs:
        """Return some pairs."""
        return PoolPairs(self.table, *(getattr(self, name)[rows] for name in _COLUMNS))

    def with_replicas(self, prefill: IntArray, decode: IntArray) -> PoolPairs:
        """Return the same pairs with other numbers of replicas."""
        return dataclasses.replace(self, prefill_replicas=prefill, decode_replicas=decode)

    @classmethod
    def concatenate(cls, parts: Sequence[PoolPairs]) -> PoolPairs:
        """Put pairs of one table after one another."""
        columns = ([getattr(part, name) for part in parts] for name in _COLUMNS)
        return cls(parts[0].table, *map(np.concatenate, columns))


_COLUMNS = tuple(f.name for f in fields(PoolPairs) if f.name != "table")


class _Pools:
    """The queue model's answers about pools."""

    def __init__(self, table: CandidateTable, model: QueueModel) -> None:
        self.table, self.model = table, model
        self.processes = PairProcesses(table.spec, model)

    def tandems(self, pairs: PoolPairs) -> Iterator[tuple[IntArray, Tandem, tuple[Statistic, ...]]]:
        """Yield pairs that can be asked about together, without those that the model refuses."""
        table, processes = self.table, self.processes
        second = processes.clock[pairs.decode]
        for clock in np.unique(second).tolist():
            here = np.flatnonzero(second == clock)
            for members, first, statistics in processes.batches(
                here, pairs.service, pairs.prefill, table.targets.bounds
            ):
                matter = processes.replicas_matter[pairs.service[members]]
                halves = []
                for role, of_clock, entry, batch, count in (
                    (Role.PREFILL, first, pairs.prefill, pairs.prefill_batch,
                     pairs.prefill_replicas),
                    (Role.DECODE, clock, pairs.decode, pairs.decode_batch, pairs.decode_replicas),
                ):  # fmt: skip
                    halves.append(
                        processes.process(
                            of_clock,
                            pairs.service[members],
                            entry[members],
                            batch[members],
                            np.where(matter, count[members], 1),
                            role=role,
                        )
                    )
                kept = np.full(len(members), not _unknown(statistics))
                for half, asked in zip(halves, _asked_of_halves(statistics), strict=True):
                    for mask in self.model.refusals(half, asked).values():
                        kept &= ~mask
                taken = np.flatnonzero(kept)
                if not taken.size:
                    continue
                transfer = [
                    transfer_ms(table.spec, int(pairs.service[i]), int(pairs.prefill[i]))
                    for i in members[taken].tolist()
                ]
                tandem = Tandem(
                    halves[0].take(taken),
                    halves[1].take(taken),
                    np.array(transfer),
                    prefill_replicas=pairs.prefill_replicas[members[taken]],
                    decode_replicas=pairs.decode_replicas[members[taken]],
                )
                yield members[taken], tandem, statistics

    def kept(self, pairs: PoolPairs, metrics: frozenset[Metric]) -> BoolArray:
        """Return whether the pairs hold the objectives on these metrics at their load."""
        kept = np.zeros(len(pairs.service), dtype=np.bool_)
        for members, tandem, bounded in self.tandems(pairs):
            statistics = tuple(s for s in bounded if s.metric in metrics)
            found = evaluate_tandem(self.model, tandem, pairs.rate_rps[members], statistics)
            holds = np.array(found.stable if not metrics <= {Metric.TTFT} else found.prefill.stable)
            for statistic in statistics:
                bound = self.table.targets.bounds[statistic][pairs.service[members]]
                holds &= found.value(statistic) <= bound * (1 + _MET)
            kept[members] = holds
        return kept

    def capacities(self, pairs: PoolPairs) -> tuple[FloatArray, FloatArray]:
        """Return what one replica of either pool carries without any objective [requests/s]."""
        first, second = np.zeros(len(pairs.service)), np.zeros(len(pairs.service))
        for members, tandem, _ in self.tandems(pairs):
            first[members] = self.model.max_rate(tandem.prefill, Targets())
            second[members] = self.model.max_rate(tandem.decode, Targets())
        return first, second


def find_pairs(
    table: CandidateTable, model: QueueModel
) -> list[tuple[PoolPairs, TandemMetrics, tuple[Statistic, ...]]]:
    """Return the pairs of pools that keep every objective of services that may disaggregate.

    Parameters
    ----------
    table
        The sized table of candidates that do both.
    model
        The queue model.

    Returns
    -------
    list
        Pairs that were asked about together, what the model predicts for them, and the statistics
        that they bound.

    Notes
    -----
    TTFT is the prefill pool's alone, times between tokens are the decode pool's and the transfer's:
    each pool gets the fewest replicas that keep its own. On each accelerator and KV precision only
    the cheapest prefill pool and the cheapest decode pool of a service are paired further. Where an
    objective concerns both (E2E), each of up to three more prefill replicas is tried with the
    fewest decode replicas that keep it. A pair stands in one pool, zone and region and has one KV
    precision. Of pairs on the same accelerators those that take no fewer replicas of either half
    than another are dropped.
    """
    pools = _Pools(table, model)
    singles = _usable(table)
    if not len(singles.service):
        return []
    first, second = pools.capacities(singles)
    rate, one = singles.rate_rps, np.ones(len(singles.service), dtype=np.int64)
    prefill = _fewest(
        _at_least(rate, first),
        lambda rows, n: pools.kept(
            singles.take(rows).with_replicas(n, one[rows]), frozenset({Metric.TTFT})
        ),
    )
    plenty = np.maximum(prefill, 2 * _at_least(rate, first))
    decode = _fewest(
        _at_least(rate, second),
        lambda rows, n: pools.kept(
            singles.take(rows).with_replicas(plenty[rows], n),
            frozenset({Metric.ITL, Metric.TPOT}),
        ),
    )
    pairs = _paired(singles, prefill, decode)
    pairs = _with_both(pools, pairs)
    answers = []
    for members, tandem, statistics in pools.tandems(pairs):
        mine = pairs.take(members)
        found = evaluate_tandem(model, tandem, mine.rate_rps, statistics)
        answers.append((mine, found, statistics))
    return answers


def largest_rate(table: CandidateTable, model: QueueModel, pair: PoolPairs) -> float:
    """Return the largest rate at which one pair's replicas keep every objective [requests/s]."""
    for _, tandem, statistics in _Pools(table, model).tandems(pair):
        bounds = [Target(s, table.targets.bounds[s][pair.service]) for s in statistics]
        return float(tandem_max_rate(model, tandem, Targets(tuple(bounds)))[0])
    return 0.0


def _usable(table: CandidateTable) -> PoolPairs:
    """Return each configuration of services that may disaggregate, paired with itself."""
    spec = table.spec
    open_ = np.array([may_disaggregate(spec, service) for service in spec.services])
    usable = np.isin(table.verdict, [int(v) for v in _USABLE]) & (table.accelerator >= 0)
    usable &= open_[table.service] & (table.reuse.store < 0)
    rows = np.flatnonzero(usable & (table.targets.rate_rps[table.service] > 0))
    one = np.ones(len(rows), dtype=np.int64)
    entry, batch = table.performance[rows], table.max_batch[rows]
    return PoolPairs(table, table.service[rows], entry, entry, batch, batch, one, one)


def _unknown(statistics: tuple[Statistic, ...]) -> bool:
    """Whether a statistic is not known of two pools together."""
    known = (Metric.TTFT, Metric.ITL, Metric.E2E)
    return any(
        s.metric is Metric.WAIT or (s.percentile is not None and s.metric not in known)
        for s in statistics
    )


def _asked_of_halves(
    statistics: tuple[Statistic, ...],
) -> tuple[tuple[Statistic, ...], tuple[Statistic, ...]]:
    """Return the percentiles that each pool is asked for where both are."""
    tails = [s for s in statistics if s.percentile is not None]
    first = (Metric.TTFT, Metric.E2E)
    return (
        tuple(Statistic(Metric.TTFT, s.percentile) for s in tails if s.metric in first),
        tuple(
            Statistic(metric, s.percentile)
            for s in tails
            if s.metric is not Metric.TTFT
            for metric in ((s.metric,) if s.metric is Metric.E2E else (Metric.TTFT, s.metric))
        ),
    )


def _at_least(rate: FloatArray, capacity: FloatArray) -> IntArray:
    """Return the fewest replicas that carry the load at all; 0 where none does."""
    share = np.divide(rate, capacity, out=np.zeros_like(rate), where=capacity > 0)
    return np.ceil(share * (1 - _ROUNDING)).astype(np.int64)


def _fewest(low: IntArray, holds: Callable[[IntArray, IntArray], BoolArray]) -> IntArray:
    """Return the fewest replicas, from `low` on, at which something holds; 0 where none is found.

    More replicas are taken to hold whatever fewer hold.
    """
    high, below = low.copy(), low - 1
    lacking = np.flatnonzero(low > 0)
    for _ in range(_DOUBLINGS + 1):
        if not lacking.size:
            break
        lacking = lacking[~holds(lacking, high[lacking])]
        below[lacking] = high[lacking]
        high[lacking] *= 2
    high[lacking] = 0
    open_ = np.flatnonzero(high - below > 1)
    while open_.size:
        middle = (below[open_] + high[open_]) // 2
        kept = holds(open_, middle)
        high[open_[kept]], below[open_[~kept]] = middle[kept], middle[~kept]
        open_ = open_[high[open_] - below[open_] > 1]
    return high


def _paired(singles: PoolPairs, prefill: IntArray, decode: IntArray) -> PoolPairs:
    """Pair the cheapest prefill pool with the cheapest decode pool of each two accelerators."""
    spec = singles.table.spec
    pairs: list[tuple[int, int]] = []
    for service in np.unique(singles.service).tolist():
        mine = np.flatnonzero(singles.service == service)
        firsts = _cheapest(singles, mine, prefill[mine])
        seconds = _cheapest(singles, mine, decode[mine])
        pairs += [(p, d) for p in firsts for d in seconds if _reach(singles, p, d)]
    which = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    p, d = which[:, 0], which[:, 1]
    least = np.array([service.replicas.min for service in spec.services])[singles.service[p]]
    return PoolPairs(
        singles.table,
        singles.service[p],
        singles.prefill[p],
        singles.decode[d],
        singles.prefill_batch[p],
        singles.decode_batch[d],
        prefill[p],
        np.maximum(decode[d], least - prefill[p]),
    )


def _cheapest(singles: PoolPairs, rows: IntArray, replicas: IntArray) -> list[int]:
    """Return, for each accelerator and KV precision, the row of the pool with fewest cards."""
    best: dict[tuple[str, str | None], tuple[int, int]] = {}
    for row, count in zip(rows.tolist(), replicas.tolist(), strict=True):
        entry = singles.table.spec.performance[int(singles.prefill[row])]
        key, cards = (entry.accelerator, entry.kv_precision), count * entry.instances
        if count > 0 and (key not in best or cards < best[key][0]):
            best[key] = (cards, row)
    return [row for _, row in best.values()]


def _reach(singles: PoolPairs, prefill: int, decode: int) -> bool:
    """Whether a KV cache can go from one configuration to the other."""
    spec = singles.table.spec
    machines = {machine.name: machine for machine in spec.accelerators}
    entries = [spec.performance[int(singles.prefill[row])] for row in (prefill, decode)]
    places = [machines[entry.accelerator] for entry in entries]
    together = len({(place.pool, place.zone, place.region) for place in places}) == 1
    return together and entries[0].kv_precision == entries[1].kv_precision


def _with_both(pools: _Pools, pairs: PoolPairs) -> PoolPairs:
    """Return the pairs with the replicas that objectives on both pools ask for."""
    everything = frozenset(Metric)
    concerned = _bounds_both(pairs.table)[pairs.service]
    some = np.flatnonzero(concerned)
    broken = some[~pools.kept(pairs.take(some), everything)] if some.size else some
    found = [pairs.take(np.setdiff1d(np.arange(len(pairs.service)), broken))]
    rest = pairs.take(broken)
    fewest = np.full(len(rest.service), np.iinfo(np.int64).max)
    for more in range(_MORE_PREFILL + 1) if len(rest.service) else ():
        prefill = rest.prefill_replicas + more

        def holds(rows: IntArray, n: IntArray, prefill: IntArray = prefill) -> BoolArray:
            return pools.kept(rest.take(rows).with_replicas(prefill[rows], n), everything)

        decode = _fewest(rest.decode_replicas, holds)
        better = np.flatnonzero((decode > 0) & (decode < fewest))
        fewest[better] = decode[better]
        found.append(rest.with_replicas(prefill, decode).take(better))
    return _within(PoolPairs.concatenate(found))


def _bounds_both(table: CandidateTable) -> BoolArray:
    """Return which services have an objective on what both pools take together."""
    concerned = np.zeros(len(table.spec.services), dtype=np.bool_)
    for statistic, bound in table.targets.bounds.items():
        if statistic.metric is Metric.E2E:
            concerned |= np.isfinite(bound)
    return concerned


def _within(pairs: PoolPairs) -> PoolPairs:
    """Leave out what takes more replicas than a service may have."""
    most = np.array(
        [np.inf if s.replicas.max is None else s.replicas.max for s in pairs.table.spec.services]
    )
    spares = np.array([service.spares for service in pairs.table.spec.services])
    total = pairs.prefill_replicas + pairs.decode_replicas + 2 * spares[pairs.service]
    return pairs.take(np.flatnonzero(total <= most[pairs.service]))
