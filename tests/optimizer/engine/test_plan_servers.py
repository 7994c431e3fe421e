"""What a plan's allocations are simulated with: pools, parts of a load, buckets, other loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optimizer.engine import (
    ConstantRate,
    OfferedLoad,
    PeriodicRate,
    SimulationError,
    WorkloadError,
    parse_arrivals,
    parse_lengths,
    parse_statistic,
    read_trace,
    simulate,
    verify,
)
from optimizer.engine.plan_servers import PlanServers
from optimizer.engine.workload import LengthPairs, ThinnedWorkload
from optimizer.fleet import FleetPlan, optimize
from optimizer.spec import FleetSpec, from_data, load
from queue_models import Metric, Statistic

QUICK = {"least_requests": 2000, "most_requests": 8000, "precision": 0.1}
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def _fleet(**service: Any) -> FleetSpec:
    """Two accelerators, each too scarce for the whole of one service."""
    timing = {"base_ms": 8.0, "decode_ms_per_token": 0.2, "prefill_ms_per_token": 0.02}
    slow = {"base_ms": 16.0, "decode_ms_per_token": 0.5, "prefill_ms_per_token": 0.05}
    data = {
        "accelerators": [
            {"name": "fast", "cost_per_hour": 4.0},
            {"name": "slow", "cost_per_hour": 1.0},
        ],
        "capacities": [{"type": "fast", "cards": 2}, {"type": "slow", "cards": 4}],
        "models": [{"name": "m"}],
        "performance": [
            {"model": "m", "accelerator": "fast", "max_batch": 32, "iteration": timing},
            {"model": "m", "accelerator": "slow", "max_batch": 16, "iteration": slow},
        ],
        "classes": [
            {
                "name": "c",
                "priority": 1,
                "slos": [
                    {
                        "targets": [
                            {"metric": "ttft_ms", "bound": 400.0},
                            {"metric": "itl_ms", "bound": 40.0},
                        ]
                    }
                ],
            }
        ],
        "services": [
            {
                "name": "s",
                "model": "m",
                "class": "c",
                "load": {
                    "arrival_rate_rps": 40.0,
                    "input_tokens": 300.0,
                    "output_tokens": 100.0,
                    "arrival_scv": 4.0,
                },
                "allocation": "split",
            }
            | service
        ],
    }
    return from_data(data)


def test_a_prefill_and_a_decode_pool_are_one_service() -> None:
    """The example's pools, simulated together, come out near their prediction: TTFT from the one,
    gaps that hold transfer and wait from the other."""
    plan = optimize(load(EXAMPLES / "disaggregated.yaml"))
    found = simulate(plan, services=["chat"], least_requests=20_000, precision=0.1)
    (chat,) = found.services
    assert chat.decode is not None
    assert (chat.replicas, chat.decode.replicas) == tuple(
        a.replicas for a in plan.allocations_of("chat")
    )
    rows = {(row.metric, row.statistic): row for row in chat.statistics}
    for metric, near in (("ttft_ms", 0.1), ("itl_ms", 0.05), ("e2e_ms", 0.05)):
        row = rows[metric, "mean"]
        assert row.simulated == pytest.approx(row.predicted, rel=near)
    assert chat.decode.usage is not None
    assert chat.usage is not None
    assert chat.decode.usage.output_tokens_per_s == pytest.approx(8.0 * 249, rel=0.05)
    assert found.holds


def test_pools_of_a_plan_can_be_verified() -> None:
    """The loop of `--verify` takes plans with pools, and counts what a pair carries once."""
    verified = verify(load(EXAMPLES / "disaggregated.yaml"), simulation=QUICK)
    assert verified.outcome == "holds"


def test_each_part_of_a_split_service_gets_its_share() -> None:
    """Arrivals with an SCV of 4 that are spread at random: each part has its share of the rate,
    and gaps less bursty, of SCV 1 + share (4 - 1)."""
    plan = optimize(_fleet())
    parts = plan.allocations_of("s")
    assert len(parts) == 2
    for allocation in parts:
        asked = PlanServers(plan, _fleet()).simulation([allocation], OfferedLoad())
        assert isinstance(asked.workload, ThinnedWorkload)
        assert asked.workload.rate_rps == pytest.approx(allocation.admitted_rate_rps)
        pieces = asked.workload.pieces(65536, np.random.SeedSequence(1))
        times = np.concatenate([next(pieces).arrival_ms for _ in range(12)])
        gaps = np.diff(times)
        assert 1e3 / gaps.mean() == pytest.approx(allocation.admitted_rate_rps, rel=0.03)
        scv = 1.0 + 3.0 * allocation.admitted_rate_rps / 40.0
        assert gaps.var() / gaps.mean() ** 2 == pytest.approx(scv, rel=0.06)
    found = simulate(plan, **QUICK)
    assert [s.accelerator for s in found.services] == [a.accelerator for a in parts]
    assert sum(s.throughput_rps or 0.0 for s in found.services) == pytest.approx(40.0, rel=0.1)


def test_buckets_are_simulated_where_they_are_routed() -> None:
    """Prompts and outputs of an allocation are those of its buckets, as often as they come."""
    buckets = {
        "shares": [[0.5, 0.2], [0.2, 0.1]],
        "input_tokens": [100.0, 1500.0],
        "output_tokens": [50.0, 400.0],
    }
    asked_for = {"arrival_rate_rps": 12.0, "input_tokens": 380.0, "output_tokens": 155.0}
    spec = _fleet(length_buckets=buckets, load=asked_for)
    plan = optimize(spec)
    for allocation in plan.allocations:
        asked = PlanServers(plan, spec).simulation([allocation], OfferedLoad())
        piece = next(asked.workload.pieces(65536, np.random.SeedSequence(1)))
        for route in allocation.routes:
            here = (piece.prompt == buckets["input_tokens"][route.input_row]) & (
                piece.output == buckets["output_tokens"][route.output_column]
            )
            share = route.rate_rps / allocation.admitted_rate_rps
            assert here.mean() == pytest.approx(share, abs=0.02)
    found = simulate(plan, **QUICK)
    assert all(s.skipped is None for s in found.services)
    other = OfferedLoad(input_lengths=parse_lengths("fixed:9"))
    skipped = simulate(plan, loads={"s": other}, **QUICK).services[0].skipped
    assert skipped is not None
    assert "routed by the buckets" in skipped


def test_spares_are_left_out_as_in_the_prediction() -> None:
    """A spare replica is not needed for the promise, and does not help to keep it."""
    service = {"spares": 1, "allocation": "choose", "load": {
        "arrival_rate_rps": 10.0, "input_tokens": 300.0, "output_tokens": 100.0}}  # fmt: skip
    plan = optimize(_fleet(**service))
    (found,) = simulate(plan, **QUICK).services
    assert found.replicas == plan.allocation("s").replicas - 1
    assert found.notes == ("1 spare replica left out",)


def test_what_is_loaded_from_a_store_takes_its_time() -> None:
    """A store that each replica has keeps the plan's promise; the one that two services share is
    busy for longer, and whoever loads from it waits for the others."""
    fleet = load(EXAMPLES / "kv-storage.yaml")
    plan = optimize(fleet)
    own, shared = (plan.allocation(name) for name in ("support", "assistant"))
    assert own.storage is not None
    assert shared.storage is not None
    assert (own.storage.store, shared.storage.store) == ("nvme", "cache")
    simulated = simulate(plan, services=["support", "assistant"], **QUICK).services
    found = {one.service: one for one in simulated}
    ttft = {name: one.statistics[0] for name, one in found.items()}
    assert ttft["support"].simulated == pytest.approx(own.ttft_ms, rel=0.1)
    assert ttft["assistant"].simulated > shared.ttft_ms + 20.0
    usages = [one.usage for one in found.values()]
    assert usages[0].store_busy < 0.3 < usages[1].store_busy < 0.8
    assert usages[0].loading_ms < usages[1].loading_ms
    changed = fleet.model_copy(update={"stores": ()})
    with pytest.raises(SimulationError, match="loads KV caches from 'nvme' in this plan"):
        simulate(plan, changed, services=["support"], **QUICK)


@pytest.fixture(scope="module")
def plan() -> FleetPlan:
    service = {"allocation": "choose", "load": {
        "arrival_rate_rps": 10.0, "input_tokens": 300.0, "output_tokens": 100.0}}  # fmt: skip
    return optimize(_fleet(**service))


def test_a_trace_replaces_the_load(plan: FleetPlan, tmp_path: Path) -> None:
    """At the service's rate, or its own; its first tenth does not count; lengths are its own."""
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.exponential(0.2, 1100))
    lines = [f"{t},{40},{5 + k % 7}" for k, t in enumerate(times)]
    file = tmp_path / "trace.csv"
    file.write_text("\n".join(["arrival_s,input_tokens,output_tokens", *lines]))
    trace = read_trace(file)
    for as_recorded, rate in ((False, 10.0), (True, 5.0)):
        offered = OfferedLoad(trace=trace, as_recorded=as_recorded, words="a trace")
        (found,) = simulate(plan, loads={"": offered}, **QUICK).services
        assert found.arrival_rate_rps == pytest.approx(rate, rel=0.1)
        assert found.requests == 1000
        assert found.load == "a trace"
        assert found.usage is not None
        assert found.usage.output_tokens_per_s == pytest.approx(8.0 * rate, rel=0.1)
    with pytest.raises(WorkloadError, match="its own arrivals and lengths"):
        OfferedLoad(trace=trace, scv=4.0)
    with pytest.raises(SimulationError, match="'nobody' has no allocation"):
        simulate(plan, loads={"nobody": offered}, **QUICK)


