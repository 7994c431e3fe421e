"""Pairs of service and performance entry in the words of the queue models, many at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.load_lengths import lengths_of
from optimizer.fleet.request_mix import RequestMix
from optimizer.fleet.timing_margins import TimingMargins
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.model import IterationTableSpec, PerformanceSpec
from queue_models import (
    IterationTiming,
    Lengths,
    PrefillDecodeTiming,
    QueueModel,
    Role,
    Routing,
    ServiceProcess,
    Statistic,
    TableTiming,
    TaggedRequests,
    Timing,
)

__all__ = ["PairProcesses"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_Axes = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]

_NO_CLOCK = -1
# As the queue models have it where nothing is said.
_CHUNK_TOKENS = 8192


class PairProcesses:
    """Turns (service, performance entry, batch) rows into `ServiceProcess` arrays.

    Parameters
    ----------
    spec, model
        The fleet, and who is asked.
    mixes
        Where every service shares replicas with others: what these serve, per service; latencies
        are then those of the service's own requests among them.

    Attributes
    ----------
    clock
        (entries,): the timing of each performance entry, as an index into those that the model
        knows; -1 where it knows none.
    has_queue
        (services,): whether the queue of a replica is limited.
    replicas_matter
        (services,): whether what one replica carries depends on how many there are. It does not
        where requests are spread at random and arrive as a Poisson process: every replica then
        sees a Poisson process too.
    """

    def __init__(
        self, spec: FleetSpec, model: QueueModel, mixes: Sequence[RequestMix] | None = None
    ) -> None:
        loads = [service.load for service in spec.services]
        self._input, self._output = (
            lengths_of(loads, name) for name in ("input_tokens", "output_tokens")
        )
        self._arrival_scv = np.array([load.arrival_scv for load in loads], dtype=np.float64)
        self._prefix_hit_rate = np.array([load.prefix_hit_rate for load in loads], dtype=np.float64)
        self._covariance = np.zeros(len(loads))
        self._tagged: TaggedRequests | None = None
        if mixes is not None:
            self._serve_mixes(mixes)
        self._queue = np.array(
            [np.nan if s.max_queue is None else s.max_queue for s in spec.services],
            dtype=np.float64,
        )
        self.has_queue: BoolArray = np.isfinite(self._queue)
        self._routing = np.array(
            [Routing[service.routing.name] for service in spec.services], dtype=np.int8
        )
        spread: BoolArray = self._routing != Routing.RANDOM
        self.replicas_matter: BoolArray = spread | (self._arrival_scv != 1.0)
        self._engine = _engines(spec.performance)
        self._clocks, self.clock, self._place = _clocks(spec.performance, model)
        self._margins = TimingMargins.of(spec)

    def _serve_mixes(self, mixes: Sequence[RequestMix]) -> None:
        """Let every service's requests be tagged ones among those of a mix."""
        self._tagged = TaggedRequests(self._input, self._output, self._prefix_hit_rate)
        if mixes:
            self._input = Lengths.stack([mix.input_tokens for mix in mixes])
            self._output = Lengths.stack([mix.output_tokens for mix in mixes])
        self._covariance = np.array([mix.length_covariance for mix in mixes])
        self._arrival_scv = np.array([mix.arrival_scv for mix in mixes])
        self._prefix_hit_rate = np.array([mix.prefix_hit_rate for mix in mixes])

    def process(
        self,
        clock: int,
        service: IntArray,
        performance: IntArray,
        max_batch: IntArray,
        replicas: IntArray | None = None,
        prefix_hit_rate: FloatArray | None = None,
        role: Role = Role.AGGREGATED,
    ) -> ServiceProcess:
        """Return the process of these rows, which share a timing; of single replicas by default.

        Prefix hit rates are those of the services where no others are given. Times that are known
        with a stated uncertainty are slower by the fleet's confidence.
        """
        queue = self._queue[service]
        prompts, outputs = self._input.take(service), self._output.take(service)
        timing = self._clocks[clock].take(self._place[performance])
        if self._margins is not None:
            work = prompts.mean, outputs.mean, np.asarray(max_batch, dtype=np.float64)
            timing = self._margins.slowed(timing, performance, *work)
        return ServiceProcess(
            timing,
            prompts,
            outputs,
            max_batch,
            queue_capacity=None if np.isnan(queue).any() else queue,
            replicas=1 if replicas is None else replicas,
            routing=self._routing[service],
            arrival_scv=self._arrival_scv[service],
            prefix_hit_rate=self._prefix_hit_rate[service]
            if prefix_hit_rate is None
            else prefix_hit_rate,
            role=role,
            length_covariance=self._covariance[service],
            tagged=None if self._tagged is None else self._tagged.take(service),
            **{name: values[performance] for name, values in self._engine.items()},
        )

    def batches(
        self,
        rows: IntArray,
        service: IntArray,
        performance: IntArray,
        bounds: Mapping[Statistic, FloatArray],
    ) -> Iterator[tuple[IntArray, int, tuple[Statistic, ...]]]:
        """Split rows that have a timing into calls that share it, queue rule and statistics.

        Parameters
        ----------
        rows
            Rows of the arrays `service` and `performance` that are asked about.
        bounds
            Per statistic, (services,) upper bounds; `inf` where a service has none.

        Yields
        ------
        tuple
            Rows of a call, their clock for `process`, and the statistics that they bound.
        """
        keys = np.column_stack(
            [self.clock[performance[rows]], self.has_queue[service[rows]]]
            + [np.isfinite(bound)[service[rows]] for bound in bounds.values()]
        )
        distinct, member = np.unique(keys, axis=0, return_inverse=True)
        for call, (clock, _, *bounded) in enumerate(distinct.tolist()):
            chosen = rows[member.ravel() == call]
            yield chosen, clock, tuple(s for s, b in zip(bounds, bounded, strict=True) if b)


