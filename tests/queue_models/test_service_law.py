"""The law of service: times at n in service, from either timing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models import IterationTiming, PrefillDecodeTiming, ServiceProcess
from queue_models.service_law import ServiceLaw, impossible_services, service_law
from tests.queue_models.processes import iterations, prefill_decode

ALPHA, DECODE, PREFILL, KV = 12.0, 0.05, 0.08, 2e-4


def _law(prompt: float, output: float, batch: int, chunk: float, scv: float = 0.0) -> ServiceLaw:
    timing = IterationTiming(ALPHA, DECODE, PREFILL, KV)
    return service_law(
        ServiceProcess(timing, [prompt], output, batch, output_tokens_scv=scv, chunk_tokens=chunk)
    )


def _own_work(prompt: float, output: float, scv: float) -> float:
    pairs = (output**2 * (1 + scv) - output) / 2
    kv = prompt * (output - 1) + pairs + prompt
    return PREFILL * prompt + DECODE * (output - 1) + KV * kv


def test_four_parameters_are_the_timing_itself() -> None:
    """prefill(n) = gamma + delta in n and decode(n) = alpha + beta n."""
    law = service_law(ServiceProcess(PrefillDecodeTiming(20, 0.4, 160, 0.0125), [512], 256, 64))
    n = np.array([7.0])
    assert law.prefill(n) == pytest.approx(160 + 0.0125 * 512 * 7)
    assert law.decode(n) == pytest.approx(20 + 0.4 * 7)
    assert law.time_in_service(n) == pytest.approx(law.prefill(n) + 255 * law.decode(n))


def test_no_input_tokens_no_prefill() -> None:
    """Without input tokens prefill takes no time."""
    law = service_law(ServiceProcess(PrefillDecodeTiming(20, 0.4, 160, 0.0125), [0], 256, 64))
    assert law.prefill(np.array([9.0])) == 0.0


@pytest.mark.parametrize("scv", [0.0, 1.0, 2.25])
def test_capacity_is_work_conservation(scv: float) -> None:
    """mu(B) = B/(alpha K + B w), the second moment of the output length included."""
    rates = _law(400, 100, 32, 1e9, scv).service_rates()
    iterations_needed = 1 + 99
    wanted = 32e3 / (ALPHA * iterations_needed + 32 * _own_work(400, 100, scv))
    assert rates[0, -1] == pytest.approx(wanted, rel=1e-12)


def test_capacity_is_the_token_budget_where_it_binds() -> None:
    """With C = 512 and prompts of 2048, mu(B) = C/(alpha (Li + Lo - 1) + C w)."""
    law = _law(2048, 128, 256, 512)
    wanted = 512e3 / (ALPHA * (2048 + 127) + 512 * _own_work(2048, 128, 0.0))
    assert law.binding.all()
    assert law.service_rates()[0, -1] == pytest.approx(wanted, rel=1e-12)
    assert law.service_rates().max() == pytest.approx(wanted, rel=1e-12)


@given(
    prompt=st.floats(0, 20_000),
    output=st.floats(1, 5000),
    batch=st.integers(1, 512),
    chunk=st.floats(1, 16_384),
    scv=st.floats(0, 4),
)
@settings(deadline=None, max_examples=150, derandomize=True)
def test_times_add_up_and_grow(
    prompt: float, output: float, batch: int, chunk: float, scv: float
) -> None:
    """S = prefill + intervals x decode at every n; all are positive and never fall, nor does mu."""
    law = _law(prompt, output, batch, chunk, scv)
    rates = law.service_rates()[0]
    n = np.arange(1.0, batch + 1.0)
    times = [np.array([f(np.array([m]))[0] for m in n]) for f in (law.prefill, law.decode)]
    total = times[0] + law.intervals * times[1]
    assert total == pytest.approx(n * 1000 / rates, rel=1e-9)
    for values in (*times, rates):
        assert np.all(values > 0)
        assert np.all(np.diff(values) >= -1e-9 * values[1:])


def test_a_single_output_token_is_all_prefill() -> None:
    """With one output token there is no decode interval: prefill takes the time in service."""
    law = _law(300, 1, 8, 8192)
    n = np.array([5.0])
    assert law.prefill(n) == pytest.approx(law.time_in_service(n), rel=1e-14)
    assert law.time_in_service(n) == pytest.approx(ALPHA + 5 * (PREFILL + KV) * 300, rel=1e-12)


def test_full_batch_law_is_constant() -> None:
    """The law of a full batch gives S(B) whatever n."""
    for service in (iterations(), prefill_decode()):
        law = service_law(service)
        full = law.at_full_batch()
        ones = np.ones(len(law.slots))
        wanted = law.time_in_service(law.slots.astype(float))
        assert full.time_in_service(ones) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("process", [iterations(), prefill_decode()])
def test_reach_counts_the_states_within_a_bound(process: ServiceProcess) -> None:
    """prefill_reach and decode_reach count the n in 1..B within the bound, ties included."""
    law = service_law(process)
    middle = np.ceil(law.slots / 2.0)
    assert np.array_equal(law.decode_reach(law.decode(middle)), middle)
    assert np.array_equal(law.prefill_reach(law.prefill(middle)), middle)
    assert np.all(law.prefill_reach(np.full(len(middle), 1e-9)) == 0)
    assert np.array_equal(law.decode_reach(np.full(len(middle), 1e9)), law.slots)


def test_a_service_without_time_is_named() -> None:
    """No prefill time and one output token: nothing to serve, said in words."""
    timing = PrefillDecodeTiming(20, 0.4, 160, 0.0125)
    refused = impossible_services(ServiceProcess(timing, [0, 0, 10], [1, 2, 1], 8))
    assert [mask.tolist() for mask in refused.values()] == [[True, False, False]]
