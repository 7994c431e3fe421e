"""What to expect of the parts of a split service: each at the load and lengths routed to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.prediction import Prediction
from optimizer.fleet.processes import PairProcesses
from optimizer.spec.service import ServiceSpec
from queue_models import QueueModel, ServiceProcess, Statistic, Target, Targets
from queue_models import get as get_queue_model

__all__ = ["LengthMoments", "SplitUse", "carried_rates", "kept_rates", "predict_split"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LengthMoments:
    """Mean and squared coefficient of variation of the lengths of what is routed somewhere."""

    mean: float
    scv: float

    @classmethod
    def of(cls, lengths: FloatArray, rates: FloatArray) -> LengthMoments:
        """Mix lengths by their rates, whose sum is positive."""
        weight = rates / rates.sum()
        mean = float(weight @ lengths)
        variance = float(weight @ (lengths - mean) ** 2)
        return cls(mean, variance / mean**2 if mean > 0 else 0.0)


@dataclass(frozen=True, slots=True)
class SplitUse:
    """One candidate in use for a split service.

    Parameters
    ----------
    row
        Row of the candidate table.
    replicas
        Replicas that carry load, >= 1.
    rate_rps
        What is routed to all of them.
    load
        Replicas that this load takes by the rates of its parts, <= `replicas`.
    input_tokens, output_tokens
        Lengths of what is routed here, where they are known apart from the service's own.
    """

    row: int
    replicas: int
    rate_rps: float
    load: float
    input_tokens: LengthMoments | None = None
    output_tokens: LengthMoments | None = None


def predict_split(table: CandidateTable, uses: Sequence[SplitUse]) -> list[Prediction]:
    """Evaluate every use at its own load; unknown where rates were measured, not modelled."""
    predictions = [_measured(use) for use in uses]
    for members, model, process, statistics in _calls(table, uses):
        rates = np.array([uses[i].rate_rps / uses[i].replicas for i in members])
        for i, found in zip(members, _evaluated(model, process, rates, statistics), strict=True):
            predictions[i] = dataclasses.replace(found, admitted_rate_rps=uses[i].rate_rps)
    return predictions


def kept_rates(table: CandidateTable, uses: Sequence[SplitUse]) -> list[float]:
    """Return the largest rate at which one replica of each use keeps every objective.

    Of exactly the mix of lengths that is routed there; +inf where rates were measured.
    """
    kept = [np.inf] * len(uses)
    for members, model, process, statistics in _calls(table, uses):
        services = table.service[[uses[i].row for i in members]]
        bounds = [Target(s, table.targets.bounds[s][services]) for s in statistics]
        rates = model.max_rate(process, Targets(tuple(bounds)))
        for i, rate in zip(members, rates.tolist(), strict=True):
            kept[i] = rate
    return kept


def carried_rates(table: CandidateTable, uses: Sequence[SplitUse]) -> list[float]:
    """Return the largest rate that one replica of each use carries, whatever the latencies.

    0 where rates were measured.
    """
    carried = [0.0] * len(uses)
    for members, model, process, _ in _calls(table, uses):
        for i, rate in zip(members, model.max_rate(process, Targets()).tolist(), strict=True):
            carried[i] = rate
    return carried


def _calls(
    table: CandidateTable, uses: Sequence[SplitUse]
) -> Iterator[tuple[list[int], QueueModel, ServiceProcess, tuple[Statistic, ...]]]:
    """Yield uses that can be asked about together, with their process; refused ones are left out.

    Each use becomes a service of its own, with the lengths that are routed to it.
    """
    known = [i for i, use in enumerate(uses) if table.performance[use.row] >= 0]
    if not known:
        return
    model = get_queue_model(table.queue_model)
    rows = np.array([uses[i].row for i in known])
    mixed = tuple(_with_lengths(table, uses[i]) for i in known)
    processes = PairProcesses(table.spec.model_copy(update={"services": mixed}), model)
    bounds = {s: bound[table.service[rows]] for s, bound in table.targets.bounds.items()}
    here, performance = np.arange(len(known)), table.performance[rows]
    replicas = np.array([uses[i].replicas for i in known])
    timed = here[processes.clock[performance] >= 0]
    for part, clock, statistics in processes.batches(timed, here, performance, bounds):
        process = processes.process(
            clock,
            part,
            performance[part],
            table.max_batch[rows[part]],
            np.where(processes.replicas_matter[part], replicas[part], 1),
        )
        taken = np.ones(len(part), dtype=np.bool_)
        for mask in model.refusals(process, statistics).values():
            taken &= ~mask
        if taken.any():
            members = [known[i] for i in part[taken].tolist()]
            yield members, model, process.take(np.flatnonzero(taken)), statistics


def _with_lengths(table: CandidateTable, use: SplitUse) -> ServiceSpec:
    service = table.spec.services[int(table.service[use.row])]
    if use.input_tokens is None or use.output_tokens is None:
        return service
    lengths = {
        "input_tokens": use.input_tokens.mean,
        "input_tokens_scv": use.input_tokens.scv,
        "output_tokens": use.output_tokens.mean,
        "output_tokens_scv": use.output_tokens.scv,
    }
    return service.model_copy(update={"load": service.load.model_copy(update=lengths)})


def _measured(use: SplitUse) -> Prediction:
    load = use.load / use.replicas
    return Prediction(use.rate_rps, True, load, None, None, None, None, None, {})


def _evaluated(
    model: QueueModel,
    process: ServiceProcess,
    rates: FloatArray,
    statistics: tuple[Statistic, ...],
) -> list[Prediction]:
    """Return the steady state of each process at its rate."""
    metrics = model.evaluate(process, rates, statistics)
    stable = metrics.stable & (rates < model.max_rate(process, Targets()))

    def value(values: FloatArray, i: int) -> float | None:
        return float(values[i]) if stable[i] and np.isfinite(values[i]) else None

    return [
        Prediction(
            admitted_rate_rps=float(rates[i]),
            stable=bool(stable[i]),
            utilization=float(metrics.utilization[i]) if stable[i] else 1.0,
            refused_share=value(metrics.blocking_probability, i),
            queueing_ms=value(metrics.wait_ms, i),
            ttft_ms=value(metrics.ttft_ms, i),
            itl_ms=value(metrics.itl_ms, i),
            e2e_ms=value(metrics.e2e_ms, i),
            values={s: value(metrics.value(s), i) for s in statistics},
        )
        for i in range(len(rates))
    ]