def _engines(performance: Sequence[PerformanceSpec]) -> dict[str, FloatArray]:
    """Return per entry what the engine is set to; one row where there is none."""
    drafts = [entry.speculative_decoding for entry in performance]
    values: dict[str, list[float]] = {
        "chunk_tokens": [entry.chunk_tokens or _CHUNK_TOKENS for entry in performance],
        "kv_capacity_tokens": [entry.kv_capacity_tokens or np.inf for entry in performance],
        "draft_tokens": [0.0 if draft is None else draft.draft_tokens for draft in drafts],
        "acceptance_rate": [0.0 if draft is None else draft.acceptance_rate for draft in drafts],
    }
    return {name: np.array(column or [0.0], dtype=np.float64) for name, column in values.items()}


def _clocks(
    performance: Sequence[PerformanceSpec], model: QueueModel
) -> tuple[list[Timing], IntArray, IntArray]:
    """Return the timings that the model knows, and for each entry which one and where in it.

    Of those that an entry has, a table goes before linear times by iteration, and these before
    times by phase. Tables with the same axes are one timing.
    """
    clocks: list[Timing] = []
    clock = np.full(max(len(performance), 1), _NO_CLOCK, dtype=np.int64)
    place = np.zeros_like(clock)

    def add(timing: Timing, entries: Sequence[int]) -> None:
        clock[list(entries)] = len(clocks)
        place[list(entries)] = np.arange(len(entries))
        clocks.append(timing)

    linear: tuple[tuple[type[PrefillDecodeTiming] | type[IterationTiming], str], ...] = (
        (PrefillDecodeTiming, "prefill_decode"),
        (IterationTiming, "iteration"),
    )
    for kind, attribute in linear:
        timings = {i: getattr(entry, attribute) for i, entry in enumerate(performance)}
        given = {i: timing for i, timing in timings.items() if timing is not None}
        if kind in model.timings and given:
            columns = ([getattr(t, f.name) for t in given.values()] for f in fields(kind))
            add(kind(*columns), list(given))
    if TableTiming in model.timings:
        for axes, tables in _tables_by_axes(performance).items():
            add(TableTiming(*axes, [t.time_ms for t in tables.values()]), list(tables))
    return clocks, clock, place


def _tables_by_axes(
    performance: Sequence[PerformanceSpec],
) -> dict[_Axes, dict[int, IterationTableSpec]]:
    tables: dict[_Axes, dict[int, IterationTableSpec]] = {}
    for index, entry in enumerate(performance):
        table = entry.iteration_table
        if table is not None:
            axes = (table.decode_tokens, table.prefill_tokens, table.kv_tokens)
            tables.setdefault(axes, {})[index] = table
    return tables
