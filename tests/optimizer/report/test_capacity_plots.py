"""Figures of KV caches show every format and the budget."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.capacity import ModelArchitecture, context_sweep
from optimizer.report.capacity_plots import draw_context_sweep


def test_a_sweep_is_drawn_with_a_line_per_format(tmp_path: Path) -> None:
    """An SVG whose legend has bytes per token of each format, and the budget."""
    pytest.importorskip("matplotlib", reason="the [plot] extra is not installed")
    import matplotlib as mpl

    lengths = [512, 1024, 4096]
    sweeps = [
        context_sweep(
            ModelArchitecture("Qwen/Qwen3-8B", kv_dtype=kv_dtype).get_kv_cache_detail(), lengths
        )
        for kv_dtype in ("bfloat16", "fp8")
    ]
    with mpl.rc_context({"svg.fonttype": "none"}):  # text as text
        draw_context_sweep(sweeps, tmp_path / "kv.svg", budget_gb=12)
    drawn = (tmp_path / "kv.svg").read_text(encoding="utf-8")
    for words in (
        "bfloat16: 147,456 bytes per token",
        "fp8: 73,728 bytes per token",
        "budget: 12 GB",
        "GB = 1e9 bytes",
        ">4K<",
        "Qwen/Qwen3-8B: GQA",
    ):
        assert words in drawn
