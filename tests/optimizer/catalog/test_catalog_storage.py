"""The storage devices and the quality points of the catalogue."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from optimizer.catalog import (
    StorageDeviceFacts,
    UnknownEntryError,
    quality_points,
    storage_device,
    storage_device_names,
)

REFERENCE = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "storage_devices.csv"
# Field of the catalogue -> column of the reference data.
COLUMNS = {
    "description": "name",
    "kind": "class",
    "scope": "scope",
    "read_gb_s": "read_GBps",
    "latency_ms": "read_latency_ms",
    "capacity_gb": "capacity_GB",
    "usd_per_gb_hour": "usd_per_GB_hour",
    "evidence": "evidence",
}


def every() -> list[StorageDeviceFacts]:
    return [storage_device(name) for name in storage_device_names()]


def test_there_are_49_devices_with_distinct_names():
    """Each answers to its own name."""
    names = storage_device_names()
    assert len(set(names)) == len(names) == 49
    assert [facts.name for facts in every()] == list(names)


def test_totals_are_those_of_the_data():
    """Sums over the whole file: a changed digit anywhere in these columns shows."""
    assert sum(facts.read_gb_s for facts in every()) == pytest.approx(11_917.375)
    assert sum(facts.usd_per_gb_hour or 0 for facts in every()) == pytest.approx(0.04072804)


@pytest.mark.parametrize("name", storage_device_names())
def test_figures_are_in_sane_ranges_and_sourced(name: str):
    """Units are right, unknown is None, and each entry says how firm it is."""
    facts = storage_device(name)
    assert 0.05 <= facts.read_gb_s <= 5000
    assert 0 < facts.latency_ms <= 200
    assert facts.capacity_gb >= 80
    assert facts.accelerators in (1, 8)
    assert facts.scope in ("local", "cluster", "cloud")
    assert facts.usd_per_gb_hour is None or 1e-5 < facts.usd_per_gb_hour < 0.01
    assert facts.durability is None or 0.99 < facts.durability < 1
    assert facts.evidence in ("sourced", "secondary", "vendor nominal", "indicative")
    assert facts.source.strip()


def test_aggregates_are_marked():
    """Bandwidths of eight accelerators together are not taken for those of one."""
    assert {facts.name for facts in every() if facts.accelerators == 8} == {
        "cpu_dram_8xa800", "rdma_8x100_a800", "weka_nixl_8gpu",
    }  # fmt: skip


def test_fees_of_known_services():
    """S3 Express and EFS bill transfer, S3 Standard requests."""
    express = storage_device("aws_s3_express")
    assert (express.read_usd_per_gb, express.write_usd_per_gb) == (0.0006, 0.0032)
    assert storage_device("aws_efs_elastic").read_usd_per_gb == 0.03
    assert storage_device("aws_s3_standard_parallel").usd_per_1000_reads == 0.0004


def test_unknown_name_offers_the_nearest():
    """The error is a LookupError that names what resembles it."""
    with pytest.raises(UnknownEntryError, match="nvme_gen4") as caught:
        storage_device("nvme_gen44")
    assert caught.value.kind == "storage device"


def test_values_equal_the_reference_data():
    """Every figure equals the reference data it was taken from."""
    if not REFERENCE.exists():
        pytest.skip("the reference data lie outside the repository and are not here")
    with REFERENCE.open(encoding="utf-8", newline="") as lines:
        rows = {row["device_id"]: row for row in csv.DictReader(lines)}
    assert tuple(rows) == storage_device_names()
    for facts in every():
        for field, column in COLUMNS.items():
            ours, theirs = getattr(facts, field), rows[facts.name][column]
            same = ours == float(theirs) if isinstance(ours, float) else (ours or "") == theirs
            assert same, f"{facts.name}.{field}: {ours} != {theirs}"


def test_quality_points_say_where_they_come_from():
    """Ratios and qualities within 0 and 1; what was read from a figure says so."""
    points = quality_points()
    assert {point.dataset for point in points} == {"2WikiMQA", "Musique"}
    for point in points:
        assert 0 <= point.ratio <= 1
        assert 0 < point.quality < 1
        assert point.evidence in ("read from a figure", "bound stated in the text")
        assert "CacheBlend" in point.source
    assert len(quality_points("Musique")) == 3
