"""Compressions of the catalogue, and CacheGen's bins by layer group."""

from __future__ import annotations

import json

import pytest

from optimizer.catalog import UnknownEntryError, kv_compression, kv_compression_names
from optimizer.cli.exit_codes import ExitCode
from optimizer.errors import SpecError
from optimizer.kv import CompressionLevel, LayerGroup, binned_compression
from tests.optimizer.cli.commands import run

RATIO = (
    "kv", "ratio", "--model", "meta-llama/Llama-2-7b-hf", "--context-tokens", "4096",
    "--prefill-s", "0.64", "--bandwidth-gb-s", "4.8",
)  # fmt: skip


def test_every_compression_says_where_it_comes_from() -> None:
    """What was measured names model, dataset and metric; a planning value claims no quality."""
    for name in kv_compression_names():
        facts = kv_compression(name)
        assert facts.compression > 1
        assert facts.source
        assert facts.evidence in {"printed table", "secondary", "computed bound", "planning value"}
        measured = (facts.model, facts.dataset, facts.metric, facts.quality, facts.quality_full)
        assert len({figure is None for figure in measured}) == 1
        assert (facts.quality is None) == (facts.evidence in {"computed bound", "planning value"})
        assert facts.same_prefix == ("h2o" not in name and "llmlingua" not in name)


def test_published_sizes_and_qualities() -> None:
    """CacheGen: 176 MB where fp16 takes 2 x 622 MB, accuracy 1.00 to 0.98; H2O on COPA 85 to 84."""
    cachegen = kv_compression("cachegen")
    assert cachegen.compression == pytest.approx(2 * 622 / 176, rel=1e-3)
    assert cachegen.quality_loss == pytest.approx(0.02)
    assert kv_compression("h2o-20-copa").quality_loss == pytest.approx(1 / 85)
    assert kv_compression("fp8").quality_loss is None
    level = CompressionLevel.of_catalog(cachegen)
    assert (level.name, level.quality_loss) == ("cachegen", pytest.approx(0.02))
    with pytest.raises(UnknownEntryError, match="cachegen"):
        kv_compression("cachegn")


def test_bits_by_layer_group() -> None:
    """LMCache's bins: keys 10 x 5 + 22 x 4 bits, values 2 x 5 + 30 x 4, of 32 layers."""
    keys = [LayerGroup(10, 32), LayerGroup(20, 16), LayerGroup(32, 16)]
    values = [LayerGroup(2, 32), LayerGroup(32, 16)]
    bits = 0.5 * ((10 * 5 + 22 * 4) / 32 + (2 * 5 + 30 * 4) / 32)
    found = binned_compression(32, keys, values)
    assert found == pytest.approx(16 / bits)
    assert kv_compression("cachegen-bins").compression == pytest.approx(found, abs=0.005)
    for wrong in ([], [LayerGroup(31, 16)], [LayerGroup(20, 16), LayerGroup(10, 16)]):
        with pytest.raises(SpecError, match="must ascend and end at layer 32"):
            binned_compression(32, wrong, values)
    with pytest.raises(SpecError, match="bins"):
        LayerGroup(3, 1)


def test_a_compression_by_name_shrinks_the_load_and_tells_its_quality() -> None:
    """An eighth of the bytes or so; against fp16 only."""
    plain = run(*RATIO, "--json")
    small = run(*RATIO, "--compressed-as", "cachegen", "--json")
    factor = json.loads(plain.stdout)["kv_bytes"] / json.loads(small.stdout)["kv_bytes"]
    assert factor == pytest.approx(7.07)
    assert "LongChat accuracy 1 -> 0.98" in small.stderr
    twice = run(*RATIO, "--compressed-as", "cachegen", "--compression", "2")
    assert twice.returncode == ExitCode.USAGE
    unknown = run(*RATIO, "--compressed-as", "cachegn")
    assert unknown.returncode == ExitCode.SPEC_INVALID
    assert "did you mean cachegen" in unknown.stderr
