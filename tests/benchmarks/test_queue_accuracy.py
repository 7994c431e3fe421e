"""Simulated continuous batching: against exact queues, a plain simulator and the shared table."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.queue_accuracy import kernel
from benchmarks.queue_accuracy.configurations import (
    GROUPS,
    Configuration,
    LengthLaw,
    random_configurations,
)
from benchmarks.queue_accuracy.reference_table import (
    read_configurations,
    rows_of,
    write_table,
)
from benchmarks.queue_accuracy.sampling import arrival_times_ms, lengths
from benchmarks.queue_accuracy.simulation import measure, saturation_throughput_rps, serve
from tests.benchmarks import token_by_token

SHARED_TABLE = "iteration_level_reference.csv"
# The shared simulation cuts lognormal lengths there.
SHARED_LENGTH_LIMIT = 15_000
JUDGED = ("ttft_mean", "ttft_p95", "wait_mean", "itl_mean", "itl_p95", "e2e_mean", "iter_mean")

SMALL = Configuration(
    group="core",
    name="small",
    base_ms=8.0,
    decode_ms=0.03,
    prefill_ms=0.05,
    kv_ms=1e-4,
    inputs=LengthLaw("geometric", 300, 1.0),
    outputs=LengthLaw("geometric", 20, 1.0),
    max_batch=8,
    chunk_tokens=256,
)
VARIANTS = {
    "plain": SMALL,
    "kv_limited": replace(SMALL, kv_capacity=1500.0),
    "prefix_hits": replace(SMALL, prefix_hit_rate=0.6),
    "prefill_only": replace(SMALL, role="prefill"),
    "decode_only": replace(SMALL, role="decode"),
    "speculative": replace(SMALL, draft_tokens=3, acceptance=0.7),
    "replicas": replace(SMALL, replicas=3, routing="jsq"),
}


def _served(configuration: Configuration, rate_rps: float, count: int, seed: int = 7):
    rng = np.random.default_rng(seed)
    arrivals = arrival_times_ms("poisson", rate_rps, 1.0, count, rng)
    return serve(configuration, arrivals, rng)


def _mean_and_half_width(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), 3.182 * float(np.std(values, ddof=1)) / 2


def _slots_only(outputs: LengthLaw, slots: int) -> Configuration:
    """An engine whose iterations take 1 ms whatever is in them: a queue with `slots` servers."""
    return Configuration(
        "slots", "slots", 1.0, 0.0, 0.0, 0.0, LengthLaw("fixed", 1, 0.0), outputs, slots
    )


def _mean_wait(configuration: Configuration, rate_rps: float, count: int) -> tuple[float, float]:
    streams = np.random.SeedSequence(3).spawn(4)
    runs = [measure(configuration, rate_rps, count, stream) for stream in streams]
    return _mean_and_half_width([run["wait_mean"] for run in runs])


def test_exponential_service_in_slots_waits_as_long_as_in_mmc():
    """With constant iterations and long geometric outputs it is M/M/c, seen at whole iterations."""
    slots, mean, load = 4, 300, 0.7
    offered = slots * load
    blocking = 1.0
    for servers in range(1, slots + 1):
        blocking = offered * blocking / (servers + offered * blocking)
    delayed = blocking / (1 - load * (1 - blocking))
    exact = delayed * mean / (slots * (1 - load))
    wait, half_width = _mean_wait(
        _slots_only(LengthLaw("geometric", mean, 1.0), slots), 1e3 * offered / mean, 100_000
    )
    assert exact - 1.5 * half_width < wait < exact + 1 + 1.5 * half_width
    assert half_width < 0.1 * exact


@pytest.mark.parametrize("places", [0, 3])
def test_a_limited_queue_refuses_the_share_of_mmck(places):
    """With constant iterations and long geometric outputs refusals are those of M/M/c/K."""
    slots, mean, load = 4, 300, 0.9
    weights = np.array(
        [load**n * slots**n / math.factorial(n) for n in range(slots)]
        + [load**n * slots**slots / math.factorial(slots) for n in range(slots, slots + places + 1)]
    )
    exact = weights[-1] / weights.sum()
    configuration = replace(
        _slots_only(LengthLaw("geometric", mean, 1.0), slots), queue_places=places
    )
    streams = np.random.SeedSequence(3).spawn(4)
    runs = [measure(configuration, 1e3 * slots * load / mean, 50_000, s) for s in streams]
    share, half_width = _mean_and_half_width([run["refused_share"] for run in runs])
    assert abs(share - exact) < 1.5 * half_width + 0.002
    assert half_width < 0.05 * exact


@pytest.mark.parametrize("slots", [1, 4])
def test_fixed_service_in_slots_waits_as_long_as_in_mdc(slots):
    """With constant iterations and fixed outputs it is M/D/c: its chain at multiples of D."""
    mean, load = 300, 0.7
    offered = slots * load
    states = np.arange(120)
    logs = -offered + states * math.log(offered) - np.cumsum(np.log(np.maximum(states, 1)))
    arrivals = np.exp(logs)
    present = np.zeros(states.size)
    present[0] = 1.0
    for _ in range(2000):
        left = np.concatenate([[present[: slots + 1].sum()], present[slots + 1 :]])
        present = np.convolve(left, arrivals)[: states.size]
    exact = float(np.maximum(states - slots, 0) @ present) * mean / offered
    wait, half_width = _mean_wait(
        _slots_only(LengthLaw("fixed", mean, 0.0), slots), 1e3 * offered / mean, 100_000
    )
    assert exact - 1.5 * half_width < wait < exact + 1 + 1.5 * half_width
    assert half_width < 0.1 * exact


@pytest.mark.parametrize(
    "name", [name for name in VARIANTS if name not in ("speculative", "replicas")]
)
def test_times_are_those_of_a_simulation_token_by_token(name):
    """Every admission, first token and end is that of a plain simulator, also in overload."""
    configuration = VARIANTS[name]
    served, _ = _served(configuration, 20.0, 300)
    count = served.arrival.size
    cached = np.zeros(count, dtype=int)
    if configuration.role == "decode":
        cached = served.prompt
    if configuration.prefix_hit_rate > 0:
        hits = np.floor(configuration.prefix_hit_rate * served.prompt).astype(int)
        cached = np.minimum(hits, served.prompt - 1)
    plain = [
        token_by_token.Request(*map(float, row[:1]), *map(int, row[1:]))
        for row in zip(served.arrival, served.prompt, served.output, cached, strict=True)
    ]
    token_by_token.serve(configuration, plain)
    for field in ("admitted", "first_token", "finished"):
        expected = [getattr(request, field) for request in plain]
        np.testing.assert_allclose(getattr(served, field), expected, rtol=1e-12, err_msg=field)


@pytest.mark.parametrize("name", VARIANTS)
def test_tokens_are_conserved_and_times_in_order(name):
    """Prompt tokens computed and tokens emitted are those that were asked for."""
    configuration = VARIANTS[name]
    served, window = _served(configuration, 15.0, 5000)
    elsewhere = configuration.role == "decode"
    assert window.sums[kernel.ALL_OUTPUT] == served.output.sum() - elsewhere * served.output.size
    hits = np.floor(configuration.prefix_hit_rate * served.prompt).astype(int)
    computed = 0 if elsewhere else np.maximum(1, served.prompt - hits).sum()
    assert window.sums[kernel.ALL_PROMPT] == computed
    assert np.all(served.prompt_left == 0)
    assert np.all(served.arrival <= served.admitted)
    assert np.all(served.admitted < served.first_token)
    assert np.all(served.first_token <= served.finished)


def test_slots_and_reserved_cache_are_never_exceeded():
    """At every admission, those present fit the batch, and their last tokens the KV cache."""
    configuration = VARIANTS["kv_limited"]
    served, _ = _served(configuration, 30.0, 2000)
    needed = served.prompt + served.output
    for now in np.unique(served.admitted):
        present = (served.admitted <= now) & (served.finished > now)
        assert present.sum() <= configuration.max_batch
        assert present.sum() == 1 or needed[present].sum() <= configuration.kv_capacity


def test_accepted_drafts_shorten_a_lone_response():
    """With every draft accepted, n tokens after the first take ceil(n/(1 + k)) iterations."""
    configuration = replace(
        SMALL,
        kv_ms=0.0,
        inputs=LengthLaw("fixed", 100, 0.0),
        outputs=LengthLaw("fixed", 12, 0.0),
        draft_tokens=3,
        acceptance=1.0,
    )
    served, window = serve(configuration, np.array([5.0]), np.random.default_rng(0))
    assert served.first_token[0] == pytest.approx(5 + 8 + 0.05 * 100)
    assert served.finished[0] - served.first_token[0] == pytest.approx(3 * (8 + 4 * 0.03))
    assert window.sums[kernel.TOKENS] == 11


def test_acceptance_yields_the_expected_tokens_of_a_verification():
    """Long outputs take (1 - p)/(1 - p^(k+1)) iterations a token."""
    drafts, acceptance = 3, 0.7
    configuration = replace(
        SMALL,
        decode_ms=0.0,
        kv_ms=0.0,
        outputs=LengthLaw("fixed", 3001, 0.0),
        draft_tokens=drafts,
        acceptance=acceptance,
    )
    served, _ = _served(configuration, 0.01, 100)
    iterations = (served.finished - served.first_token) / configuration.base_ms
    yielded = (1 - acceptance ** (drafts + 1)) / (1 - acceptance)
    assert iterations.mean() == pytest.approx(3000 / yielded, rel=5e-3)


@pytest.mark.parametrize("routing", ["random", "round_robin", "jsq"])
def test_replicas_share_what_arrives(routing):
    """Evenly fed replicas carry as much each as one alone with its share of the rate."""
    configuration = replace(SMALL, replicas=4, routing=routing)
    stream = np.random.SeedSequence(5)
    together = measure(configuration, 40.0, 40_000, stream)
    alone = measure(SMALL, 10.0, 40_000, stream)
    assert together["throughput_rps"] == pytest.approx(40.0, rel=0.03)
    if routing == "random":
        assert together["ttft_mean"] == pytest.approx(alone["ttft_mean"], rel=0.06)
    else:
        assert together["ttft_mean"] < 0.97 * alone["ttft_mean"]


def test_saturated_throughput_is_that_of_the_work():
    """Without chunk limit: capacity is B/(alpha K + B w), K iterations and w ms of own work."""
    configuration = replace(SMALL, chunk_tokens=10**9)
    prompt, output = 300.0, 20.0
    pairs = (2 * output**2 - output - output) / 2  # E[Lo (Lo - 1)]/2, geometric
    own = 0.05 * prompt + 0.03 * (output - 1) + 1e-4 * (prompt * output + pairs)
    exact = 1e3 * 8 / (8.0 * output + 8 * own)
    simulated = saturation_throughput_rps(configuration, 100_000, np.random.SeedSequence(1))
    assert simulated == pytest.approx(exact, rel=0.01)


def test_the_same_seed_gives_the_same_run():
    """A run is a function of configuration, rate, length and seed."""
    configuration = replace(VARIANTS["speculative"], replicas=2)
    first, again, other = (
        measure(configuration, 20.0, 2000, np.random.SeedSequence(seed)) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(("kind", "scv"), [("poisson", 1.0), ("gamma", 4.0), ("mmpp2", 1.0)])
def test_arrivals_have_the_rate_and_variability_asked_for(kind, scv):
    """Rates hold for every kind; gaps of the renewal kinds have their SCV."""
    rng = np.random.default_rng(11)
    arrivals = arrival_times_ms(kind, 100.0, scv, 400_000, rng)
    gaps = np.diff(arrivals)
    assert np.all(gaps >= 0)
    assert 1e3 / gaps.mean() == pytest.approx(100.0, rel=0.05)
    if kind == "mmpp2":
        per_second = np.bincount((arrivals / 1e3).astype(int))
        # Poisson counts would have a ratio of 1; the states add the square of half the rate.
        assert per_second.var() / per_second.mean() == pytest.approx(1 + 50**2 / 100, rel=0.15)
    else:
        assert gaps.var() / gaps.mean() ** 2 == pytest.approx(scv, rel=0.05)


@pytest.mark.parametrize(
    "law",
    [
        LengthLaw("fixed", 12.25, 0.0),
        LengthLaw("geometric", 50, 0.989949),
        LengthLaw("lognormal", 400, 1.0),
        LengthLaw.empirical((10, 100, 1000), (2.0, 1.0, 1.0)),
    ],
    ids=lambda law: law.family,
)
def test_lengths_have_their_moments_and_are_at_least_one(law):
    """Means and coefficients of variation are those of the law."""
    drawn = lengths(law, 400_000, np.random.default_rng(2))
    assert drawn.dtype == np.int64
    assert drawn.min() >= 1
    assert drawn.mean() == pytest.approx(law.mean, rel=0.01)
    assert drawn.std() / drawn.mean() == pytest.approx(law.cv, rel=0.03, abs=0.05)
    assert lengths(replace(law, limit=20), 1000, np.random.default_rng(2)).max() <= 20


def test_tables_are_read_back_as_the_configurations_that_made_them(tmp_path: Path):
    """What a row says of its configuration is all of it, for every group."""
    made = [
        configuration for group in GROUPS for configuration in random_configurations(group, 4, 9)
    ]
    path = tmp_path / "table.csv"
    rows = (row for c in made for row in rows_of(c, seed=1, scale=1e-3, loads=[0.5]))
    write_table(rows, path)
    read = [
        (configuration, row)
        for configuration, row in read_configurations(path)
        if float(row["load"]) < 1
    ]
    for configuration, (again, row) in zip(made, read, strict=True):
        for law in (again.inputs, again.outputs):
            assert law.family == configuration.inputs.family
        comparable = replace(configuration, loads=again.loads)
        assert replace(again, inputs=comparable.inputs, outputs=comparable.outputs) == comparable
        for side in ("inputs", "outputs"):
            expected, found = getattr(comparable, side), getattr(again, side)
            assert found.values == expected.values
            assert found.mean == pytest.approx(expected.mean, rel=1e-4)
            assert found.cv == pytest.approx(expected.cv, rel=1e-4)
        offered = 0.5 * configuration.replicas * float(row["capacity_rps_per_replica"])
        assert float(row["rate_rps_total"]) == pytest.approx(offered)


def test_unseen_ranges_go_where_the_design_did_not():
    """Another set of batches, and of bases beyond 5 to 25 ms, from the same seed."""
    design, unseen = (
        list(random_configurations("core", 40, 3, ranges)) for ranges in ("design", "unseen")
    )
    assert {c.max_batch for c in unseen} == {6, 12, 24, 48, 96, 192}
    assert not {c.max_batch for c in unseen} & {c.max_batch for c in design}
    assert any(not 5 <= c.base_ms <= 25 for c in unseen)
    assert all(4 <= c.base_ms <= 30 for c in unseen)


def test_committed_rows_are_those_of_the_simulation(repository: Path):
    """Rows simulated again, shorter and with another seed, agree within joint half-widths."""
    path = repository / "tests" / "queue_models" / "data" / "iteration_level_simulated.csv"
    compared, far = 0, {}
    for configuration, row in read_configurations(path):
        if float(row["load"]) != 0.5 or not configuration.name.endswith("_01"):
            continue
        again = list(rows_of(configuration, seed=99, scale=0.05, loads=[0.5]))[-1]
        for name in ("ttft_mean", "ttft_p95", "wait_mean", "itl_mean", "itl_p95"):
            if row[name]:
                joint = math.hypot(float(row[f"{name}_hw"]), float(again[f"{name}_hw"]))
                compared += 1
                distance = abs(float(row[name]) - float(again[name])) / joint
                if distance > 1:
                    far[configuration.name, name] = distance
    # Limited queues have a table of their own; a replica that only prefills has no ITL.
    assert compared == 5 * (len(GROUPS) - 1) - 2
    assert len(far) <= 0.15 * compared, far
    assert max(far.values(), default=0.0) < 3, far


def _misses(
    shared_data: Path, cases: set[int] | None, scale: float
) -> tuple[int, dict[tuple[int, str], float]]:
    """Compare with the shared rows: how many figures, and distances above one joint half-width."""
    compared, misses = 0, {}
    for configuration, row in read_configurations(shared_data / SHARED_TABLE):
        case = int(row["case_id"])
        if cases is not None and case not in cases:
            continue
        limited = replace(
            configuration,
            inputs=replace(configuration.inputs, limit=SHARED_LENGTH_LIMIT),
            outputs=replace(configuration.outputs, limit=SHARED_LENGTH_LIMIT),
        )
        rate, count = float(row["rate_rps_total"]), int(scale * int(row["n_requests"]) / 4)
        runs = [
            measure(limited, rate, count, stream)
            for stream in np.random.SeedSequence(case).spawn(4)
        ]
        for name in JUDGED:
            mean, half_width = _mean_and_half_width([run[name] for run in runs])
            # The shared percentiles of gaps come from bins of 0.1 %; some means do not vary.
            bins = mean * (1e-3 if name == "itl_p95" else 1e-6)
            joint = math.hypot(half_width, float(row[f"{name}_hw"])) + bins
            distance = abs(mean - float(row[name])) / joint
            compared += 1
            if distance > 1:
                misses[case, name] = distance
    return compared, misses


def test_shared_rows_are_met_at_reduced_length(shared_data: Path):
    """Bursty, routed, KV-limited and small-chunk rows agree within joint half-widths."""
    compared, misses = _misses(
        shared_data, {3, 48, 51, 114, 120, 133, 142, 145, 154, 160, 167}, 0.15
    )
    assert compared == 11 * len(JUDGED)
    assert len(misses) <= 0.1 * compared, misses
    assert max(misses.values(), default=0.0) < 3, misses


@pytest.mark.slow
def test_all_shared_rows_are_met_at_full_length(shared_data: Path):
    """All 59 rows agree: no more than 1 figure in 10 is off by over a joint half-width."""
    compared, misses = _misses(shared_data, None, 1.0)
    assert compared == 59 * len(JUDGED)
    assert len(misses) <= 0.1 * compared, misses
    assert max(misses.values(), default=0.0) < 4, misses