def test_bursts_are_worse_than_poisson(plan: FleetPlan) -> None:
    """The same mean rate in bursts: TTFT rises, ITL hardly; lengths in place of the fleet's."""
    rate, scv = parse_arrivals("mmpp:1@20,6@5")
    bursts = OfferedLoad(rate=rate, scv=scv)
    means = [
        {(r.metric, r.statistic): r.simulated for r in simulate(plan, loads=loads, **QUICK)
         .services[0].statistics}["ttft_ms", "p99"]
        for loads in ({}, {"s": bursts})
    ]  # fmt: skip
    assert means[1] > 1.2 * means[0]
    short = OfferedLoad(output_lengths=parse_lengths("geometric:10"))
    (found,) = simulate(plan, loads={"s": short}, **QUICK).services
    assert found.usage is not None
    assert found.usage.output_tokens_per_s == pytest.approx(100.0, rel=0.1)


def test_whole_periods_are_replicated(plan: FleetPlan) -> None:
    """Where the rate comes round, five runs of whole periods make the intervals."""
    day = OfferedLoad(rate=PeriodicRate((5.0, 15.0), 30.0))
    (found,) = simulate(plan, loads={"s": day}, **{**QUICK, "precision": 0.3}).services
    assert found.replications == 5
    assert found.requests >= 5 * 2400
    assert found.attainment_half_width is not None


