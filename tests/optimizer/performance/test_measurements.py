from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimizer.performance.measurements import (
    FittedTiming,
    MeasurementError,
    fit_measurements,
    performance_entry,
    read_measurements,
)

LAW = (8.0, 0.05, 0.04, 2e-5)
NAMES = ("base_ms", "decode_ms_per_token", "prefill_ms_per_token", "kv_ms_per_token")


def fitted(text: str, form: str | None = None) -> FittedTiming:
    return fit_measurements(read_measurements("rows.csv", text), form)


def iterations(noise: float, seed: int = 0, rows: int = 60) -> str:
    """Rows of a known law with relative noise."""
    draws = np.random.default_rng(seed)
    lines = ["decode_tokens,prefill_tokens,kv_tokens,time_ms"]
    for _ in range(rows):
        decode, prompt = draws.integers(1, 129), draws.integers(0, 2049) * draws.integers(0, 2)
        cached = decode * draws.integers(100, 4000)
        time = LAW[0] + LAW[1] * decode + LAW[2] * prompt + LAW[3] * cached
        lines.append(f"{decode},{prompt},{cached},{time * np.exp(noise * draws.normal())}")
    return "\n".join(lines)


def test_exact_iterations_give_their_law_back() -> None:
    """Without noise every coefficient is recovered to nine digits."""
    found = fitted(iterations(0.0)).coefficients
    assert [found[name].value for name in NAMES] == pytest.approx(LAW, rel=1e-9)


def test_confidence_intervals_cover_the_law() -> None:
    """With 5 % noise, 95 % intervals hold the true value in 90 to 100 % of 40 samples."""
    held = []
    for seed in range(40):
        found = fitted(iterations(0.05, seed)).coefficients
        for name, true in zip(NAMES, LAW, strict=True):
            low, high = found[name].low, found[name].high
            assert low is not None
            assert high is not None
            held.append(low <= true <= high)
    assert 0.90 <= np.mean(held) <= 1.0


def test_serving_points_of_a_closed_loop_give_the_law_back() -> None:
    """TPOT composed of the law and measured TTFT yields the law, under other tools' names."""
    lines = ["batch_size,isl,osl,silicon_ttft_ms,silicon_tpot_ms"]
    for requests in (1, 4, 16, 64):
        for prompt, answer in ((1024, 1024), (1024, 128), (4096, 512)):
            ttft, tpot = 100.0 + requests, 10.0
            for _ in range(200):
                share = answer * tpot / (ttft + answer * tpot)
                tpot = (
                    LAW[0]
                    + LAW[1] * requests
                    + LAW[2] * prompt * (requests - 1) / answer * share
                    + LAW[3] * requests * (prompt + answer / 2)
                )
            lines.append(f"{requests},{prompt},{answer},{ttft},{tpot}")
    found = fitted("\n".join(lines))
    assert found.form == "serving"
    assert [found.coefficients[name].value for name in NAMES] == pytest.approx(LAW, rel=1e-6)


def test_a_synchronous_and_a_throughput_run_give_the_law_by_phase() -> None:
    """alpha + beta = ITL at 1, alpha + 64 beta = ITL at 64; gamma and delta from TTFT likewise."""
    found = fitted(
        "benchmark,concurrency,input_tokens,output_tokens,ttft_ms,itl_ms\n"
        "synchronous,1,500,100,30,7\n"
        "throughput,64,500,100,345,13.3\n"
    )
    values = {name: c.value for name, c in found.coefficients.items()}
    assert values["decode_base_ms"] == pytest.approx(6.9)
    assert values["decode_ms_per_request"] == pytest.approx(0.1)
    assert values["prefill_base_ms"] == pytest.approx(25.0)
    assert values["prefill_ms_per_token"] == pytest.approx(0.01)
    assert found.law == "prefill_decode"
    assert any("no confidence" in note for note in found.notes)


def test_what_the_rows_do_not_tell_is_said() -> None:
    """A column that never varies is named; its coefficient is not made up."""
    text = "decode_tokens,prefill_tokens,kv_tokens,time_ms\n" + "\n".join(
        f"{n},0,{n * (500 + 37 * (n % 3))},{8 + 0.05 * n}" for n in range(1, 12)
    )
    found = fitted(text)
    assert found.coefficients["prefill_ms_per_token"].value == 0
    assert any("prefill_ms_per_token is not determined" in note for note in found.notes)


HEADER = "decode_tokens,prefill_tokens,kv_tokens,time_ms\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER + "1,0,10,-3\n2,0,x,5\n", "rows.csv:2: time_ms = '-3'"),
        (HEADER + "1,0,10,3\n2,0,x,5\n", "rows.csv:3: kv_tokens = 'x': must be a number"),
        (HEADER + "1,0,10,nan\n", "rows.csv:2: time_ms = 'nan'"),
        (HEADER + "1,0,10\n", "rows.csv:2: 3 cells, the header has 4"),
        (HEADER + "1,0,10,3\n", "1 rows cannot tell 4 coefficients apart"),
        (HEADER, "rows.csv: has no rows"),
        ("decode_tokens,prefill_tokens,kv_token,time_ms\n1,0,10,3\n", "did you mean 'kv_token'"),
        ("a,a\n1,2\n", "rows.csv:1: a: the column comes twice"),
        ("concurrency,isl,osl,ttft_ms\n1,2,3,4\n", "tpot_ms: the column is missing"),
        (
            "benchmark,concurrency,isl,osl,ttft_ms,itl_ms\nsync,1,2,3,4,5\nthroughput,8,2,3,4,5\n",
            "rows.csv:2: benchmark = sync: must be synchronous or throughput",
        ),
        (
            "benchmark,concurrency,isl,osl,ttft_ms,itl_ms\nsynchronous,1,2,3,4,5\n",
            "all rows have the same concurrency",
        ),
    ],
)
def test_faults_name_their_row_and_column(text: str, said: str) -> None:
    """Every message has the file, the line and the column."""
    with pytest.raises(MeasurementError) as caught:
        fitted(text)
    assert said in str(caught.value)


def test_an_unknown_form_is_refused() -> None:
    """The message lists the forms."""
    with pytest.raises(MeasurementError, match="iteration, serving, benchmark"):
        fitted(iterations(0.0), "trace")


def test_a_missing_file_is_told_by_name(tmp_path: Path) -> None:
    """The path and the reason are in the message."""
    with pytest.raises(MeasurementError, match=r"none\.csv: cannot be read"):
        read_measurements(tmp_path / "none.csv")


def test_the_entry_carries_law_and_confidence() -> None:
    """The entry's coefficients are the fit's to five digits, and its source tells the interval."""
    found = fitted(iterations(0.02))
    entry = performance_entry(found, model="m", accelerator="H100", source="rows.csv")
    assert entry.iteration is not None
    assert entry.iteration.base_ms == pytest.approx(found.coefficients["base_ms"].value, rel=1e-4)
    assert entry.max_batch == found.max_batch
    assert entry.source is not None
    assert "95 % confidence: base_ms" in entry.source
