"""What a fleet's description says reaches the queue model, pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optimizer import build_candidates
from optimizer.fleet import Verdict
from optimizer.fleet.impossible import why_not
from optimizer.fleet.processes import PairProcesses
from queue_models import LengthFamily, Routing, ServiceProcess, TableTiming, get
from queue_models.state_dependent import StateDependentModel
from tests.optimizer.fleet.fleets import fleet, service, two_types

LINEAR = {"base_ms": 10.0, "decode_ms_per_token": 0.1, "prefill_ms_per_token": 0.1}
HISTOGRAM = {"distribution": "empirical", "values": [100.0, 900.0], "weights": [3.0, 1.0]}


def lengths(prompt: object, output: object = 11.0, **more: object) -> dict[str, object]:
    """A load with these lengths."""
    return {"arrival_rate_rps": 5.0, "input_tokens": prompt, "output_tokens": output, **more}


def described(loads: list[dict[str, object]], **entry: object) -> dict[str, Any]:
    """A fleet of services with these loads on one accelerator."""
    data = two_types()
    data["performance"] = [
        {"model": "m", "accelerator": "A", "max_batch": 32, "iteration": LINEAR, **entry}
    ]
    data["services"] = [service(f"s{i}", load=load) for i, load in enumerate(loads)]
    return data


def process_of(data: dict[str, Any], model: str = "mm1k-state-dependent") -> ServiceProcess:
    """The process of every service on the first entry."""
    spec = fleet(data)
    everyone = np.arange(len(spec.services))
    zeros = np.zeros_like(everyone)
    return PairProcesses(spec, get(model)).process(0, everyone, zeros, zeros + 32)


def test_every_distribution_reaches_the_process_in_the_order_of_the_services() -> None:
    """Families, means and SCVs are those of the service; equal histograms are kept once."""
    process = process_of(
        described(
            [
                lengths(HISTOGRAM),
                lengths(512.0, input_tokens_scv=2.0),
                lengths({"distribution": "geometric", "mean": 4.0}),
                lengths({"distribution": "lognormal", "mean": 50.0, "scv": 3.0}),
                lengths({"distribution": "fixed", "mean": 7.0}),
                lengths(9.0),
                lengths(dict(HISTOGRAM)),
            ]
        )
    )
    of = LengthFamily
    assert process.input_lengths.family.tolist() == [
        of.EMPIRICAL, of.LOGNORMAL, of.GEOMETRIC, of.LOGNORMAL, of.FIXED, of.FIXED, of.EMPIRICAL,
    ]  # fmt: skip
    assert process.input_tokens.tolist() == pytest.approx([300, 512, 4, 50, 7, 9, 300])
    third = 200.0**2 * 3 / 4 + 600.0**2 / 4
    assert process.input_tokens_scv.tolist() == pytest.approx(
        [third / 300**2, 2.0, 0.75, 3.0, 0.0, 0.0, third / 300**2]
    )
    assert len(process.input_lengths.histograms) == 1


def test_engine_and_load_settings_reach_the_process() -> None:
    """Chunk budget, KV capacity, speculation, prefix hits, routing; defaults where not given."""
    data = described(
        [lengths(100.0, prefix_hit_rate=0.25), lengths(100.0)],
        chunk_tokens=512,
        kv_capacity_tokens=40000.0,
        speculative_decoding={"draft_tokens": 4, "acceptance_rate": 0.7},
    )
    data["services"][0]["routing"] = "least_outstanding"
    process = process_of(data)
    assert process.prefix_hit_rate.tolist() == [0.25, 0.0]
    assert process.routing.tolist() == [Routing.LEAST_OUTSTANDING, Routing.RANDOM]
    assert process.chunk_tokens.tolist() == [512, 512]
    assert process.kv_capacity_tokens.tolist() == [40000, 40000]
    assert process.draft_tokens.tolist() == [4, 4]
    assert process.acceptance_rate.tolist() == [0.7, 0.7]
    plain = process_of(described([lengths(100.0)]))
    assert plain.chunk_tokens.tolist() == [8192]
    assert plain.kv_capacity_tokens.tolist() == [np.inf]
    assert plain.draft_tokens.tolist() == [0]


class _ReadsTables(StateDependentModel):  # type: ignore[misc]
    """Like its base, and willing to take tables."""

    timings = frozenset({*StateDependentModel.timings, TableTiming})


def test_a_table_goes_before_linear_times_where_the_model_reads_tables() -> None:
    """Entries with the same axes share a call; a model without tables keeps to linear times."""
    first = {
        "decode_tokens": [0.0, 64.0],
        "prefill_tokens": [0.0],
        "kv_tokens": [0.0],
        "time_ms": [[[8.0]], [[14.0]]],
    }
    data = described([lengths(100.0)], iteration_table=first)
    data["performance"].append(
        {**data["performance"][0], "accelerator": "B",
         "iteration_table": {**first, "time_ms": [[[9.0]], [[19.0]]]}}
    )  # fmt: skip
    spec = fleet(data)
    pairs = PairProcesses(spec, _ReadsTables())
    assert pairs.clock[0] == pairs.clock[1]
    index = np.array([0, 1])
    process = pairs.process(int(pairs.clock[0]), np.array([0, 0]), index, index + 1)
    assert isinstance(process.timing, TableTiming)
    assert process.timing.time_ms.ravel().tolist() == [8.0, 14.0, 9.0, 19.0]
    linear = PairProcesses(spec, get("mm1k-state-dependent"))
    assert not isinstance(linear.process(int(linear.clock[0]), *[index * 0] * 2, index + 1).timing,
                          TableTiming)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kv_capacity_tokens": 1000.0}, "KV cache"),
        ({"speculative_decoding": {"draft_tokens": 2, "acceptance_rate": 0.5}}, "draft_tokens"),
    ],
)
def test_what_a_model_does_not_know_is_the_reason_of_the_candidate(
    change: dict[str, object], reason: str
) -> None:
    """A compatibility model refuses what it would leave out, in its own words."""
    entry = {"prefill_decode": {"decode_base_ms": 10.0, "decode_ms_per_request": 0.1,
             "prefill_base_ms": 1.0, "prefill_ms_per_token": 0.1}}  # fmt: skip
    table = build_candidates(fleet(described([lengths(100.0)], **entry, **change)), "inferno-4p")
    row = int(np.flatnonzero(table.accelerator == 0)[0])
    assert table.verdict[row] == Verdict.OUTSIDE_VALIDITY
    assert reason in why_not(table, row)


def test_prefix_hits_save_replicas() -> None:
    """Computing half of a long prompt takes about half the replicas that prefill alone asks for."""
    prompt = {"arrival_rate_rps": 20.0, "input_tokens": 4000.0, "output_tokens": 2.0}
    data = described([prompt, {**prompt, "prefix_hit_rate": 0.5}])
    data["classes"][0]["slos"] = [{"targets": [{"metric": "ttft_ms", "bound": 4000.0}]}]
    table = build_candidates(fleet(data), "mm1k-state-dependent")
    whole, half = table.replicas[table.accelerator == 0].tolist()
    assert 0.4 * whole < half < 0.65 * whole
