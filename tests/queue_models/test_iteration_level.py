"""iteration-level: limits known exactly, simulated references, monotonicity, extremes."""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.queue_accuracy.scoring import read_cases
from queue_models import (
    IterationTiming,
    Lengths,
    Metric,
    OutsideValidityError,
    PrefillDecodeTiming,
    Role,
    Routing,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
    erlang_c,
)
from queue_models.iteration_level import IterationLevelModel, points
from queue_models.testing import check_contract
from queue_models.work import RequestWork
from tests.queue_models.processes import iterations, limited

MODEL = IterationLevelModel()
TTFT_P99 = Statistic(Metric.TTFT, 99)
EVERYTHING = [Statistic(m, p) for m in Metric for p in (None, 50, 95, 99)]
SIMULATED = Path(__file__).parent / "data"
REFERENCE = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def _varied(service: ServiceProcess) -> ServiceProcess:
    """The same pairs with prompts of varying length.

    Where all prompts are about as long as the chunk budget, latencies waver with the rate by a few
    percent, and so do rates: whether one or two iterations take a prompt turns on a few tokens.
    """
    return ServiceProcess(
        service.timing,
        Lengths.lognormal(service.input_tokens, 0.5),
        service.output_lengths,
        service.max_batch,
        chunk_tokens=service.chunk_tokens,
        queue_capacity=service.queue_capacity,
    )


@pytest.mark.parametrize(
    "service", [_varied(iterations(8)), _varied(limited(iterations(8), 0)), iterations(4, seed=9)]
)
def test_model_keeps_the_contract(service: ServiceProcess) -> None:
    """Broadcasting, zero rate, Little's law, monotonicity in the rate and inversion hold."""
    check_contract(MODEL, service, rate_tolerance=1e-5)


def test_without_load_ttft_is_the_own_prefill() -> None:
    """One iteration per chunk of the prompt, each with its base, and the prompt's own time."""
    timing = IterationTiming(8.0, 0.03, 0.05)
    service = ServiceProcess(timing, [0, 100, 2048, 2049, 9000], 128, 64, chunk_tokens=2048)
    chunks = np.array([1, 1, 1, 2, 5])
    wanted = 8.0 * chunks + 0.05 * np.array([0, 100, 2048, 2049, 9000])
    empty = MODEL.evaluate(service, 0.0, [Statistic(Metric.WAIT, 99)])
    assert empty.ttft_ms == pytest.approx(wanted, rel=1e-9)
    assert np.all(empty.percentiles[Statistic(Metric.WAIT, 99)] == 0)


def test_capacity_is_that_of_the_work() -> None:
    """Without targets the rate is the capacity of a request's work, but for 1e-6 of it."""
    service = iterations(12)
    capacity = RequestWork.of(service).capacity_rps(service.timing)
    assert MODEL.max_rate(service, Targets()) == pytest.approx(capacity, rel=2e-6)


@pytest.mark.parametrize("load", [0.5, 0.8, 0.95])
def test_slots_alone_wait_as_in_erlang_c(load: float) -> None:
    """With exponential stays of many short iterations the slot wait is that of M/M/c."""
    timing, mean, slots = IterationTiming(1.0, 0.0, 0.0), 2000.0, 8
    service = ServiceProcess(timing, [1], Lengths.geometric(mean), slots)
    rate = load * slots / (mean / 1000.0)
    wait = float(erlang_c(slots, load * slots)) * mean / (slots * (1 - load))
    came = MODEL.evaluate(service, rate).wait_ms[0]
    assert came == pytest.approx(wait, rel=0.03, abs=1.0)


def _reference_rows() -> Iterator[dict[str, str]]:
    path = REFERENCE / "iteration_level_reference.csv"
    if not path.exists():
        pytest.skip("the simulated reference data are not beside this checkout")
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["group"] == "core" and row["dist"] != "lognormal":
                yield row


def test_simulated_latencies_are_met() -> None:
    """Mean and p99 of TTFT and ITL are near long simulations, in the median and at worst."""
    rows = list(_reference_rows())

    def column(name: str) -> np.ndarray:
        return np.array([float(row[name]) for row in rows])

    fixed = [row["dist"] == "fixed" for row in rows]
    lengths = [
        Lengths.stack(
            [
                Lengths.fixed(float(r[m])) if f else Lengths.geometric(float(r[m]))
                for r, f in zip(rows, fixed, strict=True)
            ]
        )
        for m in ("in_mean", "out_mean")
    ]
    names = ("alpha", "beta_decode", "beta_prefill", "gamma_kv")
    service = ServiceProcess(
        IterationTiming(*(column(name) for name in names)),
        *lengths,
        column("max_batch"),
        chunk_tokens=column("chunk"),
    )
    bars = {
        "ttft_mean": (Statistic(Metric.TTFT), 0.02, 0.15),
        "ttft_p99": (TTFT_P99, 0.06, 0.2),
        "itl_mean": (Statistic(Metric.ITL), 0.01, 0.03),
        "itl_p99": (Statistic(Metric.ITL, 99), 0.01, 0.08),
    }
    came = MODEL.evaluate(service, column("rate_rps_total"), [s for s, _, _ in bars.values()])
    for name, (statistic, median, worst) in bars.items():
        error = np.abs(came.value(statistic) / column(name) - 1)
        assert np.median(error) <= median, name
        assert error.max() <= worst, name


