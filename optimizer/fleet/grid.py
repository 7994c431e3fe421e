"""The grid of candidates before any queue: the configurations and batches a service can try."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.batch_limits import BatchLimits, largest_batches
from optimizer.fleet.candidates import Verdict
from optimizer.fleet.inventory import Inventory
from optimizer.fleet.reuse import Reuse, reuse_options
from optimizer.fleet.stores import stores_of
from optimizer.fleet.weights import weights_gb
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.precision import Precision

__all__ = ["Grid"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Grid:
    """Candidates as indices, with the verdicts that need no queue model.

    See `CandidateTable` for the arrays. A service without load that may scale to zero has the
    single candidate "no accelerator".

    Parameters
    ----------
    max_batch
        The largest that each row may have.
    least_batch, batch_step
        Down to which smaller batches may be tried, and in which steps (0: powers of two);
        `max_batch` itself where it is not to be searched.
    reuse
        What is loaded from a store.
    """

    service: IntArray
    accelerator: IntArray
    performance: IntArray
    max_batch: IntArray
    least_batch: IntArray
    batch_step: IntArray
    verdict: IntArray
    reuse: Reuse

    @classmethod
    def of(
        cls,
        spec: FleetSpec,
        inventory: Inventory,
        rate_rps: FloatArray,
        *,
        search_open: bool = False,
    ) -> Grid:
        """Lay out every (service, accelerator, configuration) of a validated spec.

        Parameters
        ----------
        spec, inventory
            The fleet.
        rate_rps
            (services,), what each is sized for.
        search_open
            Whether batches that a service leaves open may be smaller than the performance entry's.
        """
        service, accelerator, performance = _configurations(spec, rate_rps)
        rows, reuse = _with_stores(spec, service, performance)
        service, accelerator, performance = service[rows], accelerator[rows], performance[rows]
        batch = largest_batches(spec, rate_rps, service, performance)
        batch[performance < 0] = 0
        limits = BatchLimits.of(spec, search_open=search_open)
        batch, least = limits.within(service, performance, batch)
        fits = least <= batch
        repeats, batches, searched = limits.listed(service, batch, least)
        grid = cls(
            service=np.repeat(service, repeats),
            accelerator=np.repeat(accelerator, repeats),
            performance=np.repeat(performance, repeats),
            max_batch=batches,
            least_batch=np.where(searched, np.repeat(least, repeats), batches),
            batch_step=limits.step[np.repeat(service, repeats)],
            verdict=np.where(np.repeat(fits, repeats), Verdict.POSSIBLE, Verdict.BATCH).astype(
                np.int64
            ),
            reuse=reuse.take(np.repeat(np.arange(len(service)), repeats)),
        )
        grid._rule_out(spec, inventory)
        return grid

    def take(self, rows: IntArray, max_batch: IntArray) -> Grid:
        """Return some rows with other batches, which are not searched further."""
        return Grid(
            service=self.service[rows],
            accelerator=self.accelerator[rows],
            performance=self.performance[rows],
            max_batch=max_batch,
            least_batch=max_batch,
            batch_step=self.batch_step[rows],
            verdict=np.full(len(rows), int(Verdict.POSSIBLE), dtype=np.int64),
            reuse=self.reuse.take(rows),
        )

    def _rule_out(self, spec: FleetSpec, inventory: Inventory) -> None:
        """Write the verdicts, the more fundamental last so that it is the one reported."""
        placed = self.accelerator >= 0
        weights, memory = _replica_sizes(spec, inventory)
        known = placed & (self.performance >= 0)
        rows = np.flatnonzero(known)
        entry = self.performance[rows]
        with np.errstate(invalid="ignore"):
            too_large = weights[entry] > memory[entry]
        self.verdict[rows[too_large]] = Verdict.WEIGHTS
        self.verdict[_overfull(spec, self.reuse)] = Verdict.STORE
        allowed = _allowed_precisions(spec)
        if allowed is not None:
            self.verdict[rows[~allowed[self.service[rows], entry]]] = Verdict.PRECISION
        names = {name: index for index, name in enumerate(inventory.names)}
        pinned = np.array(
            [-1 if s.accelerator is None else names[s.accelerator] for s in spec.services],
            dtype=np.int64,
        )[self.service]
        self.verdict[placed & (pinned >= 0) & (pinned != self.accelerator)] = Verdict.PINNED
        self.verdict[placed & (self.performance < 0)] = Verdict.NO_PERFORMANCE


def _configurations(spec: FleetSpec, rate_rps: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """Return service, accelerator and performance entry of each row, -1 for none."""
    models = {entry.name: index for index, entry in enumerate(spec.models)}
    accelerators = {entry.name: index for index, entry in enumerate(spec.accelerators)}
    entries: list[list[list[int]]] = [[[] for _ in accelerators] for _ in models]
    for position, entry in enumerate(spec.performance):
        entries[models[entry.model]][accelerators[entry.accelerator]].append(position)
    of_model = [
        np.array(
            [(place, row) for place, found in enumerate(own) for row in (found or [-1])],
            dtype=np.int64,
        ).reshape(-1, 2)
        for own in entries
    ]
    nowhere = np.full((1, 2), -1, dtype=np.int64)
    rows = [
        # One row stands for "scaled to zero".
        nowhere if rate_rps[i] == 0 and s.replicas.min == 0 else of_model[models[s.model]]
        for i, s in enumerate(spec.services)
    ]
    service = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
    placed = np.concatenate(rows) if rows else nowhere[:0]
    return service, placed[:, 0], placed[:, 1]


def _with_stores(
    spec: FleetSpec, service: IntArray, performance: IntArray
) -> tuple[IntArray, Reuse]:
    """Return the rows again, those of services that reuse KV caches once for each way to."""
    reuses = np.array([s.kv_reuse is not None for s in spec.services], dtype=np.bool_)
    base, rows = np.arange(len(service)), np.flatnonzero(reuses[service] & (performance >= 0))
    alone = Reuse.none(spec, service)
    if not len(rows) or not spec.stores:
        return base, alone
    row, options = reuse_options(spec, stores_of(spec), service[rows], performance[rows])
    together = np.concatenate([base, rows[row]])
    order = np.argsort(together, kind="stable")
    return together[order], Reuse.concatenate([alone, options]).take(order)


def _overfull(spec: FleetSpec, reuse: Reuse) -> IntArray:
    """Return the rows that keep more than their store holds."""
    holds = np.array([store.device.free_gb or np.inf for store in stores_of(spec)] or [np.inf])
    return np.flatnonzero((reuse.store >= 0) & (reuse.kept_gb > holds[reuse.store]))


def _replica_sizes(spec: FleetSpec, inventory: Inventory) -> tuple[FloatArray, FloatArray]:
    """Return per performance entry the weights and the replica's memory [GB]; NaN if unknown."""
    models = {model.name: model for model in spec.models}
    names = {name: index for index, name in enumerate(inventory.names)}
    known: dict[tuple[str, Precision | None], float | None] = {}
    for entry in spec.performance:
        key = (entry.model, entry.weight_precision)
        if key not in known:
            known[key] = weights_gb(models[entry.model], entry.weight_precision)
    weights = [known[entry.model, entry.weight_precision] for entry in spec.performance]
    memory = [
        inventory.memory_gb[names[entry.accelerator]] * entry.instances
        for entry in spec.performance
    ]
    return (
        np.array([np.nan if w is None else w for w in weights], dtype=np.float64),
        np.array(memory, dtype=np.float64),
    )


def _allowed_precisions(spec: FleetSpec) -> BoolArray | None:
    """Return (services, entries): whether a service's quality allows an entry; None: all do.

    An entry that does not state its precision is allowed only where everything is.
    """
    classes = {entry.name: entry for entry in spec.classes}
    rules = [
        tuple((own.weight_precisions, own.kv_precisions) for own in (s, classes[s.service_class]))
        for s in spec.services
    ]
    if not any(allowed is not None for rule in rules for pair in rule for allowed in pair):
        return None
    masks = {
        rule: np.array(
            [
                all(
                    (weights is None or entry.weight_precision in weights)
                    and (kv is None or entry.kv_precision in kv)
                    for weights, kv in rule
                )
                for entry in spec.performance
            ],
            dtype=np.bool_,
        )
        for rule in set(rules)
    }
    return np.stack([masks[rule] for rule in rules])
