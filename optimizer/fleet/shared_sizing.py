"""Replicas that several services share, sized so that every one's objectives hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.batch_search import search_batches
from optimizer.fleet.candidates import Verdict
from optimizer.fleet.grid import Grid
from optimizer.fleet.inventory import Inventory
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.replica_pools import SharingSet
from optimizer.fleet.request_mix import RequestMix
from optimizer.fleet.targets import ServiceTargets
from optimizer.spec.fleet_spec import FleetSpec

if TYPE_CHECKING:
    from optimizer.fleet.sizing import Sizing

__all__ = ["SharedRows", "mixes_of", "size_shared"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SharedRows:
    """Shared candidates that keep every objective: one row per member of each.

    Parameters
    ----------
    sizing
        The rows' rates, replicas and predictions; each as its member sees the common replicas.
    sharing
        (rows,), set of each row, by index.
    service
        (rows,), the member, as an index into the fleet's services.
    candidate
        (rows,), the same number for the rows of one candidate.
    """

    sizing: Sizing
    sharing: IntArray
    service: IntArray
    candidate: IntArray


def mixes_of(
    spec: FleetSpec, sets: Sequence[SharingSet], rates_rps: FloatArray
) -> tuple[RequestMix, ...]:
    """Return what each set of services asks of its replicas.

    Parameters
    ----------
    rates_rps
        (services,), what each service is sized for.
    """
    return tuple(
        RequestMix.of(
            [spec.services[i].load for i in one.members], [float(rates_rps[i]) for i in one.members]
        )
        for one in sets
    )


def size_shared(
    sizing: Sizing, inventory: Inventory, sets: Sequence[SharingSet]
) -> SharedRows | None:
    """Size the common replicas of every set on every configuration; None where nothing is possible.

    Parameters
    ----------
    sizing
        Of the services by themselves.
    inventory
        The fleet's accelerators.
    sets
        Which services may share.

    Notes
    -----
    Each member is sized by itself as one kind of requests among those of all, which gives it the
    batch that is best for it. With one of these batches all members need so many replicas: the most
    that one of them does. The batch with the fewest is taken, of equal ones the largest.
    """
    views = _views(sizing, inventory, sets)
    sharing = np.repeat(np.arange(len(sets)), [len(one.members) for one in sets])
    member = np.concatenate([np.array(one.members, dtype=np.int64) for one in sets])
    # What the search for the best batch of each member starts from.
    least, most = views.grid.least_batch.copy(), views.grid.max_batch.copy()
    views.size_all()
    search_batches(views)
    # Candidates: one set on one configuration, a row per member.
    of_row = views.grid.service
    keys = np.column_stack([sharing[of_row], views.grid.accelerator, views.grid.performance])
    _, candidate = np.unique(keys, axis=0, return_inverse=True)
    candidate = candidate.ravel()
    may = np.isin(views.grid.verdict, (Verdict.POSSIBLE, Verdict.REPLICAS))
    rows = np.flatnonzero(_everyone(candidate, may)[candidate])
    batch, replicas, rate = _common(views, candidate, rows, least, most)
    found = replicas > 0
    if not found.any():
        return None
    rows, batch, replicas, rate = rows[found], batch[found], replicas[found], rate[found]
    final = views.with_replicas(rows, batch, replicas, rate)
    held = _everyone(candidate[rows], final.grid.verdict == Verdict.POSSIBLE)[candidate[rows]]
    kept = np.flatnonzero(held)
    if not len(kept):
        return None
    _, numbers = np.unique(candidate[rows[kept]], return_inverse=True)
    return SharedRows(
        sizing=final.part(kept),
        sharing=sharing[of_row[rows[kept]]],
        service=member[of_row[rows[kept]]],
        candidate=numbers.ravel(),
    )


def _views(sizing: Sizing, inventory: Inventory, sets: Sequence[SharingSet]) -> Sizing:
    """Return the table of every member of every set, each as a service that gets all requests."""
    spec, targets = sizing.spec, sizing.targets
    member = np.concatenate([np.array(one.members, dtype=np.int64) for one in sets])
    mixes = mixes_of(spec, sets, targets.rate_rps)
    services, own, of_member = [], [], []
    for one, mix in zip(sets, mixes, strict=True):
        members = [spec.services[i] for i in one.members]
        spares = max(service.spares for service in members)
        merged = {"arrival_rate_rps": mix.rate_rps, "prefix_hit_rate": mix.prefix_hit_rate}
        for service in members:
            load = service.load.model_copy(update=merged)
            services.append(service.model_copy(update={"load": load, "spares": spares}))
            own.append(service)
            of_member.append(mix)
    everyone = spec.model_copy(update={"services": tuple(services)})
    alone = spec.model_copy(update={"services": tuple(own)})
    together = ServiceTargets(
        bounds={statistic: bounds[member] for statistic, bounds in targets.bounds.items()},
        rate_rps=np.array([mix.rate_rps for mix in of_member]),
        promised_throughput=targets.promised_throughput[member],
    )
    model = sizing.model
    return dataclasses.replace(
        sizing,
        spec=everyone,
        targets=together,
        grid=Grid.of(everyone, inventory, together.rate_rps, search_open=model.keeps_targets),
        processes=PairProcesses(alone, model, of_member),
        refusals={},
    )


def _common(
    views: Sizing, candidate: IntArray, rows: IntArray, least: IntArray, most: IntArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return batch, replicas (0: none will do) and rate of rows, the first two one per candidate.

    The rate is what one of the replicas carries with the row's own objectives.
    """
    number = candidate[rows]
    size = int(candidate.max(initial=-1)) + 1
    low, high = np.zeros(size, dtype=np.int64), np.full(size, np.iinfo(np.int64).max)
    np.maximum.at(low, number, least[rows])
    np.minimum.at(high, number, most[rows])
    best_batch = np.zeros(size, dtype=np.int64)
    best = np.full(size, np.inf)
    rate = np.zeros(len(rows))
    order = np.argsort(number, kind="stable")
    first = np.searchsorted(number[order], np.arange(size))
    members = np.bincount(number, minlength=size)
    # The batches that are best for a member, one member of every candidate after another.
    for place in range(int(members.max(initial=0))):
        here = np.flatnonzero(members > place)
        batch = np.zeros(size, dtype=np.int64)
        batch[here] = views.grid.max_batch[rows[order[first[here] + place]]]
        batch = np.clip(batch, low, np.maximum(high, low))
        open_ = np.zeros(size, dtype=np.bool_)
        open_[here] = (low <= high)[here] & (batch != best_batch)[here]
        mine = np.flatnonzero(open_[number])
        if not len(mine):
            continue
        trial = views.with_batches(rows[mine], batch[number[mine]])
        sized = trial.grid.verdict == Verdict.POSSIBLE
        needed = np.zeros(size)
        np.maximum.at(needed, number[mine], np.where(sized, trial.replicas, np.inf))
        better = (needed < best) | ((needed == best) & (batch > best_batch))
        better &= open_ & np.isfinite(needed)
        best[better], best_batch[better] = needed[better], batch[better]
        taken = better[number[mine]]
        rate[mine[taken]] = trial.rate[taken]
    replicas = np.where(np.isfinite(best), best, 0.0).astype(np.int64)
    return best_batch[number], replicas[number], rate


def _everyone(candidate: IntArray, holds: BoolArray) -> BoolArray:
    """Return (candidates,), whether something holds for every row of each."""
    rows = np.bincount(candidate)
    return np.asarray(np.bincount(candidate, weights=holds, minlength=len(rows)) == rows)
