"""The candidate table: what can serve what, at which size, and why not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import build_candidates
from optimizer.fleet import CandidateTable, Verdict
from optimizer.fleet.impossible import why_not
from tests.optimizer.fleet.fleets import CONSTANT, fleet, service, two_types

BUSY = {"arrival_rate_rps": 5, "input_tokens": 100, "output_tokens": 11}
ITERATION = {
    "base_ms": 10.0,
    "decode_ms_per_token": 0.1,
    "prefill_ms_per_token": 0.1,
    "kv_ms_per_token": 0.0001,
}


def verdicts(table: CandidateTable) -> dict[str, Verdict]:
    """Verdict per accelerator of the only service."""
    return {
        table.inventory.names[int(a)]: Verdict(int(v))
        for a, v in zip(table.accelerator, table.verdict, strict=True)
    }


def reasons(table: CandidateTable) -> dict[str, str]:
    """Reason per accelerator of the only service."""
    return {
        table.inventory.names[int(table.accelerator[row])]: why_not(table, row)
        for row in range(len(table))
    }


def test_missing_performance_is_a_reason_not_a_hole() -> None:
    """An accelerator without data for the model stays in the table."""
    data = two_types()
    data["performance"] = data["performance"][:1]
    table = build_candidates(fleet(data))
    assert verdicts(table) == {"A": Verdict.POSSIBLE, "B": Verdict.NO_PERFORMANCE}
    assert reasons(table)["B"] == (
        "no performance data for m, no estimate: the model has neither `catalog` nor `config`"
    )


def test_weights_that_do_not_fit_are_refused_with_both_sizes() -> None:
    """70 GB of weights do not fit in 48 GB, but in two instances of it."""
    data = two_types()
    data["models"] = [{"name": "m", "weights_gb": 70.0}]
    data["accelerators"][0]["memory_gb"] = 48.0
    data["accelerators"][1]["memory_gb"] = 48.0
    data["performance"][1]["instances"] = 2
    table = build_candidates(fleet(data))
    assert verdicts(table) == {"A": Verdict.WEIGHTS, "B": Verdict.POSSIBLE}
    assert "weights of 70 GB do not fit in the replica's 48 GB" in reasons(table)["A"]


def test_catalogue_supplies_memory_price_and_weights() -> None:
    """Llama-3.1-70B in bf16 (141.1 GB) does not fit one H100-SXM, and fits two."""
    data = two_types()
    data["accelerators"] = [
        {"name": "A", "catalog": "H100-SXM"},
        {"name": "B", "catalog": "H100-SXM", "cards": 2},
    ]
    data["models"] = [{"name": "m", "catalog": "meta-llama/Llama-3.1-70B"}]
    table = build_candidates(fleet(data, capacities=[]))
    assert verdicts(table) == {"A": Verdict.WEIGHTS, "B": Verdict.POSSIBLE}
    assert table.inventory.cost_per_hour[1] == 2 * table.inventory.cost_per_hour[0]
    data["models"][0]["weight_bits"] = 8.0
    assert verdicts(build_candidates(fleet(data, capacities=[])))["A"] is Verdict.POSSIBLE


def test_an_unreachable_slo_says_the_best_there_is() -> None:
    """Ten milliseconds of prefill never meet five."""
    data = two_types()
    data["classes"][0]["slos"] = [{"targets": [{"metric": "ttft_ms", "bound": 5}]}]
    table = build_candidates(fleet(data, services=[service("x", load=BUSY)]))
    assert set(verdicts(table).values()) == {Verdict.SLO}
    assert reasons(table)["A"] == "ttft_ms mean at best 10, the SLO wants 5"


def test_a_statistic_no_model_knows_is_refused_in_words() -> None:
    """inferno's model knows means only; a percentile is refused, not guessed."""
    data = two_types()
    slo = {"metric": "ttft_ms", "statistic": "p95", "bound": 5000}
    data["classes"][0]["slos"] = [{"targets": [slo]}]
    table = build_candidates(fleet(data, services=[service("x", load=BUSY)]), "inferno-4p")
    assert set(verdicts(table).values()) == {Verdict.OUTSIDE_VALIDITY}
    assert "only means are" in reasons(table)["A"]


def test_bursty_arrivals_are_refused_by_poisson_models() -> None:
    """A service whose arrivals are not Poisson is not treated as if they were."""
    bursty = service("x", load={**BUSY, "arrival_scv": 4.0})
    spec = fleet(services=[bursty, service("y", load=BUSY)])
    table = build_candidates(spec, "mm1k-state-dependent")
    by_service = table.verdict.reshape(2, 2)
    assert (by_service[0] == Verdict.OUTSIDE_VALIDITY).all()
    assert (by_service[1] == Verdict.POSSIBLE).all()


def test_timing_of_the_wrong_kind_is_a_reason() -> None:
    """The 3-parameter model needs timing by iteration."""
    data = two_types()
    data["performance"][0]["iteration"] = {**ITERATION}
    table = build_candidates(fleet(data, services=[service("x", load=BUSY)]), "inferno-3p")
    assert verdicts(table) == {"A": Verdict.POSSIBLE, "B": Verdict.NO_TIMING}


