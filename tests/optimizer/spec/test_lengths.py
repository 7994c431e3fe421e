"""Distributions of lengths: what a load may say, and what contradicts itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.spec import FleetSpec, LengthDistribution, LengthDistributionSpec, dump, loads

from .documents import changed, faults_of

LOAD = "services[0].load"
INPUT = "input_tokens: 512,"
OUTPUT = "output_tokens: 128}"


def load_of(text: str) -> FleetSpec:
    """The valid fleet with another prompt length for its first service."""
    return loads(changed((INPUT, f"input_tokens: {text},")))


@pytest.mark.parametrize(
    ("text", "mean"),
    [
        ("{distribution: fixed, mean: 512}", 512),
        ("{distribution: geometric, mean: 300.5}", 300.5),
        ("{distribution: lognormal, mean: 512, scv: 2.25}", 512),
        ("{distribution: empirical, values: [100, 200, 900]}", 400),
        ("{distribution: empirical, values: [100, 900], weights: [3, 1]}", 300),
    ],
)
def test_every_distribution_has_its_mean_and_is_dumped_back(text: str, mean: float) -> None:
    """What is written is read, knows its mean, and is written so that it reads back equal."""
    fleet = load_of(text)
    assert fleet.services[0].load.mean_input_tokens == pytest.approx(mean)
    assert loads(dump(fleet)) == fleet
    assert loads(dump(fleet, "json"), format="json") == fleet
    assert text.split(",")[0].strip("{") in dump(fleet)


@pytest.mark.parametrize(
    ("old", "new", "path", "said"),
    [
        (INPUT, "input_tokens: {mean: 5},", f"{LOAD}.input_tokens.distribution", "is missing"),
        (INPUT, "input_tokens: {distribution: zipf, mean: 5},",
         f"{LOAD}.input_tokens.distribution", "fixed, geometric, lognormal, empirical"),
        (INPUT, "input_tokens: {distribution: lognormal, mean: 512},",
         f"{LOAD}.input_tokens.scv", "missing for lognormal"),
        (INPUT, "input_tokens: {distribution: lognormal, mean: 0, scv: 1},",
         f"{LOAD}.input_tokens.mean", "greater than 0"),
        (INPUT, "input_tokens: {distribution: geometric, mean: 0.5},",
         f"{LOAD}.input_tokens.mean", "at least 1 (tokens) for geometric"),
        (INPUT, "input_tokens: {distribution: geometric, mean: 9, scv: 1},",
         f"{LOAD}.input_tokens.scv", "geometric lengths have none"),
        (INPUT, "input_tokens: {distribution: fixed, values: [5]},",
         f"{LOAD}.input_tokens.mean", "missing for fixed"),
        (INPUT, "input_tokens: {distribution: empirical, values: []},",
         f"{LOAD}.input_tokens.values", "at least one"),
        (INPUT, "input_tokens: {distribution: empirical, values: [1, 2], weights: [1]},",
         f"{LOAD}.input_tokens.weights", "as many as the values, 2, not 1"),
        (INPUT, "input_tokens: {distribution: empirical, values: [1, 2], weights: [0, 0]},",
         f"{LOAD}.input_tokens.weights", "one greater than 0"),
        (INPUT, "input_tokens: {distribution: empirical, values: [1, -2]},",
         f"{LOAD}.input_tokens.values[1]", "at least 0"),
        (INPUT, "input_tokens: {distribution: empirical, values: [1, many]},",
         f"{LOAD}.input_tokens.values[1]", "must be a number"),
        (INPUT, "input_tokens: {distribution: empirical, values: [0, 0]},",
         f"{LOAD}.input_tokens", "greater than 0 (tokens) where requests arrive"),
        (INPUT, "input_tokens: {distribution: fixed, mean: 0},",
         f"{LOAD}.input_tokens", "greater than 0 (tokens) where requests arrive"),
        (INPUT, "input_tokens: {distribution: fixed, mean: 5}, input_tokens_scv: 1,",
         f"{LOAD}.input_tokens_scv", "which has its own variation"),
        (INPUT, "input_tokens: [1, 2],", f"{LOAD}.input_tokens",
         "must be a number (tokens), or a mapping with the keys distribution, mean"),
        (INPUT, "input_tokens: {distribution: fixed, average: 5},",
         f"{LOAD}.input_tokens.average", "unknown key"),
        (OUTPUT, "output_tokens: {distribution: lognormal, mean: 0.5, scv: 1}}",
         f"{LOAD}.output_tokens.mean", "the first one counts"),
        (OUTPUT, "output_tokens: {distribution: empirical, values: [5, 0]}}",
         f"{LOAD}.output_tokens.values[1]", "the first one counts"),
        (OUTPUT, "output_tokens: 128, prefix_hit_rate: 1.5}", f"{LOAD}.prefix_hit_rate",
         "at most 1"),
        ("replicas: {min: 1, max: 8}", "routing: sticky", "services[0].routing",
         "random, round_robin, least_outstanding"),
    ],
)  # fmt: skip
def test_a_contradiction_is_reported_at_its_place(old: str, new: str, path: str, said: str) -> None:
    """Each fault names the field and what is wanted."""
    told = {fault.path: str(fault) for fault in faults_of(changed((old, new)))}
    assert said in told[path]


def test_all_faults_of_a_distribution_come_together() -> None:
    """A lognormal prompt without SCV and with values, and an SCV beside it: three faults."""
    text = changed(
        (INPUT, "input_tokens: {distribution: lognormal, mean: 9, values: [1]}, "
         "input_tokens_scv: 2,")
    )  # fmt: skip
    paths = {fault.path for fault in faults_of(text)}
    assert paths == {
        f"{LOAD}.input_tokens.scv",
        f"{LOAD}.input_tokens.values",
        f"{LOAD}.input_tokens_scv",
    }


_scalars = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3)
_anything = _scalars | st.lists(_scalars, max_size=3)


@given(
    st.dictionaries(
        st.sampled_from(("distribution", "mean", "scv", "values", "weights", "x")),
        _anything | st.sampled_from([*LengthDistribution]),
        max_size=5,
    )
)
@settings(deadline=None, max_examples=200, derandomize=True)
def test_any_mapping_is_refused_by_fault_or_is_a_distribution(lengths: dict[str, object]) -> None:
    """Whatever stands for a length, the answer is a fleet or faults, never another exception."""
    from optimizer.errors import SpecError
    from optimizer.spec import from_data, load
    from tests.optimizer.spec.documents import VALID_PATH

    data = load(VALID_PATH).model_dump(by_alias=True)
    data["services"][0]["load"]["output_tokens"] = lengths
    try:
        fleet = from_data(data)
    except SpecError:
        return
    read = fleet.services[0].load
    assert isinstance(read.output_tokens, LengthDistributionSpec)
    assert read.mean_output_tokens >= 1
