"""A fleet written down reads back the same."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.spec import FleetSpec, dump, loads

from .documents import VALID


def test_the_yaml_is_what_a_person_would_write() -> None:
    """Version first, then the order of the reference; no defaults; short parts on one line."""
    text = dump(loads(VALID))
    assert text.startswith(
        "schema_version: 1\nname: test fleet\naccelerators:\n- name: L40S\n  memory_gb: 48\n"
        "  power: {idle_w: 90, full_w: 350, mid_w: 250, mid_utilization: 0.6}\n"
        "  cost_per_hour: 1.2\n"
    )
    assert "  - {metric: ttft_ms, statistic: p95, bound: 800}\n" in text
    assert "statistic: mean" not in text
    assert "optimizer" not in text


def test_the_json_has_no_defaults_either() -> None:
    """JSON holds the same keys as YAML, ends with a line break and keeps other scripts as is."""
    text = dump(loads(VALID.replace("test fleet", "Flotte für Ünïcode")), "json")
    data = json.loads(text)
    assert list(data)[:2] == ["schema_version", "name"]
    assert "optimizer" not in data
    assert text.endswith("}\n")
    assert "Flotte für Ünïcode" in text


# Texts that look like something else, and any others that may be names.
_AWKWARD = ["no", "1e3", "null", "~", "<<", "- a", "a: b", "#", "0x1f", " x ", "2024-01-01", ".nan"]
_names = st.sampled_from(
    [*_AWKWARD, "'", '"', "*a", "&a", "!b", "{c}", "[d]", "%", "@", "é", "\U0001f600"]
)
_names |= st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
_positive = st.floats(min_value=1e-6, max_value=1e9)


_lengths = st.floats(min_value=1, max_value=1e9)


def _distributions() -> st.SearchStrategy[dict[str, object]]:
    """Draw a distribution of lengths that outputs may have."""
    return st.one_of(
        st.fixed_dictionaries(
            {"distribution": st.sampled_from(["fixed", "geometric"]), "mean": _lengths}
        ),
        st.fixed_dictionaries(
            {
                "distribution": st.just("lognormal"),
                "mean": _lengths,
                "scv": st.floats(min_value=0, max_value=1e6),
            }
        ),
        st.fixed_dictionaries(
            {
                "distribution": st.just("empirical"),
                "values": st.lists(_lengths, min_size=3, max_size=3),
            },
            optional={"weights": st.lists(_lengths, min_size=3, max_size=3)},
        ),
    )


@st.composite
def _fleets(draw: st.DrawFn) -> dict[str, object]:
    """Draw a valid fleet over a few names."""
    models = draw(st.lists(_names, min_size=1, max_size=3, unique=True))
    accelerators = draw(st.lists(_names, min_size=1, max_size=3, unique=True))
    timing = {
        "base_ms": draw(_positive),
        "decode_ms_per_token": draw(st.floats(min_value=0, max_value=10)),
        "prefill_ms_per_token": draw(st.integers(0, 10**9)),
    }
    target = {
        "metric": draw(st.sampled_from(["ttft_ms", "itl_ms", "request_tokens_per_s"])),
        "statistic": draw(st.sampled_from(["mean", "p50", "p99.9"])),
        "bound": draw(_positive),
    }
    load = {
        "arrival_rate_rps": draw(st.floats(min_value=0, max_value=1e9)),
        "input_tokens": draw(_positive | _distributions()),
        "output_tokens": draw(st.floats(min_value=1, max_value=1e9) | _distributions()),
        "prefix_hit_rate": draw(st.floats(min_value=0, max_value=1)),
    }
    batch = draw(st.none() | st.integers(1, 65536) | st.just({"min": 1, "max": 64}))
    names = draw(st.lists(_names, min_size=1, max_size=4, unique=True))
    return {
        "name": draw(_names),
        "accelerators": [
            {"name": name, "cost_per_hour": draw(_positive), "pool": draw(st.none() | _names)}
            for name in accelerators
        ],
        "models": [{"name": name} for name in models],
        "performance": [
            {"model": m, "accelerator": a, "max_batch": 8, "iteration": timing}
            for m in models
            for a in accelerators
        ],
        "classes": [{"name": "c", "priority": 1, "slos": [{"targets": [target]}]}],
        "services": [
            {
                "name": name,
                "model": draw(st.sampled_from(models)),
                "class": "c",
                "load": load,
                "max_batch": batch,
                "routing": draw(st.sampled_from(["random", "round_robin", "least_outstanding"])),
            }
            for name in names
        ],
        "notes": draw(st.lists(st.text(st.characters(exclude_categories=("Cs",))), max_size=2)),
    }


@given(_fleets())
@settings(deadline=None, max_examples=100, derandomize=True)
def test_what_is_dumped_loads_to_an_equal_fleet(data: dict[str, object]) -> None:
    """Under both formats `loads(dump(fleet))` is the fleet, whatever its names and numbers are."""
    fleet = FleetSpec.model_validate(data, by_alias=True, by_name=False)
    assert loads(dump(fleet, "yaml"), format="yaml") == fleet
    assert loads(dump(fleet, "json"), format="json") == fleet
