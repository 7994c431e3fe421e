"""The grid of candidates before any queue: which accelerators and batches a service can try."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import Verdict
from optimizer.fleet.inventory import Inventory
from optimizer.fleet.weights import weights_gb
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.service import BatchRangeSpec

__all__ = ["Grid"]

# As large as a spec may state one.
_LARGEST_BATCH = 65536

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Grid:
    """Candidates as indices, with the verdicts that need no queue model.

    See `CandidateTable` for the arrays. A service without load that may scale to zero has the
    single candidate "no accelerator".
    """

    service: IntArray
    accelerator: IntArray
    performance: IntArray
    max_batch: IntArray
    verdict: IntArray

    @classmethod
    def of(cls, spec: FleetSpec, inventory: Inventory, rate_rps: FloatArray) -> Grid:
        """Lay out every (service, accelerator, maximum batch) of a validated spec."""
        services, accelerators = len(spec.services), len(spec.accelerators)
        service = np.repeat(np.arange(services), accelerators)
        accelerator = np.tile(np.arange(accelerators), services)
        performance = _performance_index(spec)[service, accelerator]
        idle = np.array(
            [rate_rps[i] == 0 and s.replicas.min == 0 for i, s in enumerate(spec.services)],
            dtype=np.bool_,
        )
        # One row stands for "scaled to zero": the service's first, without an accelerator.
        kept = ~idle[service] | (accelerator == 0)
        service, accelerator, performance = service[kept], accelerator[kept], performance[kept]
        accelerator = np.where(idle[service], -1, accelerator)
        performance = np.where(idle[service], -1, performance)
        batch = _default_batches(spec, rate_rps, service, performance)
        batch[performance < 0] = 0
        repeats, batches, fits = _searched_batches(spec, service, performance, batch)
        grid = cls(
            service=np.repeat(service, repeats),
            accelerator=np.repeat(accelerator, repeats),
            performance=np.repeat(performance, repeats),
            max_batch=batches,
            verdict=np.where(fits, Verdict.POSSIBLE, Verdict.BATCH).astype(np.int64),
        )
        grid._rule_out(spec, inventory)
        return grid

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
        names = {name: index for index, name in enumerate(inventory.names)}
        pinned = np.array(
            [-1 if s.accelerator is None else names[s.accelerator] for s in spec.services],
            dtype=np.int64,
        )[self.service]
        self.verdict[placed & (pinned >= 0) & (pinned != self.accelerator)] = Verdict.PINNED
        self.verdict[placed & (self.performance < 0)] = Verdict.NO_PERFORMANCE


def _performance_index(spec: FleetSpec) -> IntArray:
    """Return (services, accelerators): index of the performance entry, -1 without one."""
    models = {entry.name: index for index, entry in enumerate(spec.models)}
    accelerators = {entry.name: index for index, entry in enumerate(spec.accelerators)}
    index = np.full((len(models), len(accelerators)), -1, dtype=np.int64)
    for position, entry in enumerate(spec.performance):
        index[models[entry.model], accelerators[entry.accelerator]] = position
    return index[[models[service.model] for service in spec.services]]


def _replica_sizes(spec: FleetSpec, inventory: Inventory) -> tuple[FloatArray, FloatArray]:
    """Return per performance entry the weights and the replica's memory [GB]; NaN if unknown."""
    models = {model.name: weights_gb(model) for model in spec.models}
    names = {name: index for index, name in enumerate(inventory.names)}
    weights = [models[entry.model] for entry in spec.performance]
    memory = [
        inventory.memory_gb[names[entry.accelerator]] * entry.instances
        for entry in spec.performance
    ]
    return (
        np.array([np.nan if w is None else w for w in weights], dtype=np.float64),
        np.array(memory, dtype=np.float64),
    )


def _default_batches(
    spec: FleetSpec, rate_rps: FloatArray, service: IntArray, performance: IntArray
) -> IntArray:
    """Maximum batch of each row: the service's own, else the performance entry's.

    An entry's batch measured at a given output length is scaled to the service's mean output
    length, as inferno does (whole tokens, rounded down, at least 1). Without requests there is
    no length to scale to, and the stated batch stands.
    """
    stated = np.array([p.max_batch for p in spec.performance] or [1], dtype=np.int64)
    at_tokens = np.array(
        [p.max_batch_at_output_tokens or np.nan for p in spec.performance] or [np.nan]
    )
    output = np.array([s.load.mean_output_tokens for s in spec.services])
    fixed = np.array([s.max_batch if isinstance(s.max_batch, int) else 0 for s in spec.services])
    with np.errstate(over="ignore"):
        scaled = stated[performance] * at_tokens[performance] / np.floor(output[service])
    scaled = np.minimum(scaled, _LARGEST_BATCH)
    scale = np.isfinite(scaled) & (rate_rps[service] > 0)
    batch = np.where(
        scale, np.maximum(np.floor(np.where(scale, scaled, 1.0)), 1.0), stated[performance]
    )
    return np.where(fixed[service] > 0, fixed[service], batch).astype(np.int64)


def _searched_batches(
    spec: FleetSpec, service: IntArray, performance: IntArray, batch: IntArray
) -> tuple[IntArray, IntArray, NDArray[np.bool_]]:
    """Expand the rows of services that leave their batch to the optimiser.

    Returns how often each row is repeated, and the batch of each repeated row with whether it
    lies in the service's range.
    """
    ranges = {
        index: entry.max_batch
        for index, entry in enumerate(spec.services)
        if isinstance(entry.max_batch, BatchRangeSpec)
    }
    if not ranges:
        return np.ones(len(service), dtype=np.int64), batch, np.ones(len(service), dtype=np.bool_)
    repeats = np.ones(len(service), dtype=np.int64)
    batches: list[int] = []
    fits: list[bool] = []
    for row, (owner, entry, largest) in enumerate(
        zip(service.tolist(), performance.tolist(), batch.tolist(), strict=True)
    ):
        wanted = ranges.get(owner)
        if wanted is None or entry < 0:
            batches.append(largest)
            fits.append(True)
            continue
        tried = _ladder(wanted.min, min(wanted.max, largest))
        repeats[row] = max(len(tried), 1)
        batches.extend(tried or [largest])
        fits.extend([True] * len(tried) or [False])
    return repeats, np.array(batches, dtype=np.int64), np.array(fits, dtype=np.bool_)


def _ladder(low: int, high: int) -> list[int]:
    """Batches to try between two ends: both ends and every power of two between."""
    if high < low:
        return []
    powers = (1 << k for k in range(low.bit_length(), high.bit_length()))
    return sorted({low, high, *(power for power in powers if low < power < high)})