def test_runs_that_are_independent_widen_no_batches(plan: FleetPlan) -> None:
    """Replications agree with the long run within both intervals, and go on until precise."""
    long = simulate(plan, least_requests=20_000, most_requests=20_000).services[0]
    some = simulate(plan, least_requests=5000, most_requests=50_000, replications=4,
                    precise=[Statistic(Metric.ITL)], precision=0.05).services[0]  # fmt: skip
    assert some.replications >= 4
    assert some.precise
    for one, other in zip(long.statistics, some.statistics, strict=True):
        assert one.simulated is not None
        assert other.simulated is not None
        width = (one.half_width or 0.0) + (other.half_width or 0.0)
        assert abs(one.simulated - other.simulated) <= 2.0 * width
    with pytest.raises(SimulationError, match="from 2 to 1000"):
        simulate(plan, replications=1)


def test_precision_is_asked_of_the_figures_named(plan: FleetPlan) -> None:
    """The mean is precise long before a far percentile is."""
    options = {"least_requests": 4000, "most_requests": 4000, "precision": 0.05}
    rows = [
        simulate(plan, precise=[Statistic(Metric.ITL)], **options).services[0],
        simulate(plan, precise=[Statistic(Metric.TTFT, 99.9)], **options).services[0],
    ]
    assert [row.precise for row in rows] == [True, False]
    assert any(row.statistic == "p99.9" for row in rows[1].statistics)


