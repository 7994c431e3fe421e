"""Compiled sums equal those of numpy, and numpy takes over where they cannot be used."""

from __future__ import annotations

import builtins
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from queue_models import (
    BirthDeathChain,
    Metric,
    Statistic,
    SteadyState,
    Target,
    Targets,
    occupancy_model,
)
from queue_models.errors import ServiceProcessError
from queue_models.lps import LimitedSharingModel
from queue_models.state_sums import kernels
from tests.queue_models.processes import iterations

pytest.importorskip("numba")

FIELDS = ("mean_wait", "wait_probability", "in_service", "mean_seen", "queue_length", "throughput")


def _laws(pairs: int = 40) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(5)
    slots = rng.integers(1, 300, pairs)
    base, slope = rng.uniform(0.1, 9.0, pairs), rng.uniform(0.001, 0.2, pairs)
    knee = np.where(rng.random(pairs) < 0.3, rng.uniform(1, 200, pairs), np.inf)
    places = np.where(rng.random(pairs) < 0.5, np.inf, rng.integers(0, 50, pairs))
    return base, slope, slots, places, knee


def _compare(one: SteadyState, other: SteadyState, slots: np.ndarray) -> None:
    for name in FIELDS:
        came, wanted = getattr(one, name), getattr(other, name)
        assert came == pytest.approx(wanted, rel=1e-12, abs=1e-280), name
    for present in (np.zeros(slots.size), np.ceil(slots / 2.0), 1.0 * slots):
        wanted = other.seen_at_least(present)
        assert one.seen_at_least(present) == pytest.approx(wanted, rel=1e-12)
        bend = np.maximum(present + 0.25, 1.0)
        wanted = other.mean_seen_up_to(bend)
        assert one.mean_seen_up_to(bend) == pytest.approx(wanted, rel=1e-12)
    assert np.array_equal(one.seen_quantile(0.95), other.seen_quantile(0.95))
    assert one.wait_quantile(0.99) == pytest.approx(other.wait_quantile(0.99), rel=1e-9)


@pytest.mark.parametrize("load", [0.0, 1e-3, 0.5, 0.95, 0.999999])
def test_compiled_law_equals_numpy(load: float) -> None:
    """Sums of linear laws, knees and limits included, agree to 1e-12."""
    base, slope, slots, places, knee = _laws()
    chains = [
        BirthDeathChain.from_law(base, slope, slots, places, knee, compiled=compiled)
        for compiled in (True, False)
    ]
    assert chains[0].compiled
    one, other = (chain.steady_state(load * chain.full_rate) for chain in chains)
    _compare(one, other, slots)


@pytest.mark.parametrize("load", [1e-3, 0.5, 0.95, 0.999999])
def test_compiled_table_equals_numpy(load: float) -> None:
    """Sums of arbitrary rates agree to 1e-12, for pairs in any order."""
    rng = np.random.default_rng(6)
    rates, slots = rng.uniform(0.5, 40.0, (20, 60)), rng.integers(1, 61, 20)
    chains = [
        BirthDeathChain.from_rates(rates, slots=slots, compiled=compiled)
        for compiled in (True, False)
    ]
    some = np.array([7, 3, 19])
    one, other = (chain.steady_state(load * chain.full_rate[some], some) for chain in chains)
    _compare(one, other, slots[some])


def test_law_and_table_are_one_chain() -> None:
    """`from_law` is `from_rates` of 1/(base/min(n, knee) + slope)."""
    base, slope, slots, places, knee = _laws(10)
    n = np.arange(1.0, slots.max() + 1.0)
    rates = 1.0 / (base[:, None] / np.minimum(n, knee[:, None]) + slope[:, None])
    law = BirthDeathChain.from_law(base, slope, slots, places, knee)
    table = BirthDeathChain.from_rates(rates, places, slots)
    rate = 0.9 * law.full_rate
    for name in FIELDS:
        came = getattr(law.steady_state(rate), name)
        assert came == pytest.approx(getattr(table.steady_state(rate), name), rel=1e-12)


def test_wild_rates_and_overload_are_left_to_numpy() -> None:
    """Rates out of proportion, and loads above 1, would overflow the compiled sums."""
    wild = BirthDeathChain.from_rates([1e-9, 1.0], 5.0, compiled=True)
    assert not wild.compiled
    chain = BirthDeathChain.from_rates([1.0, 2.0], 5.0, compiled=True)
    plain = BirthDeathChain.from_rates([1.0, 2.0], 5.0)
    rate = np.array([1e200])
    for name in FIELDS:
        came = getattr(chain.steady_state(rate), name)
        assert came == pytest.approx(getattr(plain.steady_state(rate), name), rel=1e-12)


def test_laws_without_time_are_refused() -> None:
    """A law whose rate is infinite is no chain."""
    with pytest.raises(ServiceProcessError, match="base, slope"):
        BirthDeathChain.from_law(np.zeros(1), np.array([np.inf]), np.array([3]))


def test_sizing_is_the_same_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Largest rates agree to the search's precision whichever way states are summed."""
    service, model = iterations(), LimitedSharingModel()
    targets = Targets(
        (
            Target(Statistic(Metric.TTFT), 1500.0),
            Target(Statistic(Metric.TTFT, 99.0), 5000.0),
            Target(Statistic(Metric.ITL, 95.0), 60.0),
        )
    )
    plain = model.max_rate(service, targets)
    monkeypatch.setattr(occupancy_model, "_STATES_WORTH_NUMBA", 1)
    assert model.max_rate(service, targets) == pytest.approx(plain, rel=1e-9)
    assert np.any(plain > 0)


@pytest.mark.parametrize("failure", [ImportError("no numba"), SystemError("broken numba")])
def test_without_numba_numpy_does_it(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A missing or broken numba is logged, and chains asked to compile do not."""
    importing = builtins.__import__

    def refuse(name: str, *rest: Any, **options: Any) -> Any:
        if name == "queue_models" and "state_kernels" in (rest[2] or ()):
            raise failure
        return importing(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    kernels.cache_clear()
    try:
        assert kernels() is None
        assert str(failure) in caplog.text
        assert not BirthDeathChain.from_rates([1.0, 2.0], compiled=True).compiled
    finally:
        kernels.cache_clear()


def test_small_tasks_do_not_import_numba() -> None:
    """Sizing some hundred pairs imports no numba."""
    code = (
        "import sys; from queue_models import Targets; "
        "from queue_models.lps import LimitedSharingModel; "
        "from tests.queue_models.processes import iterations; "
        "LimitedSharingModel().max_rate(iterations(300), Targets()); "
        "print('numba' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
