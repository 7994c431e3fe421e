"""Keep or drop, and how fast storage must be."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.errors import SpecError
from optimizer.kv import break_even_bandwidth_gb_s, evaluate_retention


@pytest.mark.parametrize(("flops", "gb_s"), [(8 * 312e12, 5.86), (8 * 989.5e12, 18.6)])
def test_mooncakes_thresholds(flops, gb_s):
    """LLaMA3-70B, 8,192 tokens: 5.86 GB/s for 8 A800 (paper: 6), 18.6 for 8 H800 (paper: 19)."""
    found = break_even_bandwidth_gb_s(
        hidden_size=8192, query_heads_per_kv_head=8, prefix_tokens=8192, flops_per_s=flops
    )
    assert float(found) == pytest.approx(gb_s, abs=0.05)


def test_break_even_intervals_of_an_8b_model():
    """1.07 GB that save 0.4 s of a 3 USD/h GPU: 6 min in DRAM, 2.8 h on NVMe, 9.9 h in S3."""
    price = np.array([0.003, 1.1e-4, 3.15e-5])
    found = evaluate_retention(1.0737e9, 400.0, gpu_usd_per_hour=3.0, usd_per_gb_hour=price)
    assert float(found.saved_usd_per_hit) == pytest.approx(3.333e-4, rel=1e-3)
    assert found.break_even_interval_h == pytest.approx([0.1035, 2.82, 9.86], rel=2e-3)
    assert found.keep is None


def test_keeping_pays_above_the_break_even_rate():
    """One hit per interval is the border; read fees move it."""
    found = evaluate_retention(
        1e9, 3600.0, gpu_usd_per_hour=1.0, usd_per_gb_hour=0.001, hits_per_hour=np.array([0.9, 1.1])
    )
    assert found.keep is not None
    assert found.keep.tolist() == [False, True]
    found = evaluate_retention(
        1e9,
        3600.0,
        gpu_usd_per_hour=1.0,
        usd_per_gb_hour=0.001,
        read_usd=0.002,
        hits_per_hour=100.0,
    )
    assert not found.keep
    assert np.isnan(found.break_even_interval_h)


def test_free_keeping_has_no_border():
    """Keep whenever it is used at all."""
    found = evaluate_retention(1e9, 1.0, gpu_usd_per_hour=1.0, usd_per_gb_hour=0.0)
    assert np.isinf(found.break_even_interval_h)


def test_negative_figures_are_refused_by_name():
    """The fault names the field."""
    with pytest.raises(SpecError, match="saved_ms"):
        evaluate_retention(1e9, -1.0, gpu_usd_per_hour=1.0, usd_per_gb_hour=0.0)