def _random(rng: np.random.Generator, pairs: int = 16, **changes: np.ndarray) -> ServiceProcess:
    def between(low: float, high: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), pairs))

    drawn = {
        "base": between(5, 25),
        "decode": between(0.01, 0.16),
        "prefill": between(0.01, 0.16),
        "kv": rng.uniform(0, 1e-4, pairs),
        "slots": rng.integers(4, 257, pairs).astype(float),
        "prompt": between(64, 2200),
        "output": between(32, 610),
        "scv": rng.choice([0, 0.5, 1, 2.25], pairs),
        "cache": rng.choice([6.0, 20.0, np.inf], pairs),
    }
    factor = {name: changes.get(name, 1.0) for name in ("base", "slots", "cache")}
    return ServiceProcess(
        IterationTiming(
            drawn["base"] * factor["base"], drawn["decode"], drawn["prefill"], drawn["kv"]
        ),
        drawn["prompt"],
        drawn["output"],
        np.ceil(drawn["slots"] * factor["slots"]),
        input_tokens_scv=drawn["scv"],
        output_tokens_scv=drawn["scv"],
        chunk_tokens=8192,
        kv_capacity_tokens=drawn["cache"] * (drawn["prompt"] + drawn["output"]) * factor["cache"],
    )


@settings(deadline=None, max_examples=6, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    load=st.floats(0.2, 0.97),
    percentile=st.sampled_from([None, 95.0, 99.0]),
    change=st.sampled_from([("base", 0.9), ("slots", 1.3), ("cache", 1.2)]),
)
def test_looser_targets_and_more_resources_never_lower_the_rate(
    seed: int, load: float, percentile: float | None, change: tuple[str, float]
) -> None:
    """The rate for a TTFT rises with the bound, faster iterations, more slots, more KV cache."""
    service = _random(np.random.default_rng(seed))
    statistic = Statistic(Metric.TTFT, percentile)
    capacity = MODEL.max_rate(service, Targets())
    bound = MODEL.evaluate(service, load * capacity, [statistic]).value(statistic)
    rate = MODEL.max_rate(service, Targets((Target(statistic, bound),)))
    looser = MODEL.max_rate(service, Targets((Target(statistic, 1.02 * bound),)))
    assert np.all(looser >= rate * (1 - 1e-6))
    name, factor = change
    richer = _random(np.random.default_rng(seed), **{name: np.array(factor)})
    more = MODEL.max_rate(richer, Targets((Target(statistic, bound),)))
    # Percentiles move in steps of the lattice: a rate may lose what such a step is worth.
    assert np.all(more >= rate * (1 - (1e-5 if percentile is None else 5e-3)))


