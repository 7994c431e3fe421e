"""The accelerators of the catalogue."""

from __future__ import annotations

import csv
from dataclasses import fields
from pathlib import Path

import pytest

from optimizer.catalog import (
    AcceleratorFacts,
    UnknownEntryError,
    accelerator,
    accelerator_names,
)

REFERENCE = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "accelerators.csv"
# Field of the catalogue -> column of the reference data.
COLUMNS = {
    "vendor": "vendor",
    "memory_gb": "memory_gb",
    "bandwidth_gb_s": "memory_bandwidth_gb_s",
    "fp16_tflops": "fp16_bf16_dense_tflops",
    "fp8_tflops": "fp8_dense_tflops",
    "int8_tops": "int8_dense_tops",
    "fp4_tflops": "fp4_dense_tflops",
    "interconnect": "interconnect",
    "interconnect_gb_s": "interconnect_gb_s_per_direction",
    "max_scaleup_devices": "max_scaleup_devices",
    "tdp_w": "tdp_w",
    "usd_per_hour": "usd_per_hour_indicative",
    "compute_capability": "compute_capability",
}


def every() -> list[AcceleratorFacts]:
    return [accelerator(name) for name in accelerator_names()]


def test_there_are_34_accelerators_with_distinct_names():
    """The catalogue holds all 34 accelerators, and each answers to its own name."""
    names = accelerator_names()
    assert len(names) == 34
    assert len({name.casefold() for name in names}) == 34
    assert [facts.name for facts in every()] == list(names)


def test_totals_are_those_of_the_data():
    """Sums over the whole file: a changed digit anywhere in these columns shows."""
    assert sum(facts.memory_gb for facts in every()) == pytest.approx(3561.1)
    assert sum(facts.usd_per_hour or 0 for facts in every()) == pytest.approx(81.37)
    assert sum(facts.fp16_tflops or 0 for facts in every()) == pytest.approx(27040.55)


def test_known_entries():
    """Spot checks against the vendors' data sheets."""
    h100 = accelerator("H100-SXM")
    assert (h100.memory_gb, h100.bandwidth_gb_s, h100.fp16_tflops, h100.fp8_tflops) == (
        80,
        3350,
        989,
        1979,
    )
    assert (h100.tdp_w, h100.compute_capability, h100.max_scaleup_devices) == (700, "9.0", 8)
    assert accelerator("MI300X").memory_gb == 192
    assert accelerator("A100-80GB-SXM").fp8_tflops is None


def test_unknown_figures_are_none_and_never_zero():
    """What is not known is None: no price of an H20, no bandwidth of a Spyre, no zero anywhere."""
    assert accelerator("H20").usd_per_hour is None
    assert accelerator("IBM-Spyre").bandwidth_gb_s is None
    assert accelerator("TPU-v5e").tdp_w is None
    for facts in every():
        assert 0 not in [getattr(facts, field.name) for field in fields(facts)], facts.name
        assert "" not in [getattr(facts, field.name) for field in fields(facts)], facts.name


@pytest.mark.parametrize("name", accelerator_names())
def test_figures_are_in_sane_ranges(name: str):
    """Units are right: memory 16-300 GB, bandwidth 0.3-8 TB/s, dense peaks in the usual order."""
    facts = accelerator(name)
    assert 16 <= facts.memory_gb <= 300
    assert facts.bandwidth_gb_s is None or 300 <= facts.bandwidth_gb_s <= 8000
    assert facts.fp16_tflops is None or 60 <= facts.fp16_tflops <= 2600
    if facts.fp16_tflops and facts.fp8_tflops:
        assert 1 <= facts.fp8_tflops / facts.fp16_tflops <= 2.1
    assert 10 <= facts.interconnect_gb_s <= 1000
    assert 1 <= facts.max_scaleup_devices <= 10_000
    assert facts.tdp_w is None or 50 <= facts.tdp_w <= 1500
    assert facts.usd_per_hour is None or 0.3 <= facts.usd_per_hour <= 15


@pytest.mark.parametrize("name", accelerator_names())
def test_every_entry_names_its_source(name: str):
    """Each entry has a source, and a price has its own."""
    facts = accelerator(name)
    assert facts.source.strip()
    assert (facts.usd_per_hour is None) == (facts.price_source is None)


@pytest.mark.parametrize(
    ("asked", "offered"),
    [("H100", "H100-SXM"), ("h200-sxm", "H200-SXM"), ("A100-80GB", "A100-80GB-SXM")],
)
def test_unknown_name_offers_the_nearest(asked: str, offered: str):
    """An unknown accelerator is a LookupError that names what resembles it."""
    with pytest.raises(UnknownEntryError) as caught:
        accelerator(asked)
    assert isinstance(caught.value, LookupError)
    assert offered in caught.value.nearest
    assert str(caught.value).startswith(f"the catalogue has no accelerator {asked!r}; did you mean")


def test_values_equal_the_reference_data():
    """The catalogue is fresh: every figure equals the reference data it was taken from."""
    if not REFERENCE.exists():
        pytest.skip("the reference data lie outside the repository and are not here")
    with REFERENCE.open(encoding="utf-8", newline="") as lines:
        rows = {row["name"]: row for row in csv.DictReader(lines)}
    assert tuple(rows) == accelerator_names()
    for facts in every():
        for field, column in COLUMNS.items():
            ours, theirs = getattr(facts, field), rows[facts.name][column]
            same = (
                ours == float(theirs) if isinstance(ours, int | float) else (ours or "") == theirs
            )
            assert same, f"{facts.name}.{field}: {ours} != {theirs}"
