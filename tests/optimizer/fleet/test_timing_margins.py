"""Times known with an uncertainty are slowed until they hold with a confidence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optimizer as fo
from optimizer.fleet.timing_margins import TimingMargins
from optimizer.spec import FleetSpec, SpecError, TimingUncertaintySpec, load
from queue_models import IterationTiming, PrefillDecodeTiming

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "fleet.yaml"
Z95 = 1.6448536269514722
HERE = np.zeros(1, dtype=np.int64)
WORK = (np.array([500.0]), np.array([200.0]), np.array([64.0]))


def fleet(confidence: float, **stated: Any) -> FleetSpec:
    """The example with the same uncertainty stated for every entry."""
    spec = load(EXAMPLE)
    uncertainty = TimingUncertaintySpec(**stated) if stated else None
    entries = tuple(e.model_copy(update={"uncertainty": uncertainty}) for e in spec.performance)
    options = spec.optimizer.model_copy(update={"performance_confidence": confidence})
    return spec.model_copy(update={"performance": entries, "optimizer": options})


def slowed(spec: FleetSpec) -> IterationTiming:
    margins = TimingMargins.of(spec)
    assert margins is not None
    timing = margins.slowed(IterationTiming([8.0], [0.05], [0.02], [1e-4]), HERE, *WORK)
    assert isinstance(timing, IterationTiming)
    return timing


def test_one_error_common_to_all_is_that_of_every_time() -> None:
    """With coefficients wholly tied together, times are slower by exp(z sd), whatever the work."""
    spec = fleet(0.95, log_sd=[0.1] * 4, correlation=[[1.0] * 4] * 4)
    timing = slowed(spec)
    assert timing.base_ms[0] == pytest.approx(8.0 * math.exp(0.1 * Z95))
    assert timing.kv_ms_per_token[0] == pytest.approx(1e-4 * math.exp(0.1 * Z95))


def test_errors_that_cancel_cost_less() -> None:
    """Opposite errors of base and decode tokens make the times surer than independent ones."""
    opposite = np.eye(4)
    opposite[0, 1] = opposite[1, 0] = -0.99
    free = slowed(fleet(0.95, log_sd=[0.3, 0.3, 0.0, 0.0]))
    tied = slowed(fleet(0.95, log_sd=[0.3, 0.3, 0.0, 0.0], correlation=opposite.tolist()))
    assert 8.0 < tied.base_ms[0] < free.base_ms[0]


def test_what_is_not_known_counts_by_its_share() -> None:
    """A coefficient that makes up next to nothing of a time costs next to nothing."""
    timing = slowed(fleet(0.95, log_sd=[0.0, 0.0, 0.0, 1.0]))
    margins = TimingMargins.of(fleet(0.95, log_sd=[0.0, 0.0, 0.0, 1.0]))
    assert margins is not None
    small = margins.slowed(IterationTiming([8.0], [0.05], [0.02], [1e-9]), HERE, *WORK)
    assert isinstance(small, IterationTiming)
    assert small.base_ms[0] == pytest.approx(8.0, rel=1e-3)
    assert timing.base_ms[0] > 8.4


def test_an_uncertainty_is_of_the_law_it_is_stated_for() -> None:
    """Coefficients by iteration do not slow a timing by phase."""
    margins = TimingMargins.of(fleet(0.95, log_sd=[0.3] * 4))
    assert margins is not None
    timing = PrefillDecodeTiming([8.0], [0.1], [5.0], [0.01])
    same = margins.slowed(timing, HERE, *WORK)
    assert isinstance(same, PrefillDecodeTiming)
    assert same.decode_base_ms[0] == 8.0


def test_confidence_costs_and_half_is_none() -> None:
    """The plan costs more the surer it is to be; at 0.5 it is the plan without uncertainty."""
    stated = {"log_sd": [0.05, 0.2, 0.05, 0.2]}
    plain, half, sure = (
        fo.optimize(spec).total_cost_per_hour
        for spec in (fleet(0.5), fleet(0.5, **stated), fleet(0.95, **stated))
    )
    assert plain is not None
    assert sure is not None
    assert half == plain
    assert sure > plain


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ("log_sd: [0.1, 0.1, 0.1]", "log_sd"),
        ("log_sd: [0.1, 0.1, 0.1, -1]", "log_sd[3]"),
        ("log_sd: [1, 1, 1, 1], correlation: [[1, 0.5, 0, 0], [0.4, 1, 0, 0], [0, 0, 1, 0], "
         "[0, 0, 0, 1]]", "correlation has no direction"),
        ("log_sd: [1, 1, 1, 1], correlation: [[0.9, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], "
         "[0, 0, 0, 1]]", "must be 1: each error agrees with itself"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(tmp_path: Path, stated: str, words: str) -> None:
    """A wrong uncertainty is refused with its place in the file."""
    text = EXAMPLE.read_text(encoding="utf-8")
    spoilt = text.replace("max_batch: 16,", f"max_batch: 16, uncertainty: {{{stated}}},", 1)
    assert spoilt != text
    path = tmp_path / "fleet.yaml"
    path.write_text(spoilt, encoding="utf-8")
    with pytest.raises(SpecError) as refused:
        load(path)
    assert words in str(refused.value)
    assert "fleet.yaml:" in str(refused.value)