@settings(deadline=None, max_examples=8, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_nothing_breaks_at_the_extremes(seed: int) -> None:
    """No NaN, no warning, nothing negative, percentiles in order, whatever is asked."""
    rng, pairs = np.random.default_rng(seed), 24

    def one_of(*values: float) -> np.ndarray:
        return rng.choice(values, pairs)

    service = ServiceProcess(
        IterationTiming(
            one_of(0.1, 10, 100), one_of(0, 1e-4, 1), one_of(0, 1e-4, 1), one_of(0, 1e-7, 1e-3)
        ),
        one_of(0, 1, 512, 20000),
        one_of(1, 2, 128, 4000),
        one_of(1, 2, 64, 4096),
        input_tokens_scv=one_of(0, 1, 9),
        output_tokens_scv=one_of(0, 1, 9),
        arrival_scv=one_of(0.1, 1, 20),
        queue_capacity=one_of(0, 1, 1e6, np.inf),
        chunk_tokens=one_of(1, 512, 1e9),
        kv_capacity_tokens=one_of(100, 1e5, np.inf),
        prefix_hit_rate=one_of(0, 0.5, 1),
        draft_tokens=one_of(0, 4),
        acceptance_rate=one_of(0, 0.8, 1),
        replicas=one_of(1, 4, 1000),
        routing=rng.integers(0, 3, pairs),
        role=rng.integers(0, 3, pairs),
    )
    capacity = MODEL.max_rate(service, Targets())
    for load in (0.0, 1e-6, 0.5, 0.999999, 1.5):
        came = MODEL.evaluate(service, load * capacity, EVERYTHING)
        for statistic in EVERYTHING:
            value = came.value(statistic)
            assert np.all(value >= 0), statistic
            assert np.all(np.isfinite(value[came.stable])), statistic
        for metric in Metric:
            p50, p95, p99 = (came.value(Statistic(metric, p)) for p in (50, 95, 99))
            assert np.all(p50 <= p95 * (1 + 1e-6))
            assert np.all(p95 <= p99 * (1 + 1e-6))


def test_roles_routing_and_speculation_change_what_they_should() -> None:
    """Prefill ends at the first token; turns beat random splitting; drafts shorten ITL."""
    timing = IterationTiming(8.0, 0.03, 0.03, 5e-5)
    lengths = Lengths.geometric([512.0]), Lengths.geometric([128.0])
    prefill = ServiceProcess(timing, *lengths, 64, role=Role.PREFILL)
    only = MODEL.evaluate(prefill, 5.0)
    assert only.e2e_ms == pytest.approx(only.ttft_ms)
    assert np.all(only.itl_ms == 0)
    rates = []
    for routing in (Routing.RANDOM, Routing.ROUND_ROBIN, Routing.LEAST_OUTSTANDING):
        service = ServiceProcess(timing, *lengths, 64, replicas=4, routing=routing)
        rates.append(MODEL.max_rate(service, Targets((Target(TTFT_P99, 250.0),)))[0])
    assert rates[0] < rates[1] < rates[2]
    drafting = ServiceProcess(timing, *lengths, 64, draft_tokens=3, acceptance_rate=0.8)
    plain = ServiceProcess(timing, *lengths, 64)
    assert MODEL.evaluate(drafting, 5.0).itl_ms < MODEL.evaluate(plain, 5.0).itl_ms / 2


def test_a_limited_queue_refuses_what_it_cannot_take() -> None:
    """Throughput and blocking add up to the offered rate, also far above capacity."""
    service = limited(iterations(6), 10)
    capacity = RequestWork.of(service).capacity_rps(service.timing)
    came = MODEL.evaluate(service, 3.0 * capacity)
    assert came.stable.all()
    served = 3.0 * capacity * (1 - came.blocking_probability)
    assert came.throughput_rps == pytest.approx(np.minimum(served, capacity), rel=1e-3)
    assert came.blocking_probability == pytest.approx(2 / 3, abs=0.05)


def test_refused_shares_are_those_of_simulation() -> None:
    """Of 12 simulated replicas with 1 to 512 places: refused within 5 %, mean waits within 20 %."""
    (case,) = read_cases(SIMULATED / "limited_queue_simulated.csv")
    came = MODEL.evaluate(case.service, case.rate_rps)
    share, noise = case.column("refused_share"), case.column("refused_share_hw")
    assert np.all(np.abs(came.blocking_probability - share) < 0.05 * share + noise + 2e-4)
    short = case.service.queue_capacity <= 64
    wait, noise = case.column("wait_mean")[short], case.column("wait_mean_hw")[short]
    assert np.all(np.abs(came.wait_ms[short] - wait) < 0.15 * wait + noise)
    alike = (case.column("load") > 1) & np.isfinite(came.wait_ms)
    assert np.all(came.ttft_ms[alike] > 0.7 * case.column("ttft_mean")[alike])
    assert np.all(came.ttft_ms[alike] < 1.2 * case.column("ttft_mean")[alike])


@pytest.mark.parametrize("load", [1.0, 10.0, 1e3, 1e6])
def test_a_long_limited_queue_is_solved_far_above_capacity(load: float) -> None:
    """A million places for each of 16 replicas: what is accepted is the capacity, at any load."""
    timing = IterationTiming(5.0, 0.005, 0.01, 1e-5)
    pooled = Routing.LEAST_OUTSTANDING
    service = ServiceProcess(timing, 128, 500, 3, queue_capacity=1e6, replicas=16, routing=pooled)
    capacity = MODEL.max_rate(service, Targets())
    came = MODEL.evaluate(service, load * capacity, EVERYTHING)
    assert came.throughput_rps == pytest.approx(capacity, rel=1e-5)
    assert came.blocking_probability == pytest.approx(1.0 - 1.0 / load, rel=1e-5, abs=1e-5)
    assert all(np.isfinite(came.value(statistic)) for statistic in EVERYTHING)


def test_equal_pairs_are_sized_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty pairs of which four differ, in several dimensions: four pairs' work, sixty rates."""
    base = iterations(4, seed=3)
    bounds = np.array([300.0, 500.0, 800.0, 2000.0])
    alone = MODEL.max_rate(base, Targets((Target(Statistic(Metric.TTFT, 99), bounds),)))
    which = np.random.default_rng(0).integers(0, 4, 60)
    solved: list[int] = []
    honest = points.excesses

    def counting(known: points.Pairs, pairs: np.ndarray, *rest: np.ndarray) -> np.ndarray:
        solved.append(known.table.base.size)
        return honest(known, pairs, *rest)

    monkeypatch.setattr(points, "excesses", counting)
    target = Target(Statistic(Metric.TTFT, 99), bounds[which].reshape(6, 10))
    repeated = base.take(which)
    square = ServiceProcess(
        repeated.timing.reshape((6, 10)),
        repeated.input_tokens.reshape(6, 10),
        repeated.output_tokens.reshape(6, 10),
        repeated.max_batch.reshape(6, 10),
        output_tokens_scv=repeated.output_tokens_scv.reshape(6, 10),
        chunk_tokens=repeated.chunk_tokens.reshape(6, 10),
    )
    rates = MODEL.max_rate(square, Targets((target,)))
    assert rates == pytest.approx(alone[which].reshape(6, 10), rel=1e-12)
    assert set(solved) == {4}


@pytest.mark.parametrize("metric", [Metric.TTFT, Metric.ITL])
@pytest.mark.parametrize("percentile", [None, 99])
def test_a_slightly_looser_target_never_lowers_the_rate(
    metric: Metric, percentile: float | None
) -> None:
    """Bounds that differ by 1e-5 to 5 %: rates fall by less than the search's last step, 1e-7."""
    rng = np.random.default_rng(5)
    service = _varied(iterations(24, seed=11))
    capacity = MODEL.max_rate(service, Targets())
    statistic = Statistic(metric, percentile)
    bound = MODEL.evaluate(service, 0.5 * capacity, [statistic]).value(statistic)
    before = MODEL.max_rate(service, Targets((Target(statistic, bound),)))
    for _ in range(8):
        bound = bound * (1 + 10 ** rng.uniform(-5, -1.3, bound.size))
        rate = MODEL.max_rate(service, Targets((Target(statistic, bound),)))
        assert np.all(rate >= before - 1e-7 * capacity)
        before = rate


def test_targets_broken_without_load_are_found_without_a_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Just below what an empty replica takes nothing is evaluated; a little above, a rate is."""
    service = ServiceProcess(IterationTiming(8.0, 0.03, 0.05), 200, 100, 64)
    least = {Metric.TTFT: 18.0, Metric.ITL: 8.0, Metric.TPOT: 8.0, Metric.E2E: 18.0 + 99 * 8.0}
    for metric, bound in least.items():
        enough = Targets((Target(Statistic(metric), 1.05 * bound),))
        assert MODEL.max_rate(service, enough) > 0
    monkeypatch.setattr(points, "excesses", lambda *_: pytest.fail("was evaluated"))
    for metric, bound in least.items():
        assert MODEL.max_rate(service, Targets((Target(Statistic(metric), 0.999 * bound),))) == 0


def test_a_target_without_bound_does_not_matter() -> None:
    """Pairs without a bound on a statistic are sized by the others, or by capacity."""
    service = iterations(4)
    capacity = MODEL.max_rate(service, Targets())
    for statistic in EVERYTHING:
        targets = Targets((Target(statistic, np.inf),))
        assert MODEL.max_rate(service, targets) == pytest.approx(capacity, rel=1e-9), statistic


def test_other_timings_are_refused_in_words() -> None:
    """Times that are not linear in the work of an iteration are not its business."""
    service = ServiceProcess(PrefillDecodeTiming(20, 0.4, 160, 0.0125), [512], 256, 64)
    with pytest.raises(OutsideValidityError, match="timing must be IterationTiming"):
        MODEL.evaluate(service, 1.0)


def _forget_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the package's modules loaded again in a world without numba."""
    loaded = [m for m in sys.modules if m.startswith("queue_models.iteration_level.")]
    for module in [*loaded, "queue_models.compilation"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "numba", None)


def test_without_numba_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same source, run as Python, gives means and percentiles that agree to rounding."""
    service = iterations(3)
    rate = 0.8 * MODEL.max_rate(service, Targets())
    compiled = MODEL.evaluate(service, rate, EVERYTHING)
    _forget_numba(monkeypatch)
    assert not importlib.import_module("queue_models.compilation").COMPILED
    plain = MODEL.evaluate(service, rate, EVERYTHING)
    for statistic in EVERYTHING:
        assert plain.value(statistic) == pytest.approx(compiled.value(statistic), rel=1e-7)