def test_batch_range_above_the_accelerators_limit_is_a_reason() -> None:
    """At least 64 where 32 is the limit."""
    ranged = service("x", max_batch={"min": 64, "max": 128})
    table = build_candidates(fleet(services=[ranged]))
    assert set(verdicts(table).values()) == {Verdict.BATCH}
    assert reasons(table)["A"] == "maximum batch 32, below the service's least 64"


def test_batch_scales_with_the_output_length_it_was_stated_at() -> None:
    """32 at 512 tokens is 128 at 128 tokens, and stays 32 without requests to scale to."""
    data = two_types()
    for entry in data["performance"]:
        entry["max_batch_at_output_tokens"] = 512
    load = {"arrival_rate_rps": 1, "input_tokens": 100, "output_tokens": 128}
    table = build_candidates(
        fleet(data, services=[service("x", load=load), service("y", max_batch=7)])
    )
    assert table.max_batch.tolist() == [128, 128, 7, 7]


def test_promised_throughput_sizes_a_service_for_more_than_its_load() -> None:
    """1 request/s arrives; 5500 tokens/s of 11 tokens each are promised: sized for 500."""
    data = two_types()
    data["classes"][0]["slos"] = [{"targets": [{"metric": "service_tokens_per_s", "bound": 5500}]}]
    light = service("x", load={**BUSY, "arrival_rate_rps": 1})
    table = build_candidates(fleet(data, services=[light]))
    assert table.targets.rate_rps.tolist() == [500.0]
    assert (table.replicas * table.rate_per_replica_rps >= 500 * (1 - 1e-9)).all()
    replaced = fleet(
        data,
        services=[service("x", load={**BUSY, "arrival_rate_rps": 900})],
        optimizer={"throughput_target": "replaces-load"},
    )
    assert build_candidates(replaced).targets.rate_rps.tolist() == [500.0]


def test_request_speed_is_the_inverse_of_time_per_token() -> None:
    """200 tokens/s of one request would need 5 ms a token; 10 ms give 100."""
    data = two_types()
    for bound, verdict in ((200, Verdict.SLO), (99, Verdict.POSSIBLE)):
        slo = {"metric": "request_tokens_per_s", "bound": bound}
        data["classes"][0]["slos"] = [{"targets": [slo]}]
        table = build_candidates(fleet(data, services=[service("x", load=BUSY)]))
        assert set(verdicts(table).values()) == {verdict}


def test_a_classs_own_slo_for_a_model_replaces_the_general_one() -> None:
    """The entry that names the model wins over the one that names none."""
    data = two_types()
    data["classes"][0]["slos"] = [
        {"targets": [{"metric": "ttft_ms", "bound": 5}]},
        {"model": "m", "targets": [{"metric": "ttft_ms", "bound": 500}]},
    ]
    table = build_candidates(fleet(data, services=[service("x", load=BUSY)]))
    assert set(verdicts(table).values()) == {Verdict.POSSIBLE}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    rate=st.floats(0.1, 1e4),
    bound=st.floats(11.0, 1e4),
    per_request=st.floats(0.0, 5.0),
    batch=st.integers(1, 256),
)
def test_sized_candidates_keep_their_slo_with_the_fewest_replicas(
    rate: float, bound: float, per_request: float, batch: int
) -> None:
    """At n replicas the TTFT holds and the load is carried; n - 1 could not carry it."""
    data = two_types()
    data["classes"][0]["slos"] = [{"targets": [{"metric": "ttft_ms", "bound": bound}]}]
    timing = {**CONSTANT, "decode_ms_per_request": per_request}
    for entry in data["performance"]:
        entry.update(prefill_decode=timing, max_batch=batch)
    loaded = service("x", load={**BUSY, "arrival_rate_rps": rate})
    table = build_candidates(fleet(data, services=[loaded]))
    rows = table.possible
    assert len(rows) == 2
    n, r = table.replicas[rows], table.rate_per_replica_rps[rows]
    assert (table.metrics.ttft_ms[rows] <= bound * (1 + 1e-3)).all()
    assert (n * r >= rate * (1 - 1e-6)).all()
    assert ((n == 1) | ((n - 1) * r < rate)).all()
    assert np.allclose(table.cost_per_hour[rows], n * np.array([10.0, 5.0]))


def test_a_model_that_returns_nonsense_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN or a wrong shape from a queue model is its fault, and it is named."""
    from optimizer import ModelError
    from queue_models.state_dependent import StateDependentModel

    monkeypatch.setattr(
        StateDependentModel, "max_rate", lambda self, process, targets: np.full(2, np.nan)
    )
    with pytest.raises(ModelError, match="mm1k-state-dependent' returned max_rate"):
        build_candidates(fleet(services=[service("x", load=BUSY)]), "mm1k-state-dependent")
