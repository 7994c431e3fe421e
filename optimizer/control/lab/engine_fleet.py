"""A fleet of simulated engines: every request, token and batch of it, for small scenarios.

Replicas start, serve and stop as in the fluid fleet; what they do with requests is done by
`optimizer.engine.LiveFleet`, one per variant. Requests that find no replica wait for one. A request
is kept whose own times are within every objective of its service, whatever their statistic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.control.lab.fluid_fleet import FluidFleet, ServiceTick
from optimizer.control.lab.replicas import VariantReplicas
from optimizer.control.lab.service_curves import ServiceCurves
from optimizer.control.lab.traffic import Load
from optimizer.control.spec import Variant
from optimizer.engine import LiveFleet
from optimizer.engine.emulated_replica import replica_of_fleet
from optimizer.engine.traffic import Traffic
from optimizer.spec.fleet_spec import FleetSpec
from queue_models import Metric, Statistic

__all__ = ["EngineFleet"]

FloatArray = NDArray[np.float64]
_MS_PER_S = 1000.0


@dataclass
class _Served:
    """The engines of one variant, and when the requests in them came [ms]."""

    live: LiveFleet
    pace: float
    came_ms: dict[int, float]


class EngineFleet(FluidFleet):
    """The simulated fleet, iteration by iteration; arguments are those of `FluidFleet`."""

    def __init__(
        self,
        fleet: FleetSpec,
        variants: tuple[Variant, ...],
        load_at: Callable[[str, float], Load],
        *,
        seed: int | None,
        start_up_s: float,
        stopping_s: float,
        curves: ServiceCurves | None = None,
    ) -> None:
        super().__init__(
            fleet,
            variants,
            load_at,
            seed=seed,
            start_up_s=start_up_s,
            stopping_s=stopping_s,
            curves=curves,
        )
        self._draw = np.random.default_rng(0 if seed is None else seed)
        self._served: dict[Variant, _Served] = {}
        # Requests that no replica has yet: when they came [ms], and their lengths.
        self._unserved: dict[str, list[tuple[float, Load]]] = {s.name: [] for s in fleet.services}
        self._share = dict.fromkeys(self._unserved, 1.0)

    def lose(self, service: str | None, share: float) -> None:
        """Let a share of the replicas that serve die at once, with what they have."""
        before = {variant: one.ready for variant, one in self._replicas.items()}
        super().lose(service, share)
        for variant, served in self._served.items():
            dead = before[variant] - self._replicas[variant].ready
            for one in served.live.replicas()[: max(dead, 0)]:
                served.live.remove(one.number, drain=False)

    def _advance_service(
        self, service: str, replicas: list[VariantReplicas], dt_s: float
    ) -> ServiceTick:
        load = self._load_at(service, self.now_s)
        begun_ms, ended_ms = _MS_PER_S * self.now_s, _MS_PER_S * (self.now_s + dt_s)
        arrived = int(self._draw.poisson(load.rate_rps * dt_s))
        times = np.sort(self._draw.uniform(begun_ms, ended_ms, arrived))
        self._unserved[service] += [(float(time), load) for time in times]
        slowness = self.slowness.get(service, 1.0)
        for one in replicas:
            if one.ready > 0 or one.variant in self._served:
                self._follow(one, slowness)
        ready = [one for one in replicas if one.ready > 0]
        if ready:
            self._hand_in(service, ready)
        mine = [self._served[one.variant] for one in replicas if one.variant in self._served]
        done = [_Done.of(served, served.live.advance(ended_ms).over) for served in mine]
        bounds = self._curves.of(
            replicas[0].variant, load.input_tokens, load.output_tokens, 1.0
        ).bounds_ms
        over = sum(one.ttft_ms.size for one in done)
        if over:
            self._share[service] = sum(one.kept(bounds) for one in done) / over
        shown = [one for served in mine for one in served.live.metrics()]
        ttft = np.concatenate([one.ttft_ms for one in done]) if done else np.zeros(0)
        itl = np.concatenate([one.itl_ms for one in done]) if done else np.zeros(0)
        return ServiceTick(
            arrived=float(arrived),
            kept=arrived * (self._share[service] if ready else 0.0),
            completed=float(over),
            waiting=float(sum(one.waiting for one in shown) + len(self._unserved[service])),
            running=float(sum(one.running for one in shown)),
            ttft_ms=_mean(ttft),
            itl_ms=_mean(itl),
            load=load,
        )

    def _follow(self, one: VariantReplicas, slowness: float) -> None:
        """Have as many engines as replicas that serve, as slow as they are."""
        served = self._served.get(one.variant)
        if served is None:
            model = next(s.model for s in self.fleet.services if s.name == one.variant.service)
            emulated = replica_of_fleet(self.fleet, model, one.variant.accelerator)
            config = emulated.config
            if one.variant.max_batch is not None:
                config = replace(config, max_num_seqs=one.variant.max_batch)
            live = LiveFleet(config, emulated.timing, replicas=0)
            live.advance(_MS_PER_S * self.now_s)
            served = self._served[one.variant] = _Served(live, 1.0, {})
        if served.live.count() != one.ready:
            served.live.scale_to(one.ready)
        if slowness != 1.0 or served.pace != slowness:
            served.pace = slowness
            for engine in served.live.replicas():
                served.live.slow(engine.number, slowness)

    def _hand_in(self, service: str, ready: list[VariantReplicas]) -> None:
        """Give the requests that wait to variants in proportion to their replicas."""
        counts = np.array([one.ready for one in ready], dtype=np.float64)
        places = self._draw.choice(len(ready), len(self._unserved[service]), p=counts / sum(counts))
        for place, one in enumerate(ready):
            mine = [self._unserved[service][at] for at in np.flatnonzero(places == place)]
            served = self._served[one.variant]
            first = served.live.offer(_traffic(mine, served.live.now_ms, served.live.next_number))
            served.came_ms.update({first + i: came_ms for i, (came_ms, _) in enumerate(mine)})
        self._unserved[service] = []


@dataclass(frozen=True)
class _Done:
    """Times of requests that are over; those that failed took for ever."""

    wait_ms: FloatArray
    ttft_ms: FloatArray
    itl_ms: FloatArray
    e2e_ms: FloatArray

    @classmethod
    def of(cls, served: _Served, over: NDArray[Any]) -> _Done:
        came = np.array([served.came_ms.pop(int(number)) for number in over["id"]])
        came = came.reshape(-1)
        whole = (over["finished"] >= 0) & (over["emitted"] >= over["asked"])
        gaps = np.maximum(over["emitted"] - 1, 1)
        return cls(
            wait_ms=np.where(whole, over["admitted"] - came, math.inf),
            ttft_ms=np.where(whole, over["first"] - came, math.inf),
            itl_ms=np.where(whole, (over["finished"] - over["first"]) / gaps, math.inf),
            e2e_ms=np.where(whole, over["finished"] - came, math.inf),
        )

    def kept(self, bounds: Mapping[Statistic, float]) -> int:
        """Return how many are within every bound."""
        of_metric = {
            Metric.WAIT: self.wait_ms,
            Metric.TTFT: self.ttft_ms,
            Metric.ITL: self.itl_ms,
            Metric.TPOT: self.itl_ms,
            Metric.E2E: self.e2e_ms,
        }
        good = np.isfinite(self.e2e_ms)
        for statistic, bound in bounds.items():
            if statistic.metric in of_metric:
                good &= of_metric[statistic.metric] <= bound
        return int(np.sum(good))


def _traffic(requests: list[tuple[float, Load]], now_ms: float, first: int) -> Traffic:
    """Return requests, each with a content of its own, that come now at the earliest."""
    count = len(requests)
    lengths = np.array([(load.input_tokens, load.output_tokens) for _, load in requests])
    tokens = np.maximum(np.round(lengths.reshape(count, 2)), 1).astype(np.int32)
    return Traffic(
        arrival_ms=np.maximum(np.array([came_ms for came_ms, _ in requests]), now_ms),
        prompt=tokens[:, 0].copy(),
        output=tokens[:, 1].copy(),
        given=np.zeros(count, np.int32),
        priority=np.ones(count, np.int32),
        deadline_ms=np.full(count, math.inf),
        first_ms=np.full(count, -1.0),
        segment_of=np.arange(count + 1),
        keys=np.arange(first + 1, first + count + 1),
        ends=np.full(count, np.iinfo(np.int32).max, np.int32),
    )


def _mean(values: FloatArray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan
