"""What is learnt of the replicas' speed while they serve, and when it is planned with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.control.effort import full_batch_ms
from optimizer.control.spec import (
    FleetObservation,
    ReplicaCounts,
    ServiceObservation,
    TuningSpec,
    Variant,
)
from optimizer.performance.tuner import (
    ServingObservation,
    TunedReplica,
    Tuner,
    TunerSettings,
    get,
)
from optimizer.performance.tuner.learnt_entry import learnt_entry
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.model import PerformanceSpec
from optimizer.spec.service import ServiceSpec
from queue_models import IterationTiming, PrefillDecodeTiming, Timing

__all__ = ["Tuning"]

# Replicas that come and go within a window: their number is then known to this share.
_STEADY = 0.2
# What is learnt is used when so many observations agree, and predictions are known to this.
_LEAST_ACCEPTED, _MOST_LOG_SD = 5, 0.25
# Replicas are not thought to be more than so many times faster or slower than described.
_FURTHEST = 5.0
# Factor between standard deviations from which on a coefficient is known otherwise than before.
_OTHERWISE = 1.5

_Figures = tuple[float | None, ...]


@dataclass
class _Watched:
    """What was seen of one service.

    Parameters
    ----------
    ready
        Time and replicas that serve, at every look of a window.
    variant
        That all of them are of.
    taken_s
        When an observation was last told to a tuner.
    figures
        Those of the look before: figures that never change are frozen.
    """

    ready: list[tuple[float, int]] = field(default_factory=list)
    variant: Variant | None = None
    taken_s: float = float("-inf")
    figures: _Figures = ()


class Tuning:
    """Tells tuners what replicas show, and says how fast they are thought to be.

    A window of a service tells something only where all its replicas are of one variant and have
    been as many for the whole of it, where every figure is known and young, and where some figure
    has changed since the look before: what is missing or frozen teaches nothing.

    Parameters
    ----------
    spec
        Which tuner, and from when on what it learns counts.
    fleet
        As described; its entries are what is started from.
    window_s
        Time over which figures are means [s].
    """

    def __init__(self, spec: TuningSpec, fleet: FleetSpec, window_s: float) -> None:
        self._spec, self._window_s = spec, window_s
        self._tuners: dict[Variant, Tuner] = {}
        self._watched: dict[str, _Watched] = {}
        self._used: dict[int, PerformanceSpec] = {}
        self._fleet = fleet
        self.adopt(fleet)

    def adopt(self, fleet: FleetSpec) -> None:
        """Go on with another description of the fleet; replicas described anew are learnt anew."""
        if self._fleet.performance != fleet.performance:
            self._tuners = {}
        self._fleet = fleet
        self._services = {service.name: service for service in fleet.services}
        self._places = {
            (p.model, p.accelerator, p.configuration): place
            for place, p in enumerate(fleet.performance)
        }
        self._used = {}

    def learn(self, seen: FleetObservation, counts: ReplicaCounts) -> None:
        """Tell the tuners what a look at the fleet shows, where it shows something."""
        if self._spec.method is None:
            return
        for service in seen.services:
            if service.service in self._services:
                self._learn(seen.at_s, service, counts)

    def _learn(self, now_s: float, seen: ServiceObservation, counts: ReplicaCounts) -> None:
        watched = self._watched.setdefault(seen.service, _Watched())
        there = [count for count in counts.of(seen.service) if count.ready > 0]
        variant = there[0].variant if len(there) == 1 else None
        if variant is None or variant != watched.variant:
            watched.ready = []
        watched.variant = variant
        figures = (seen.arrival_rate_rps.value, seen.ttft_ms.value, seen.itl_ms.value)
        frozen, watched.figures = figures == watched.figures, figures
        if variant is None:
            return
        watched.ready = [(at, n) for at, n in watched.ready if now_s - at <= self._window_s + 1e-6]
        watched.ready.append((now_s, there[0].ready))
        ready = [count for _, count in watched.ready]
        whole = now_s - watched.ready[0][0] >= self._window_s - 1e-6
        steady = max(ready) - min(ready) <= _STEADY * max(ready)
        due = now_s - watched.taken_s >= self._window_s - 1e-6
        if not (whole and steady and due) or frozen:
            return
        observation = _observation(now_s, seen, sum(ready) / len(ready), there[0].ready)
        tuner = self._tuner(variant)
        if observation is None or tuner is None:
            return
        watched.taken_s = now_s
        tuner.update(observation)

    def entries(self) -> tuple[PerformanceSpec, ...] | None:
        """Return the fleet's performance data with what is learnt; None where nothing is new.

        New is what differs from what was returned last by more than `least_change`, or is known
        much better or worse: plans are made with times that are slower by what is not known.
        """
        found: dict[int, tuple[int, PerformanceSpec]] = {}
        for variant, tuner in self._tuners.items():
            learnt = tuner.learnt
            place = self._place(variant)
            if learnt is None or place is None or learnt.accepted < _LEAST_ACCEPTED:
                continue
            if learnt.prediction_log_sd > _MOST_LOG_SD:
                continue
            base = self._fleet.performance[place]
            entry = learnt_entry(
                learnt,
                model=base.model,
                accelerator=base.accelerator,
                max_batch=tuner.replica.max_batch,
                source=f"learnt by {tuner.name} from {learnt.accepted} windows of serving",
                base=base,
            )
            service = self._services[variant.service]
            if not 1 / _FURTHEST < _ratio(service, entry, base) < _FURTHEST:
                continue
            if place not in found or learnt.accepted > found[place][0]:
                found[place] = learnt.accepted, entry
        changed = False
        for place, (_, entry) in found.items():
            before = self._used.get(place, self._fleet.performance[place])
            services = (s for s in self._services.values() if s.model == entry.model)
            least = self._spec.least_change
            moved = any(abs(_ratio(s, entry, before) - 1) > least for s in services)
            if moved or _known_otherwise(entry, before, least):
                self._used[place], changed = entry, True
        if not changed:
            return None
        entries = enumerate(self._fleet.performance)
        return tuple(self._used.get(place, entry) for place, entry in entries)

    def _tuner(self, variant: Variant) -> Tuner | None:
        """Return the tuner of a variant; None where its times are of no law that is learnt."""
        known = self._tuners.get(variant)
        place = self._place(variant)
        if known is not None or place is None:
            return known
        entry = self._fleet.performance[place]
        load = self._services[variant.service].load
        kind = get(self._spec.method or "")
        replica = TunedReplica(
            max_batch=variant.max_batch or entry.max_batch or 1,
            queue_model=self._fleet.optimizer.queue_model,
            chunk_tokens=entry.chunk_tokens or 8192,
            kv_capacity_tokens=entry.kv_capacity_tokens,
            arrival_scv=max(load.arrival_scv, 1e-6),
        )
        start: Timing
        if entry.iteration is not None:
            start = IterationTiming(**entry.iteration.model_dump())
        elif entry.prefill_decode is not None:
            start = PrefillDecodeTiming(**entry.prefill_decode.model_dump())
        else:
            return None
        law = kind(replica).law
        if not isinstance(start, law.kind) or kind.observes is not ServingObservation:
            return None
        settings = TunerSettings(start_log_sd=self._spec.start_log_sd)
        self._tuners[variant] = kind(replica, start, settings)
        return self._tuners[variant]

    def _place(self, variant: Variant) -> int | None:
        service = self._services.get(variant.service)
        if service is None:
            return None
        return self._places.get((service.model, variant.accelerator, variant.configuration))

    def state(self) -> dict[str, Any]:
        """Return what to write down."""
        return {
            "method": self._spec.method,
            "tuners": [
                [variant.model_dump(mode="json"), tuner.checkpoint()]
                for variant, tuner in self._tuners.items()
            ],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was written down, where the tuner is the same."""
        if self._spec.method is None or state["method"] != self._spec.method:
            return
        kind = get(self._spec.method)
        self._tuners = {
            Variant.model_validate(variant): kind.restore(checkpoint)
            for variant, checkpoint in state["tuners"]
        }


