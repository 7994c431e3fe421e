"""What a replica does at every rate, by the queue model: the physics of the simulated fleet."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from optimizer.control.expected_load import ExpectedLoad, load_with
from optimizer.control.spec import Variant
from optimizer.errors import ModelError
from optimizer.fleet.everyone_served import with_services
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.targets import latency_bound, statistic_of, targets_of
from optimizer.spec.fleet_spec import FleetSpec
from queue_models import Metric, QueueModel, Statistic, Targets
from queue_models import get as get_queue_model

__all__ = ["Curves", "ServiceCurves"]

FloatArray = NDArray[np.float64]

# Shares of the capacity at which the curves are computed: denser where they bend.
_SHARES = np.concatenate([np.linspace(0.0, 0.9, 31)[1:], 1.0 - np.geomspace(0.09, 0.003, 14)])
# Lengths of the simulated fleet come in steps of this ratio.
_STEP = 1.05
_WITH_WAIT = (Metric.WAIT, Metric.TTFT, Metric.E2E)


@dataclass(frozen=True, eq=False)
class Curves:
    """One replica in steady state, from no load to the last rate that it can keep up with.

    Parameters
    ----------
    rate_rps, requests
        (points,), the rate, and the mean number of requests in the replica; both rise from 0.
    waiting
        (points,), of them those that wait.
    latency_ms
        By statistic, (points,).
    bounds_ms
        What the service's objectives ask for.
    """

    rate_rps: FloatArray
    requests: FloatArray
    waiting: FloatArray
    latency_ms: Mapping[Statistic, FloatArray]
    bounds_ms: Mapping[Statistic, float]

    @property
    def capacity_rps(self) -> float:
        """The largest rate of the curves."""
        return float(self.rate_rps[-1])

    def flow_rps(self, requests: float) -> float:
        """Return the rate at which a replica with so many requests completes them."""
        return float(np.interp(requests, self.requests, self.rate_rps))

    def requests_at(self, rate_rps: float) -> float:
        """Return the requests that a replica holds at a rate, in steady state."""
        return float(np.interp(rate_rps, self.rate_rps, self.requests))

    def value_ms(self, statistic: Statistic, rate_rps: float, requests: float) -> float:
        """Return a latency at this flow, with what a backlog beyond the curves adds to waits."""
        value = float(np.interp(rate_rps, self.rate_rps, self.latency_ms[statistic]))
        beyond = requests - float(self.requests[-1])
        if beyond > 0 and statistic.metric in _WITH_WAIT:
            value += 1000.0 * beyond / self.capacity_rps
        return value

    def slower(self, factor: float) -> Curves:
        """Return the curves of a replica whose every time is so many times as long.

        Rates are then so many times lower at the same number of requests.
        """
        if factor == 1.0:
            return self
        return dataclasses.replace(
            self,
            rate_rps=self.rate_rps / factor,
            latency_ms={s: values * factor for s, values in self.latency_ms.items()},
        )

    def keeps(self, rate_rps: float, requests: float) -> bool:
        """Whether every objective holds at this flow with so many requests."""
        return all(
            self.value_ms(statistic, rate_rps, requests) <= bound * (1.0 + 1e-3)
            for statistic, bound in self.bounds_ms.items()
        )


class ServiceCurves:
    """Curves of a fleet's variants, with other lengths and speeds than described."""

    def __init__(self, fleet: FleetSpec, variants: tuple[Variant, ...]) -> None:
        self._fleet = fleet
        self._model = get_queue_model(fleet.optimizer.queue_model)
        self._service = {s.name: s for s in fleet.services}
        self._entry = {(p.model, p.accelerator, p.configuration): p for p in fleet.performance}
        self._known = frozenset(variants)
        self._cached = lru_cache(maxsize=4096)(self._computed)

    def of(self, variant: Variant, prompts: float, outputs: float, slowness: float) -> Curves:
        """Return the curves of a variant.

        Parameters
        ----------
        prompts, outputs
            Mean lengths [tokens].
        slowness
            Factor on every time.
        """
        load = self._service[variant.service].load
        return self._cached(
            variant,
            _steps(prompts / max(load.mean_input_tokens, 1.0)),
            _steps(outputs / load.mean_output_tokens),
        ).slower(slowness)

    def _computed(self, variant: Variant, prompts: int, outputs: int) -> Curves:
        service = self._service[variant.service]
        load = service.load
        other = ExpectedLoad(
            load.arrival_rate_rps,
            load.mean_input_tokens * _STEP**prompts if prompts else None,
            load.mean_output_tokens * _STEP**outputs if outputs else None,
        )
        stretched = service.model_copy(update={"load": load_with(load, other)})
        key = (service.model, variant.accelerator, variant.configuration)
        entry = self._entry[key]
        spec = with_services(self._fleet, [stretched]).model_copy(update={"performance": (entry,)})
        return _curves(spec, self._model, variant.max_batch or entry.max_batch or 1)


def _curves(spec: FleetSpec, model: QueueModel, batch: int) -> Curves:
    """Evaluate the only service of a fleet on its only performance entry."""
    service = spec.services[0]
    of_class = {c.name: c for c in spec.classes}[service.service_class]
    bounds: dict[Statistic, float] = {}
    for target in targets_of(of_class, service.model):
        if not target.metric.is_service_rate:
            statistic = statistic_of(target)
            bounds[statistic] = min(latency_bound(target), bounds.get(statistic, np.inf))
    statistics = tuple(dict.fromkeys((*bounds, Statistic(Metric.TTFT), Statistic(Metric.ITL))))
    processes = PairProcesses(spec, model)
    first = np.zeros(1, dtype=np.int64)
    process = processes.process(int(processes.clock[0]), first, first, np.array([batch]))
    capacity = float(model.max_rate(process, Targets())[0])
    if not np.isfinite(capacity) or capacity <= 0:
        raise ModelError(
            f"queue model '{model.name}' gives {service.name} on {spec.performance[0].accelerator} "
            f"a capacity of {capacity} requests/s: it cannot be simulated"
        )
    rates = capacity * _SHARES
    many = process.take(np.zeros(len(rates), dtype=np.int64))
    metrics = model.evaluate(many, rates, statistics)
    waiting = np.maximum.accumulate(np.nan_to_num(metrics.queue_length, posinf=0.0))
    requests = np.maximum.accumulate(metrics.concurrency + waiting)
    return Curves(
        rate_rps=np.concatenate([[0.0], rates]),
        requests=np.concatenate([[0.0], requests]),
        waiting=np.concatenate([[0.0], waiting]),
        latency_ms={s: _from_zero(np.asarray(metrics.value(s))) for s in statistics},
        bounds_ms=bounds,
    )


def _from_zero(values: FloatArray) -> FloatArray:
    return np.concatenate([values[:1], values])


def _steps(ratio: float) -> int:
    return round(float(np.log(max(ratio, 1e-6)) / np.log(_STEP)))
