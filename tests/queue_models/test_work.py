"""What a request costs: iterations, tokens, KV, and the capacity that follows."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from queue_models import IterationTiming, Lengths, Role, ServiceProcess, TableTiming
from queue_models.work import RequestWork

REFERENCE = (
    Path(__file__).resolve().parents[3] / "shared" / "data" / "iteration_level_reference.csv"
)
TIMING = IterationTiming(8.0, 0.03, 0.03, 5e-5)


def _lengths(family: str, mean: float, cv: float) -> Lengths:
    if family == "fixed":
        return Lengths.fixed(mean)
    return Lengths.geometric(mean) if family == "geometric" else Lengths.lognormal(mean, cv**2)


def test_capacity_is_that_of_the_simulation() -> None:
    """Capacity is within 3 % of every simulated one, the median within 0.5 %."""
    if not REFERENCE.exists():
        pytest.skip("the simulated reference is not beside this checkout")
    errors = []
    with REFERENCE.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            service = ServiceProcess(
                IterationTiming(
                    float(row["alpha"]),
                    float(row["beta_decode"]),
                    float(row["beta_prefill"]),
                    float(row["gamma_kv"]),
                ),
                _lengths(row["in_dist"], float(row["in_mean"]), float(row["in_cv"])),
                _lengths(row["out_dist"], float(row["out_mean"]), float(row["out_cv"])),
                int(row["max_batch"]),
                chunk_tokens=float(row["chunk"]),
                kv_capacity_tokens=float(row["kv_cap"]),
            )
            capacity = RequestWork.of(service).capacity_rps(service.flat.timing)[0]
            errors.append(abs(capacity / float(row["capacity_rps_per_replica"]) - 1))
    assert max(errors) < 0.03
    assert np.median(errors) < 0.005


def test_capacity_has_the_closed_form() -> None:
    """min(B/(alpha K + B w), C/(alpha tokens + C w)), for either limit."""
    alpha, decode, prefill, kv, prompt, output, batch = 8.0, 0.03, 0.04, 5e-5, 900.0, 128.0, 64.0
    held = prompt * (output - 1) + output * (output - 1) / 2 + prompt
    work_ms = prefill * prompt + decode * (output - 1) + kv * held
    timing = IterationTiming(alpha, decode, prefill, kv)
    for chunk in (256.0, 4096.0):
        service = ServiceProcess(timing, prompt, output, batch, chunk_tokens=chunk)
        work = RequestWork.of(service)
        of_slots = batch / (alpha * work.iterations + batch * work_ms)
        of_budget = chunk / (alpha * (prompt + output - 1) + chunk * work_ms)
        came = work.capacity_rps(service.flat.timing)
        np.testing.assert_allclose(came, 1000 * np.minimum(of_slots, of_budget), rtol=1e-12)


def test_a_table_of_a_linear_law_is_the_linear_law() -> None:
    """Iteration times and capacity from a table equal those of the law it was made of."""
    axes = [np.array([0.0, 16, 64]), np.array([0.0, 512, 4096]), np.array([0.0, 1e4, 1e5])]
    decode, prefill, kv = np.meshgrid(*axes, indexing="ij")
    table = TableTiming(*axes, 8.0 + 0.03 * decode + 0.03 * prefill + 5e-5 * kv)
    batch = np.array([[8.0, 64.0], [200.0, 400.0]])
    of_table = ServiceProcess(table, 512, 128, batch).flat
    of_law = ServiceProcess(TIMING, 512, 128, batch).flat
    np.testing.assert_allclose(
        RequestWork.of(of_table).capacity_rps(of_table.timing),
        RequestWork.of(of_law).capacity_rps(of_law.timing),
    )


def test_speculation_gains_tokens_and_costs_drafts() -> None:
    """Three drafts accepted at 0.8 give 2.952 tokens an iteration and compute 4."""
    service = ServiceProcess(TIMING, 512, 129, 64, draft_tokens=3, acceptance_rate=[0.8, 1.0, 0.0])
    work = RequestWork.of(service)
    np.testing.assert_allclose(work.tokens_per_iteration, [2.952, 4.0, 1.0])
    np.testing.assert_allclose(work.decode_iterations, 128 / np.array([2.952, 4.0, 1.0]))
    np.testing.assert_allclose(work.decode_tokens_per_iteration, 4.0)


def test_roles_share_the_request_between_them() -> None:
    """A prefill and a decode replica together do the tokens of an aggregated one."""
    both, first, second = (
        RequestWork.of(ServiceProcess(TIMING, 512, 128, 64, role=role)) for role in Role
    )
    np.testing.assert_allclose(first.tokens + second.tokens, both.tokens)
    np.testing.assert_allclose(second.iterations, 127)
    np.testing.assert_allclose(first.iterations, 1)
    np.testing.assert_allclose(
        first.kv_prefill + second.kv_prefill + second.kv_decode, both.kv_prefill + both.kv_decode
    )


def test_prefix_hits_save_prefill_but_not_cache() -> None:
    """Half the prompt found in the cache is half the prefill tokens, and as many in the cache."""
    cold, warm = (
        RequestWork.of(ServiceProcess(TIMING, 512, 128, 64, prefix_hit_rate=rate))
        for rate in (0.0, 0.5)
    )
    np.testing.assert_allclose(warm.prefill_tokens, 0.5 * cold.prefill_tokens)
    np.testing.assert_allclose(warm.kv_decode, cold.kv_decode)


def test_a_table_answers_for_a_single_number() -> None:
    """One pair without dimensions is interpolated as any other."""
    table = TableTiming([0.0, 10.0], [0.0, 100.0], [0.0], [[[1.0], [2.0]], [[3.0], [4.0]]])
    five, fifty, none = (np.array(value) for value in (5.0, 50.0, 0.0))
    assert table.iteration_ms(five, fifty, none) == 2.5
