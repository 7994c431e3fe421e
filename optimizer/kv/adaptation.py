"""Dynamic mode: events and bandwidth samples re-run the parts, with hysteresis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from optimizer.errors import Fault, SpecError
from optimizer.kv.device_selection import (
    DeviceAssessment,
    DeviceSelection,
    KvDemand,
    SelectionPolicy,
    select_device,
)
from optimizer.kv.devices import StorageDevice, refuse_twins
from optimizer.kv.ranges import Range, refuse_outside
from optimizer.kv.sequential_mode import ratio_on
from optimizer.spec.wording import suggestion

__all__ = [
    "Adaptation",
    "AdaptationRules",
    "AdaptiveController",
    "BandwidthSample",
    "DeviceLost",
    "DeviceRestored",
    "Event",
    "MinimumRatioChanged",
    "Rerun",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthSample:
    """A bandwidth [GB/s] that loads met, before sharers divide it; samples are smoothed."""

    at_s: float
    device: str
    bandwidth_gb_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceLost:
    """A device does not answer any more."""

    at_s: float
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRestored:
    """A device answers again, as it was before."""

    at_s: float
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumRatioChanged:
    """Quality needs another least ratio."""

    at_s: float
    minimum_ratio: float


Event = BandwidthSample | DeviceLost | DeviceRestored | MinimumRatioChanged


class Rerun(StrEnum):
    """What an event made the controller do."""

    NOTHING = "nothing"
    RATIO = "ratio"  # part 1 on the device at hand
    DEVICE = "device"  # part 2, then part 1 on its device


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptationRules:
    """When a change is worth acting on.

    Parameters
    ----------
    smoothing
        Weight of a new sample in the moving average, in (0, 1].
    relative_change
        The average must depart from the bandwidth planned with by this share.
    dwell_s
        Least time between two changes that samples bring about [s]; lost devices and quality do
        not wait.
    switch_gain
        Another device must shorten the delay, or its cost, by this share to be worth moving to.
    """

    smoothing: float = 0.3
    relative_change: float = 0.2
    dwell_s: float = 30.0
    switch_gain: float = 0.1

    def __post_init__(self) -> None:
        refuse_outside(
            {name: getattr(self, name) for name in self.__slots__},
            {
                "smoothing": Range(above=True, high=1.0),
                "relative_change": Range(high=1e3),
                "dwell_s": Range("s", high=1e9),
                "switch_gain": Range(high=1.0),
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """What holds after an event.

    Parameters
    ----------
    rerun
        Which part ran because of it.
    reason
        In words.
    device
        Name of the device in use; None: everything is recomputed.
    ratio
        Share recomputed.
    total_ms
        Expected total delay.
    """

    rerun: Rerun
    reason: str
    device: str | None
    ratio: float
    total_ms: float


@dataclass(slots=True)
class _DeviceState:
    rated: StorageDevice  # as described
    planned: StorageDevice  # as last planned with
    average_gb_s: float
    is_lost: bool = False


@dataclass(slots=True)
class AdaptiveController:
    """Keeps ratio and device right while bandwidths, devices and quality change.

    A departure of the device in use re-runs part 1; where the total delay then misses the TTFT
    budget, or when the minimum ratio changes or the device is lost, part 2 runs. Where computing
    everything is quicker than the device it chooses, nothing is loaded. Time comes with the
    events; there is no clock inside. Not safe for use from several threads.

    Parameters
    ----------
    demand
        The KV cache that is planned for.
    devices
        Candidates with distinct names.
    policy, rules
        None: the defaults.

    Raises
    ------
    SpecError
        If two devices have the same name; from `take`, if an event names an unknown device, has a
        figure out of range, or lies before the last one.
    """

    demand: KvDemand
    devices: Sequence[StorageDevice]
    policy: SelectionPolicy = field(default_factory=SelectionPolicy)
    rules: AdaptationRules = field(default_factory=AdaptationRules)
    _states: dict[str, _DeviceState] = field(init=False)
    _state: Adaptation = field(init=False)
    _now_s: float = field(init=False, default=float("-inf"))
    _changed_s: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        refuse_twins(self.devices)
        self._states = {
            device.name: _DeviceState(device, device, device.bandwidth_gb_s)
            for device in self.devices
        }
        self._state = self._select("start", stays_if_close=False)

    @property
    def state(self) -> Adaptation:
        """What holds now."""
        return self._state

    def take(self, event: Event) -> Adaptation:
        """Act on an event; return what holds after it."""
        self._check(event)
        self._now_s = event.at_s
        if isinstance(event, BandwidthSample):
            self._state = self._sampled(event)
        elif isinstance(event, DeviceLost):
            self._states[event.device].is_lost = True
            self._state = (
                self._select(f"{event.device} is lost", stays_if_close=False)
                if event.device == self._state.device
                else self._unchanged("a device that is not in use is lost")
            )
        elif isinstance(event, DeviceRestored):
            rated = self._states[event.device].rated
            self._states[event.device] = _DeviceState(rated, rated, rated.bandwidth_gb_s)
            self._state = self._select(f"{event.device} is back", stays_if_close=True)
        else:
            ratios = replace(self.policy.ratios, minimum_ratio=event.minimum_ratio)
            self.policy = replace(self.policy, ratio=event.minimum_ratio, ratios=ratios)
            self._state = self._select("quality needs another ratio", stays_if_close=True)
        return self._state

    def _check(self, event: Event) -> None:
        """Refuse an event before anything is changed."""
        faults = []
        if not event.at_s >= self._now_s:
            faults.append(Fault(f"must not be before {self._now_s:g} s", "at_s", repr(event.at_s)))
        name = getattr(event, "device", None)
        if name is not None and name not in self._states:
            hint = suggestion(str(name), self._states)
            faults.append(Fault("is none of the candidates", "device", repr(name), hint))
        if faults:
            raise SpecError(faults)
        if isinstance(event, BandwidthSample):
            refuse_outside(
                {"bandwidth_gb_s": event.bandwidth_gb_s},
                {"bandwidth_gb_s": Range("GB/s", above=True, high=1e6)},
            )
        if isinstance(event, MinimumRatioChanged):
            refuse_outside({"minimum_ratio": event.minimum_ratio}, {"minimum_ratio": Range(high=1)})

    def _sampled(self, sample: BandwidthSample) -> Adaptation:
        state = self._states[sample.device]
        weight = self.rules.smoothing
        state.average_gb_s += weight * (sample.bandwidth_gb_s - state.average_gb_s)
        departure = abs(state.average_gb_s / state.planned.bandwidth_gb_s - 1.0)
        if departure <= self.rules.relative_change:
            return self._unchanged("the bandwidth is as planned")
        if self._now_s - self._changed_s < self.rules.dwell_s:
            return self._unchanged("the last change is too recent")
        state.planned = replace(state.rated, bandwidth_gb_s=state.average_gb_s)
        if sample.device != self._state.device:
            return self._select(f"{sample.device} changed", stays_if_close=True)
        return self._new_ratio(state.planned)

    def _new_ratio(self, device: StorageDevice) -> Adaptation:
        """Part 1 on the device in use, and part 2 where that misses the budget."""
        choice = ratio_on(device, self.demand, self.policy)
        budget = self.policy.ttft_budget_ms or float(self.demand.prefill.ms)
        reason = f"{device.name} now gives {device.bandwidth_gb_s:.3g} GB/s"
        if float(choice.total.ms) > budget:
            return self._select(f"{reason}: over the TTFT budget", stays_if_close=False)
        self._changed_s = self._now_s
        return Adaptation(
            rerun=Rerun.RATIO,
            reason=reason,
            device=device.name,
            ratio=float(choice.ratio),
            total_ms=float(choice.total.ms),
        )

    def _select(self, reason: str, *, stays_if_close: bool) -> Adaptation:
        """Part 2 among the devices that answer, and part 1 on the one it chooses."""
        known: Mapping[str, _DeviceState] = self._states
        there = [state.planned for state in known.values() if not state.is_lost]
        selection = select_device(self.demand, there, policy=self.policy)
        chosen = selection.chosen
        if chosen is not None and stays_if_close:
            chosen = self._worth_moving(selection, chosen)
        self._changed_s = self._now_s
        if chosen is None:
            return self._recomputing(f"{reason}: {selection.reason}")
        name = chosen.device.name
        choice = ratio_on(chosen.device, self.demand, self.policy)
        if float(choice.total.ms) > self._full_ms():
            return self._recomputing(
                f"{reason}: computing everything is quicker than loading from any, {name} the best"
            )
        return Adaptation(
            rerun=Rerun.DEVICE,
            reason=f"{reason}: {selection.reason}",
            device=name,
            ratio=float(choice.ratio),
            total_ms=float(choice.total.ms),
        )

    def _recomputing(self, reason: str) -> Adaptation:
        return Adaptation(
            rerun=Rerun.DEVICE, reason=reason, device=None, ratio=1.0, total_ms=self._full_ms()
        )

    def _full_ms(self) -> float:
        """Time to compute everything under the policy."""
        return float(self.policy.ratios.recompute(1.0, self.demand.prefill, 1).whole.ms)

    def _worth_moving(
        self, selection: DeviceSelection, chosen: DeviceAssessment
    ) -> DeviceAssessment:
        """Return the device in use where the chosen one gains too little on it."""
        mine = [one for one in selection.ranking if one.device.name == self._state.device]
        if not mine or not mine[0].feasible or mine[0].qualifies < chosen.qualifies:
            return chosen
        left = 1.0 - self.rules.switch_gain
        own = mine[0]
        quicker = (chosen.total_ms or 0.0) < left * (own.total_ms or 0.0)
        cheaper = chosen.cost.total_usd < left * own.cost.total_usd
        return chosen if quicker or cheaper else own

    def _unchanged(self, reason: str) -> Adaptation:
        return replace(self._state, rerun=Rerun.NOTHING, reason=reason)
