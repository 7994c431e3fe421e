"""Dynamic mode: it follows changes and does not flap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.errors import SpecError
from optimizer.kv import (
    AdaptationRules,
    AdaptiveController,
    BandwidthSample,
    DeviceLost,
    DeviceRestored,
    MinimumRatioChanged,
    Rerun,
    StorageDevice,
)
from tests.optimizer.kv.cases import DEMAND, DISK, POLICY, RAM

RULES = AdaptationRules(smoothing=0.3, relative_change=0.2, dwell_s=30.0)


def controller(**changed) -> AdaptiveController:
    """RAM and disk; starts on disk with 15 %."""
    figures = {"demand": DEMAND, "devices": [RAM, DISK], "policy": POLICY, "rules": RULES}
    return AdaptiveController(**(figures | changed))


def sampled(control: AdaptiveController, bandwidths, device: str = "disk", start: float = 0.0):
    """One sample a second; how often each part ran."""
    reruns = []
    for k, bandwidth in enumerate(bandwidths):
        event = BandwidthSample(at_s=start + k, device=device, bandwidth_gb_s=bandwidth)
        reruns.append(control.take(event).rerun)
    return reruns


def test_it_starts_with_part_2():
    """Disk is the cheapest that hides its loading."""
    assert controller().state.device == "disk"
    assert controller().state.ratio == pytest.approx(0.15)


def test_noise_changes_nothing():
    """10 % up and down for 500 s: not a single re-run."""
    rng = np.random.default_rng(2)
    reruns = sampled(controller(), 2.0 * rng.uniform(0.9, 1.1, 500))
    assert set(reruns) == {Rerun.NOTHING}


def test_degradation_re_runs_part_1():
    """Down to 0.5 GB/s for good: the ratio follows towards one half, the device stays."""
    control = controller()
    reruns = sampled(control, [0.5] * 200)
    assert Rerun.RATIO in reruns
    assert Rerun.DEVICE not in reruns
    assert control.state.device == "disk"
    assert control.state.ratio == pytest.approx(0.5, rel=0.25)
    assert reruns.count(Rerun.RATIO) <= 4


def test_swings_change_at_most_once_per_dwell_time():
    """2 and 0.5 GB/s in turns of 10 s for 600 s: no more than one change in 30 s."""
    reruns = sampled(controller(), ([2.0] * 10 + [0.5] * 10) * 30)
    changes = [k for k, rerun in enumerate(reruns) if rerun is not Rerun.NOTHING]
    assert len(changes) <= 600 / 30 + 1
    assert np.all(np.diff(changes) >= 30)
    hasty = controller(rules=replace(RULES, dwell_s=0.0, smoothing=1.0))
    many = sampled(hasty, ([2.0] * 10 + [0.5] * 10) * 30)
    assert sum(rerun is not Rerun.NOTHING for rerun in many) > 2 * len(changes)


def test_a_device_over_the_budget_is_left():
    """0.1 GB/s takes 10 s, more than computing everything: RAM takes over."""
    control = controller()
    reruns = sampled(control, [0.1] * 200)
    assert Rerun.DEVICE in reruns
    assert control.state.device == "ram"


def test_another_quality_re_runs_part_2():
    """At 1 % recomputing disk does not hide its loading any more: RAM does."""
    control = controller()
    after = control.take(MinimumRatioChanged(at_s=1.0, minimum_ratio=0.02))
    assert after.rerun is Rerun.DEVICE
    assert after.device == "ram"
    assert after.ratio == pytest.approx(0.02)


def test_a_lost_device_is_left_at_once_and_taken_back():
    """Disk lost: RAM; disk back: cheaper by more than the margin; all lost: compute everything."""
    control = controller()
    assert control.take(DeviceLost(at_s=1, device="disk")).device == "ram"
    assert control.take(DeviceRestored(at_s=2, device="disk")).device == "disk"
    assert control.take(DeviceLost(at_s=3, device="ram")).rerun is Rerun.NOTHING
    nothing = control.take(DeviceLost(at_s=4, device="disk"))
    assert nothing.device is None
    assert nothing.ratio == 1.0
    assert nothing.total_ms == pytest.approx(4000)


def test_a_slightly_cheaper_device_is_not_worth_moving_to():
    """5 % cheaper comes back: one stays; 50 % cheaper: one moves."""
    for price, expected in ((0.000095, "disk"), (0.00005, "new")):
        new = StorageDevice(name="new", bandwidth_gb_s=2, usd_per_gb_hour=price)
        control = controller(devices=[DISK, new])
        control.take(DeviceLost(at_s=0, device="new"))
        assert control.state.device == "disk"
        assert control.take(DeviceRestored(at_s=1, device="new")).device == expected


_kinds = st.one_of(
    st.builds(
        lambda device, gb_s: ("sample", device, gb_s),
        st.sampled_from(["ram", "disk"]),
        st.floats(0.01, 100),
    ),
    st.tuples(st.sampled_from(["lost", "restored"]), st.sampled_from(["ram", "disk"])),
    st.tuples(st.just("quality"), st.floats(0, 1)),
)


@given(happenings=st.lists(_kinds, max_size=40))
@settings(deadline=None, max_examples=60, derandomize=True)
def test_whatever_happens_the_state_is_sound(happenings):
    """The device in use is never a lost one, and the ratio is within [minimum, 1]."""
    control, lost, minimum = controller(), set(), 0.15
    for second, (kind, what, *more) in enumerate(happenings):
        if kind == "sample":
            event = BandwidthSample(at_s=second, device=what, bandwidth_gb_s=more[0])
        elif kind == "lost":
            event = DeviceLost(at_s=second, device=what)
            lost.add(what)
        elif kind == "restored":
            event = DeviceRestored(at_s=second, device=what)
            lost.discard(what)
        else:
            event = MinimumRatioChanged(at_s=second, minimum_ratio=what)
            minimum = what
        state = control.take(event)
        assert state.device not in lost
        assert (state.device is None) == (len(lost) == 2)
        assert minimum <= state.ratio <= 1
        assert state.total_ms >= 0


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (BandwidthSample(at_s=5, device="tape", bandwidth_gb_s=1), "device"),
        (BandwidthSample(at_s=5, device="disk", bandwidth_gb_s=0), "bandwidth_gb_s"),
        (BandwidthSample(at_s=5, device="disk", bandwidth_gb_s=float("nan")), "bandwidth_gb_s"),
        (BandwidthSample(at_s=-5, device="disk", bandwidth_gb_s=1), "at_s"),
        (BandwidthSample(at_s=float("nan"), device="disk", bandwidth_gb_s=1), "at_s"),
        (MinimumRatioChanged(at_s=5, minimum_ratio=2), "minimum_ratio"),
    ],
)
def test_wrong_events_are_refused_and_change_nothing(event, path):
    """The fault names the field; what held still holds."""
    control = controller()
    control.take(BandwidthSample(at_s=1, device="disk", bandwidth_gb_s=2))
    before = control.state
    with pytest.raises(SpecError) as caught:
        control.take(event)
    assert caught.value.faults[0].path == path
    assert control.state == before
