from __future__ import annotations

import numpy as np
import pytest

from optimizer.catalog import accelerator
from optimizer.performance import Spread, Work, calibration, iteration_ms
from optimizer.performance.efficiencies import UnknownEngineError, parse_calibration
from optimizer.performance.timing import (
    TimingRange,
    estimate_timing,
    iteration_table,
    prediction_log_sd,
    prefill_decode_timing,
)
from tests.optimizer.performance.replicas import replica

OVER = TimingRange(max_batch=128, max_context_tokens=4096.0, input_tokens=1024.0)
NAMES = ("meta-llama/Llama-3.1-8B", "openai/gpt-oss-20b", "google/gemma-3-27b-it")


@pytest.mark.parametrize("name", NAMES)
def test_the_linear_law_says_how_far_it_is_off(name: str) -> None:
    """Over the range its relative error is of the size of the stated misfit, below 25 %."""
    cards = replica(name)
    law = estimate_timing(cards, OVER, log_sd=0.1)
    work = Work(
        decode_tokens=np.array([1.0, 16, 64, 128]),
        context_tokens=2000.0,
        prefill_tokens=np.array([0.0, 512, 0, 2048]),
        prefill_context_tokens=512.0,
        prompts=1.0,
    )
    cached = np.asarray(work.decode_tokens) * 2000.0
    linear = law.timing.iteration_ms(
        np.asarray(work.decode_tokens), np.asarray(work.prefill_tokens), cached
    )
    off = np.abs(linear / iteration_ms(cards, work) - 1)
    assert law.linear_misfit < 0.25
    assert np.all(off < 4 * law.linear_misfit)


def test_quantiles_of_a_law_widen_with_its_uncertainty() -> None:
    """Two deviations up and down bracket the law by the combined spread."""
    law = estimate_timing(replica(), OVER, log_sd=0.1)
    spread = np.hypot(0.1, law.linear_misfit)
    assert law.quantile(2.0).base_ms / law.timing.base_ms == pytest.approx(np.exp(2 * spread))
    assert law.quantile(-2.0).base_ms < law.timing.base_ms


@pytest.mark.parametrize("name", NAMES)
def test_the_table_holds_the_computed_times(name: str) -> None:
    """At its points the table is the model; between them it is within 6 %."""
    cards = replica(name)
    table = iteration_table(cards, OVER)
    batch, cached = table.decode_tokens[4], table.kv_tokens[-2]
    work = Work(decode_tokens=batch, context_tokens=cached / batch)
    at_point = table.iteration_ms(np.array([batch]), np.array([0.0]), np.array([cached]))
    assert at_point[0] == pytest.approx(float(iteration_ms(cards, work)), rel=1e-9)
    between = Work(decode_tokens=48.0, context_tokens=1500.0)
    read = table.iteration_ms(np.array([48.0]), np.array([0.0]), np.array([48.0 * 1500]))
    assert read[0] == pytest.approx(float(iteration_ms(cards, between)), rel=0.06)


def test_the_law_by_phase_meets_decode_and_prompts() -> None:
    """Decode alpha + beta·n and prefill gamma + delta·tokens are within 15 % of the model."""
    cards, law = replica(), prefill_decode_timing(replica(), OVER)
    decode = law.decode_base_ms + law.decode_ms_per_request * 32
    step = iteration_ms(cards, Work(decode_tokens=32.0, context_tokens=2048.0))
    assert decode == pytest.approx(float(step), rel=0.15)
    prompt = Work(
        decode_tokens=0.0,
        context_tokens=0.0,
        prefill_tokens=512.0,
        prefill_context_tokens=256.0,
        prompts=1.0,
    )
    prefill = law.prefill_base_ms + law.prefill_ms_per_token * 512
    assert prefill == pytest.approx(float(iteration_ms(cards, prompt)), rel=0.15)


def test_uncalibrated_accelerators_are_less_certain() -> None:
    """Spreads add in quadrature; mixtures of experts have their own."""
    spread = Spread(dense=0.1, experts=0.2, ttft=0.3, uncalibrated=0.2)
    assert prediction_log_sd(spread, experts=False, calibrated=True) == pytest.approx(0.1)
    assert prediction_log_sd(spread, experts=True, calibrated=True) == pytest.approx(0.2)
    uncertain = prediction_log_sd(spread, experts=False, calibrated=False)
    assert uncertain == pytest.approx(np.hypot(0.1, 0.2))


def test_the_shipped_calibration_is_physical() -> None:
    """Shares lie in (0, 1]; Ampere differs from Hopper; unknown families take Hopper's."""
    known = calibration()
    for family in ("hopper", "ampere", "cdna", "other"):
        reached = known.of_family(family)
        for name in ("weight_bandwidth", "kv_bandwidth", "matrix_16", "matrix_8", "link_bandwidth"):
            assert 0 < getattr(reached, name) <= 1
    assert known.of_family("ampere").weight_bandwidth != known.efficiencies.weight_bandwidth
    assert known.of_family("other").matrix_16 == known.efficiencies.matrix_16


def test_less_power_slows_products_of_the_same_silicon() -> None:
    """H100-NVL: (400/700)^0.607 of the H100's 989 TFLOPS are 84 % of its own share of 835.

    Bandwidth is its own, a card with the reference's power or more loses nothing, and so does
    H20, whose peak is below what its power sustains.
    """
    known = calibration()
    whole, less = (known.of_accelerator(accelerator(name)) for name in ("H100-SXM", "H100-NVL"))
    assert whole.matrix_8 == known.efficiencies.matrix_8
    share = (400 / 700) ** known.power.exponent * 989 / 835
    assert share == pytest.approx(0.843, abs=1e-3)
    assert less.matrix_8 == pytest.approx(share * whole.matrix_8)
    assert less.weight_bandwidth == whole.weight_bandwidth
    for name in ("GH200-96GB", "H20", "B200-SXM", "TPU-v5e"):
        assert known.of_accelerator(accelerator(name)).matrix_16 == whole.matrix_16


def test_unknown_engines_are_refused_with_the_known_ones() -> None:
    """The message lists the engines there are."""
    with pytest.raises(UnknownEngineError, match=r"'tgi'.*vllm, sglang, trtllm"):
        calibration().of_engine("tgi")


def test_documents_of_another_schema_are_refused() -> None:
    """A calibration of a later schema is not misread."""
    with pytest.raises(ValueError, match="schema_version = 2"):
        parse_calibration({"schema_version": 2})
