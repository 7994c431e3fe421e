"""One look at a namespace: its objects become a fleet, the controller does a step, all is told."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.control.collectors.prometheus import PrometheusCollector
from optimizer.control.controller import Controller, Cycle
from optimizer.control.errors import ActuationError, JournalError
from optimizer.control.kubernetes import ApiServer
from optimizer.control.kubernetes.lease import LeaseLock
from optimizer.control.operator.assembly import Assembled, Key, assemble, key_of
from optimizer.control.operator.conditions import Told
from optimizer.control.operator.config_map_journal import ConfigMapJournal
from optimizer.control.operator.objects import Objects
from optimizer.control.operator.operated_deployments import OperatedDeployments
from optimizer.control.operator.resources import (
    ANNOTATION_APPROVE,
    ANNOTATION_INVOKE,
    ANNOTATION_PAUSED,
    Actuation,
)
from optimizer.control.operator.telling import (
    optimizer_conditions,
    optimizer_figures,
    server_conditions,
    server_figures,
)
from optimizer.control.operator.unplanned_deployments import UnplannedDeployments
from optimizer.control.spec import OrderOutcome, OrderResult, Variant
from optimizer.errors import FleetError

__all__ = ["STATE_NAME", "Look", "Reconciler"]

Json = dict[str, Any]

_log = logging.getLogger(__name__)

STATE_NAME = "fleetopt-state"
"""ConfigMap with the controller's state."""