def test_an_interrupted_simulation_keeps_what_is_done(plan: FleetPlan) -> None:
    """Stopped after a while: figures with wider intervals; at once: nothing, and that is said."""
    asked = 0

    def soon() -> bool:
        nonlocal asked
        asked += 1
        return asked > 40

    found = simulate(plan, stopped=soon, least_requests=50_000)
    assert found.interrupted
    assert 0 < found.services[0].requests < 50_000
    assert found.services[0].precise is False
    none = simulate(plan, stopped=lambda: True)
    assert none.services[0].skipped == "interrupted before its turn"
    asked = 38
    little = simulate(plan, stopped=soon, least_requests=50_000)
    assert little.services[0].skipped == "interrupted before anything was measured"


def test_distributions_rise_and_meet_the_percentiles(plan: FleetPlan) -> None:
    """The p99 of a distribution is the p99 that is told."""
    (found,) = simulate(plan, **QUICK).services
    rows = {(row.metric, row.statistic): row.simulated for row in found.statistics}
    assert [one.metric for one in found.distributions] == ["ttft_ms", "itl_ms", "e2e_ms"]
    for one in found.distributions:
        assert list(one.values) == sorted(one.values)
        p99 = one.values[one.shares.index(0.99)]
        assert p99 == pytest.approx(rows[one.metric, "p99"])


def test_pairs_of_lengths_mix_their_neighbours() -> None:
    """A length of 10.5 is 10 and 11 by halves; none is below one."""
    pairs = LengthPairs(np.array([10.5, 0.2]), np.array([3.0, 4.0]), np.array([1.0, 1.0]))
    prompt, output = pairs.draw(4000, np.random.default_rng(1))
    assert set(prompt.tolist()) == {1, 10, 11}
    assert prompt[output == 3].mean() == pytest.approx(10.5, abs=0.05)


@pytest.mark.parametrize(
    ("text", "mean", "scv"),
    [("poisson", 1.0, 1.0), ("gamma:4", 1.0, 4.0), ("mmpp:1@60,4@20", 1.75, 1.0),
     ("diurnal:0.5:9", 1.0, 1.0), ("diurnal", 1.0, 1.0), ("periodic:60:1,3", 2.0, 1.0)],
)  # fmt: skip
def test_arrivals_are_read(text: str, mean: float, scv: float) -> None:
    """Every process by its name, brought to the service's mean rate."""
    rate, variability = parse_arrivals(text)
    assert rate is not None
    assert rate.mean_rps == pytest.approx(mean)
    assert variability == scv
    arrivals = OfferedLoad(rate=rate, scv=scv).arrivals(7.0, 9.0)
    assert arrivals.rate.mean_rps == pytest.approx(7.0)
    assert arrivals.scv == scv
    assert OfferedLoad().arrivals(7.0, 9.0).rate == ConstantRate(7.0)


@pytest.mark.parametrize(
    "text", ["", "poison", "gamma", "gamma:0", "gamma:nan", "gamma:inf", "mmpp:1", "mmpp:1@60",
             "mmpp:1@x,2@3", "diurnal:2", "diurnal:0.5:1:2", "periodic:60", "periodic:0:1,2",
             "periodic:60:0,0", "poisson:3"],
)  # fmt: skip
def test_arrivals_that_are_none_say_what_is_wanted(text: str) -> None:
    """No process by that name, or numbers out of range."""
    with pytest.raises(WorkloadError, match="arrivals '"):
        parse_arrivals(text)


@pytest.mark.parametrize(
    "text", ["", "fixed", "fixed:0", "fixed:-3", "fixed:nan", "lognormal:9", "lognormal:9:x",
             "geometric:0.5", "empirical:", "uniform:1:2"],
)  # fmt: skip
def test_lengths_that_are_none_say_what_is_wanted(text: str) -> None:
    """No distribution by that name, or numbers out of range."""
    with pytest.raises(WorkloadError, match="wanted fixed:TOKENS"):
        parse_lengths(text)


def test_statistics_are_read() -> None:
    """Metric and mean or percentile, and nothing else."""
    assert parse_statistic("ttft_p99.9") == Statistic(Metric.TTFT, 99.9)
    assert parse_statistic("itl_ms_mean") == Statistic(Metric.ITL)
    for text in ("", "ttft", "ttft_p0", "ttft_p100", "speed_mean", "ttft_median"):
        with pytest.raises(WorkloadError, match="as in ttft_p99"):
            parse_statistic(text)
