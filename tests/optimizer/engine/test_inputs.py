from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from optimizer.engine import (
    Arrivals,
    ConstantRate,
    EngineConfig,
    MarkovModulatedRate,
    PeriodicRate,
    TraceWorkload,
    WorkloadError,
    read_trace,
    simulate_replicas,
)
from optimizer.engine.length_draws import drawn_lengths
from queue_models import IterationTiming, Lengths, Metric, Statistic

TRACES = Path(__file__).resolve().parents[3].parent / "shared/data/traces"


def _gaps(arrivals: Arrivals, count: int = 200_000) -> np.ndarray:
    stream = arrivals.stream(np.random.default_rng(3))
    times = np.concatenate([stream.take(count // 20) for _ in range(20)])
    return np.diff(times)


@pytest.mark.parametrize("scv", [0.25, 1.0, 4.0])
def test_gaps_have_the_mean_and_variability_asked_for(scv: float) -> None:
    """Gamma gaps of any SCV, exponential ones for 1; pieces join into one stream."""
    gaps = _gaps(Arrivals(ConstantRate(50.0), scv))
    assert gaps.min() >= 0.0
    assert gaps.mean() == pytest.approx(20.0, rel=0.02)
    assert gaps.var() / gaps.mean() ** 2 == pytest.approx(scv, rel=0.05)


def test_a_day_peaks_when_it_should() -> None:
    """Of a diurnal rate with a swing of 0.5, the hour of the peak has 1.5 times the mean, and the
    opposite one half; what is kept of the rate does not grow."""
    rate = PeriodicRate.diurnal(2.0, swing=0.5, peak_hour=14.0)
    stream = Arrivals(rate).stream(np.random.default_rng(1))
    times = np.concatenate([stream.take(20_000) for _ in range(20)]) / 3.6e6
    assert times[-1] > 48.0
    counts = np.histogram(times[times < 48.0] % 24.0, np.arange(25))[0] / 2.0 / 3600.0
    assert counts[13:15].mean() == pytest.approx(3.0, rel=0.05)
    assert counts[1:3].mean() == pytest.approx(1.0, rel=0.08)
    assert len(stream._times) < 1000


def test_a_modulated_rate_has_its_mean_and_is_bursty() -> None:
    """An MMPP of rates 2 and 20 with stays of 20 and 10 s has a mean of 8, and gaps more variable
    than Poisson."""
    rate = MarkovModulatedRate((2.0, 20.0), (20.0, 10.0))
    assert rate.mean_rps == 8.0
    gaps = _gaps(Arrivals(rate), 400_000)
    assert 1e3 / gaps.mean() == pytest.approx(8.0, rel=0.05)
    assert gaps.var() / gaps.mean() ** 2 > 3.0
    assert rate.scaled(0.5).mean_rps == 4.0


@pytest.mark.parametrize(
    "lengths",
    [
        Lengths.fixed(512.25),
        Lengths.geometric(300.0),
        Lengths.lognormal(400.0, 2.0),
        Lengths.empirical([3.0, 10.5, 800.0], [1.0, 2.0, 1.0]),
    ],
)
def test_lengths_have_the_moments_of_their_distribution(lengths: Lengths) -> None:
    """Mean and SCV of whole numbers of tokens, at least 1."""
    drawn = drawn_lengths(lengths, 400_000, np.random.default_rng(0), 1 << 20)
    mean, scv = float(np.ravel(lengths.mean)[0]), float(np.ravel(lengths.scv)[0])
    assert drawn.min() >= 1
    assert drawn.mean() == pytest.approx(mean, rel=0.01)
    assert drawn.var() / drawn.mean() ** 2 == pytest.approx(scv, rel=0.05, abs=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ConstantRate(0.0),
        lambda: ConstantRate(float("nan")),
        lambda: PeriodicRate((), 10.0),
        lambda: PeriodicRate((0.0, 0.0)),
        lambda: PeriodicRate.diurnal(1.0, swing=2.0),
        lambda: MarkovModulatedRate((1.0,), (1.0,)),
        lambda: MarkovModulatedRate((1.0, 2.0), (1.0, 0.0)),
        lambda: Arrivals(ConstantRate(1.0), scv=-1.0),
    ],
)
def test_rates_out_of_range_are_refused(make) -> None:
    """Each names itself."""
    with pytest.raises(WorkloadError, match=r"Rate|Arrivals"):
        make()


def test_a_trace_of_ones_own_is_read(tmp_path: Path) -> None:
    """Columns by name, seconds or ms, sorted by arrival; no output counts as one token."""
    file = tmp_path / "own.csv"
    file.write_text("arrival_s,input_tokens,output_tokens,other\n5.5,10,3,x\n5.0,20,0,y\n")
    trace = read_trace(file)
    assert trace.arrival_ms.tolist() == [0.0, 500.0]
    assert (trace.prompt.tolist(), trace.output.tolist()) == ([20, 10], [1, 3])
    assert trace.at_rate(4.0).arrival_ms.tolist() == [0.0, 250.0]


def test_blocks_of_mooncake_become_segments(tmp_path: Path) -> None:
    """One segment per 512 prompt tokens, the last one as long as the prompt, then the output's,
    which no other request shares."""
    file = tmp_path / "mooncake.jsonl"
    rows = [
        {"timestamp": 3000, "input_length": 600, "output_length": 5, "hash_ids": [7, 8]},
        {"timestamp": 0, "input_length": 10, "output_length": 2, "hash_ids": [9]},
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    trace = read_trace(file)
    assert trace.segment_of.tolist() == [0, 2, 5]
    assert trace.keys.tolist() == [9, -1, 7, 8, -2]
    assert trace.ends.tolist() == [10, 2**31 - 1, 512, 600, 2**31 - 1]
    spread = trace.spread(3000.0)
    assert sorted(spread.prompt.tolist()) == [10, 600]
    assert spread.keys.size == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a,b\n1,2\n", "a trace needs one of"),
        ("arrival_s,input_tokens,output_tokens\n", "has no requests"),
        ("arrival_s,input_tokens,output_tokens\n1,-5,2\n", ":2:"),
        ("arrival_s,input_tokens,output_tokens\nnan,5,2\n", ":2:"),
        ("arrival_s,input_tokens,output_tokens\n1,5.5,2\n", ":2:"),
        ("arrival_s,input_tokens,output_tokens\n1,5\n", ":2:"),
        ("arrival_s,input_tokens,output_tokens\n1,5,nan\n", ":2:"),
        ("arrival_s,input_tokens,output_tokens\n1,nan,5\n", ":2:"),
        ('{"timestamp": 0}\n', ":1:"),
        (
            '{"timestamp": 0, "input_length": 9, "output_length": 2, "hash_ids": [1e30]}\n',
            ":1:",
        ),
        ('{"timestamp": 0, "input_length": "x", "output_length": 2}\n', ":1:"),
        ("{broken\n", ":1:"),
    ],
)
def test_a_faulty_trace_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """The message names the file, the line and what is wanted."""
    file = tmp_path / "trace"
    file.write_text(text)
    with pytest.raises(WorkloadError, match="trace") as caught:
        read_trace(file)
    assert message in str(caught.value)


def test_an_absent_trace_is_refused() -> None:
    """The message names it."""
    with pytest.raises(WorkloadError, match="nowhere"):
        read_trace("nowhere.csv")


@pytest.mark.skipif(not TRACES.exists(), reason="the shared traces are not here")
def test_public_traces_are_those_described() -> None:
    """Requests, rates and mean lengths of the reference file."""
    import csv

    with (TRACES / "arrival_reference.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            trace = read_trace(TRACES / row["trace"])
            assert trace.size == int(row["requests"])
            span = float(trace.arrival_ms[-1]) / 1e3
            assert trace.size / span == pytest.approx(float(row["mean_rate_rps"]), rel=1e-3)
            assert trace.prompt.mean() == pytest.approx(float(row["in_mean"]), rel=1e-6)
            assert trace.output.mean() == pytest.approx(float(row["out_mean"]), rel=2e-3)


def test_blocks_of_a_stated_size_go_on_in_the_output(tmp_path: Path) -> None:
    """Hashes of full blocks of 4 tokens cover prompt and output; the rest is the request's own."""
    file = tmp_path / "a.jsonl"
    row = {"timestamp": 5, "input_length": 6, "output_length": 5, "hash_block_tokens": 4}
    file.write_text(json.dumps({**row, "hash_ids": [7, 8]}) + "\n")
    trace = read_trace(file)
    assert trace.keys.tolist() == [7, 8, -1]
    assert trace.ends[:2].tolist() == [4, 8]
    for wrong in (0, True):
        file.write_text(json.dumps({**row, "hash_block_tokens": wrong, "hash_ids": [7]}))
        with pytest.raises(WorkloadError, match=rf"a.jsonl:1: hash_block_tokens {wrong}: must be"):
            read_trace(file)


def test_requests_of_one_time_have_no_rate_to_change(tmp_path: Path) -> None:
    """The refusal says why, and what to do."""
    file = tmp_path / "a.jsonl"
    row = {"timestamp": 5, "input_length": 6, "output_length": 5, "hash_ids": [7]}
    file.write_text(2 * (json.dumps(row) + "\n"))
    with pytest.raises(WorkloadError, match=r"to 8 requests/s: all its requests come at one time"):
        read_trace(file).at_rate(8.0)


@pytest.mark.skipif(not TRACES.exists(), reason="the shared traces are not here")
def test_prefixes_of_a_trace_are_found() -> None:
    """With a cache that forgets nothing, one replica finds of Mooncake's conversations all but
    what a block of 16 tokens and the last token of a prompt take away from the share that an
    independent count finds."""
    trace = read_trace(TRACES / "mooncake_conversation_0-40min.jsonl")
    run = simulate_replicas(
        EngineConfig(num_blocks=7_000_000, max_model_len=1 << 20, max_num_seqs=512),
        IterationTiming(1.0, 0.0, 0.0005),
        TraceWorkload(trace),
        (Statistic(Metric.TTFT),),
        least_requests=40,
        precision=0.5,
    )
    seen: set[int] = set()
    found = np.zeros(trace.size)
    for request in range(trace.size):
        keys = trace.keys[trace.segment_of[request] : trace.segment_of[request + 1] - 1].tolist()
        hits = next((i for i, key in enumerate(keys) if key not in seen), len(keys))
        found[request] = min(512 * hits, int(trace.prompt[request]) - 1) // 16 * 16
        seen.update(keys)
    counted = slice(trace.size - run.requests, None)  # the first fill the cache
    share = found[counted].sum() / trace.prompt[counted].sum()
    assert run.usage.prefix_hit_share == pytest.approx(share, rel=0.02)
    assert found.sum() / trace.prompt.sum() == pytest.approx(0.357651, rel=0.01)