def _observation(
    now_s: float, seen: ServiceObservation, mean_ready: float, ready: int
) -> ServingObservation | None:
    """Return what one replica shows; None where a figure that is needed is not known."""
    rate, running = seen.arrival_rate_rps.value, seen.running.value
    prompt, output = seen.input_tokens.value, seen.output_tokens.value
    if not rate or not prompt or not output or running is None:
        return None
    if seen.ttft_ms.value is None and seen.itl_ms.value is None:
        return None
    return ServingObservation(
        time_s=now_s,
        arrival_rate_rps=rate / mean_ready,
        input_tokens=prompt,
        output_tokens=max(output, 1.0),
        ttft_ms=seen.ttft_ms.value or None,
        itl_ms=seen.itl_ms.value or None,
        concurrency=running / ready or None,
    )


def _ratio(service: ServiceSpec, entry: PerformanceSpec, other: PerformanceSpec) -> float:
    """Return how many times longer a request of a service takes by one entry than by another."""
    lengths = service.load.mean_input_tokens, service.load.mean_output_tokens
    return full_batch_ms(entry, *lengths) / max(full_batch_ms(other, *lengths), 1e-9)


def _known_otherwise(entry: PerformanceSpec, before: PerformanceSpec, least: float) -> bool:
    """Whether some coefficient of a learnt entry is much better or worse known, and that counts.

    Parameters
    ----------
    entry, before
        What is learnt now, and what is planned with: as described, or as it was learnt.
    least
        Standard deviations of a logarithm below this count for nothing.
    """
    if entry.uncertainty is None or before.uncertainty is None:
        return False
    pairs = zip(entry.uncertainty.log_sd, before.uncertainty.log_sd, strict=True)
    return any(max(pair) > max(least, _OTHERWISE * min(pair)) for pair in pairs)