_REASONS = {
    OrderResult.APPLIED: "Scaled",
    OrderResult.CONFLICT: "ScaleConflict",
    OrderResult.REFUSED: "ScaleRefused",
    OrderResult.FAILED: "ScaleFailed",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What came of one look.

    Parameters
    ----------
    at_s
        Unix time [s].
    holds_lease
        Whether it was ours to act.
    cycle
        The controller's step; None where there was nothing to control.
    conditions
        Of the Optimizer.
    """

    at_s: float
    holds_lease: bool
    cycle: Cycle | None = None
    conditions: tuple[Told, ...] = ()


class Reconciler:
    """Keeps the fleet of one namespace at its optimum.

    Parameters
    ----------
    server
        The API server.
    namespace
        The namespace.
    lease
        Who holds it acts; others look on.
    prometheus
        Address and files of the Prometheus server: options of the collector that no resource says.
    """

    def __init__(
        self,
        server: ApiServer,
        namespace: str,
        lease: LeaseLock,
        prometheus: Mapping[str, Any],
    ) -> None:
        self._server, self._namespace, self._lease = server, namespace, lease
        self._prometheus = dict(prometheus)
        self._objects = Objects(server, namespace, "fleetopt")
        self._forget()

    @property
    def observe_s(self) -> float:
        """Time between two looks [s]."""
        return 15.0 if self._controller is None else self._controller.spec.observe_s

    def close(self) -> None:
        """Give back what it holds."""
        self._forget()

    def step(self, now_s: float) -> Look:
        """Look, and do what follows.

        Parameters
        ----------
        now_s
            Unix time [s]; never less than at the step before.

        Raises
        ------
        ApiError
            If the objects cannot be read; then nothing was done.
        """
        if not self._lease.valid() and not self._lease.hold():
            self._forget()  # whoever holds it goes on; we would have to begin with their state
            return Look(now_s, holds_lease=False)
        items = self._objects.read()
        optimizers = sorted(
            (item for item in items if item["kind"] == "Optimizer"),
            key=lambda item: (item["metadata"].get("creationTimestamp", ""), key_of(item)),
        )
        if not optimizers:
            self._forget()
            return Look(now_s, holds_lease=True)
        acting, *others = optimizers
        for other in others:
            words = f"Optimizer {acting['metadata']['name']} acts in this namespace"
            self._objects.tell(
                other, [Told("Ready", False, "AnotherOptimizer", words)], now_s, None
            )
        items = [item for item in items if item not in others]
        self._take_up(acting, items, now_s)
        cycle = None if self._controller is None else self._cycle(acting, items, now_s)
        told = self._tell(acting, items, cycle, now_s)
        return Look(now_s, True, cycle, tuple(told))

    def _forget(self) -> None:
        """Know nothing of any fleet."""
        controller: Controller | None = getattr(self, "_controller", None)
        if controller is not None:
            controller.collector.close()
        self._controller: Controller | None = None
        self._actuator: OperatedDeployments | None = None
        self._unplanned = UnplannedDeployments()
        self._written: ConfigMapJournal | None = None
        self._seen: object = None
        self._asked = ""  # what the Optimizer said last of a plan to be made now
        self._good: dict[Key, Mapping[str, Any]] = {}
        self._faults: dict[Key, tuple[str, ...]] = {}
        self._deployable: frozenset[Variant] = frozenset()

    def _take_up(self, acting: Json, items: Sequence[Json], now_s: float) -> None:
        """Go on with changed objects; with those before where the new ones are not valid."""
        seen = sorted(
            (*key_of(i), i["metadata"]["uid"], i["metadata"]["generation"]) for i in items
        )
        if seen == self._seen:
            return
        if self._controller is None:
            self._recall(acting)
        assembled = assemble(items, self._good)
        keys = {key_of(item) for item in items}
        self._good = {k: v for k, v in {**self._good, **assembled.good}.items() if k in keys}
        self._faults = dict(assembled.faults)
        self._seen = seen
        if assembled.fleet is None or assembled.control is None:
            return
        try:
            self._adopt(assembled, [i for i in items if i["kind"] == "Server"], now_s)
        except FleetError as error:
            self._seen = None  # tried again at the next look
            self._blame(key_of(acting), str(error))
            return
        assert self._actuator is not None
        for variant, words in self._actuator.unmatched.items():
            self._blame(self._server_of(items, variant.service), words)

    def _recall(self, acting: Json) -> None:
        """Learn from the saved state what objects said when they were last valid."""
        try:
            found = self._journal(str(acting["metadata"]["name"])).read_objects()
            good = {(str(k), str(n)): dict(spec) for k, n, spec in found.get("good", ())}
            self._unplanned.restore(found.get("deployments", {}))
        except (JournalError, TypeError, ValueError, AttributeError) as error:
            _log.warning("what objects said when last valid is not known: %s", error)
        else:
            self._good = {**good, **self._good}

    def _journal(self, fleet: str) -> ConfigMapJournal:
        return ConfigMapJournal(self._server, self._namespace, STATE_NAME, fleet, self._lease.hold)

    def _adopt(self, assembled: Assembled, servers: Sequence[Json], now_s: float) -> None:
        """Control another fleet, or the same one otherwise."""
        fleet, control = assembled.fleet, assembled.control
        assert fleet is not None
        assert control is not None
        actuator = self._actuator or OperatedDeployments(
            fleet, self._server, self._namespace, self._lease.valid, self._unplanned
        )
        options = {**assembled.metrics, **self._prometheus}
        collector = PrometheusCollector(fleet, options)
        actuator.take(fleet, assembled.deployments, assembled.actuation, servers)
        try:
            actuator.counts(now_s)  # so that no plan is made with what is not ours to scale
        except ActuationError as error:
            _log.warning("the replicas are not known: %s", error)
        controller = self._controller
        if controller is not None and controller.spec == control:
            old = controller.collector
            controller.adopt(fleet)
            controller.collector = collector
            old.close()
        else:
            journal = self._journal(fleet.name)
            self._controller = Controller(fleet, control, collector, actuator, journal)
            self._written = journal
            if controller is not None:
                controller.collector.close()
        self._actuator, self._deployable = actuator, actuator.deployable()

    def _cycle(self, acting: Json, items: Sequence[Json], now_s: float) -> Cycle:
        """Do a step of the controller."""
        controller, actuator = self._controller, self._actuator
        assert controller is not None
        assert actuator is not None
        actuator.paused = frozenset(
            _service(i) for i in items if i["kind"] == "Server" and _paused(i)
        )
        controller.pause(_paused(acting))
        digest = _annotation(acting, ANNOTATION_APPROVE)
        if digest:
            controller.approve(now_s, digest)
        asked = _annotation(acting, ANNOTATION_INVOKE)
        if asked not in ("", self._asked):
            controller.notify("invoke")
        self._asked = asked
        assert self._written is not None
        self._written.objects = {
            "good": [[*key, spec] for key, spec in self._good.items()],
            "deployments": self._unplanned.state(),
        }
        cycle = controller.step(now_s)
        if actuator.deployable() != self._deployable:
            self._deployable = actuator.deployable()
            controller.adopt(controller.fleet)
        if not (_paused(acting) or cycle.status.awaiting_approval):
            self._align(items, now_s)
        return cycle

    def _align(self, items: Sequence[Json], now_s: float) -> None:
        """Keep the settings of engines, where the Optimizer says so."""
        assert self._actuator is not None
        for service, (words, well) in self._actuator.align().items():
            for item in items:
                if item["kind"] == "Server" and _service(item) == service:
                    reason = "SettingsChanged" if well else "SettingsRefused"
                    self._objects.event(item, reason, words, now_s, well=well)

    def _tell(
        self, acting: Json, items: Sequence[Json], cycle: Cycle | None, now_s: float
    ) -> list[Told]:
        """Bring every status up to date, and tell what was ordered."""
        owners = {} if self._actuator is None else self._actuator.owners()
        outcomes = () if cycle is None else cycle.outcomes
        served = {} if cycle is None else {d.service: d.served for d in cycle.decision.services}
        for item in items:
            faults = self._faults.get(key_of(item), ())
            figures = None
            if item["kind"] == "Optimizer":
                continue
            if item["kind"] == "Server":
                service = _service(item)
                paused = "the annotation says so" if _paused(item) else ""
                told = server_conditions(
                    service, faults, owners, outcomes, served=served.get(service), paused=paused
                )
                figures = None if cycle is None else server_figures(service, cycle)
                self._tell_orders(item, service, outcomes, now_s)
            else:
                reason = "Invalid" if faults else "Valid"
                told = [Told("Ready", not faults, reason, "\n".join(faults))]
            self._objects.tell(item, told, now_s, figures)
        listed = [f"{' '.join(key)}: {w}" for key, words in self._faults.items() for w in words]
        told = optimizer_conditions(
            cycle,
            listed,
            owners,
            unplanned=self._unplanned.words(),
            paused=self._why_paused(acting),
        )
        figures = None if cycle is None else optimizer_figures(cycle)
        self._objects.tell(acting, told, now_s, figures)
        return told

    def _tell_orders(
        self, item: Json, service: str, outcomes: Sequence[OrderOutcome], now_s: float
    ) -> None:
        for one in outcomes:
            if one.order.variant.service == service and one.result in _REASONS:
                words = f"{one.order}: {one.detail}".removesuffix(": ")
                self._objects.event(item, _REASONS[one.result], words, now_s, well=one.done)

    def _why_paused(self, acting: Json) -> str:
        if _paused(acting):
            return f"the annotation {ANNOTATION_PAUSED} says so"
        if self._actuator is not None and self._actuator.actuation is Actuation.OBSERVE:
            return "actuation is observe"
        return ""

    def _blame(self, key: Key, words: str) -> None:
        self._faults[key] = (*self._faults.get(key, ()), words)

    def _server_of(self, items: Sequence[Json], service: str) -> Key:
        return next(key_of(i) for i in items if i["kind"] == "Server" and _service(i) == service)


def _service(item: Json) -> str:
    """Return the name of the service that a Server describes."""
    return str((item.get("spec") or {}).get("name") or item["metadata"]["name"])


def _annotation(item: Json, name: str) -> str:
    return str((item["metadata"].get("annotations") or {}).get(name, ""))


def _paused(item: Json) -> bool:
    return _annotation(item, ANNOTATION_PAUSED).lower() == "true"
