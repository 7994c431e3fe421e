from __future__ import annotations

import pytest

from optimizer.catalog import accelerator, accelerator_names, model, model_names
from optimizer.performance import (
    PRECISIONS,
    MissingFigureError,
    UnknownPrecisionError,
    family_of,
    native_precision,
    precision,
    roof_of,
)


def test_an_accelerator_without_bandwidth_is_refused_by_its_field() -> None:
    """A card whose bandwidth is not known is refused, naming the field."""
    with pytest.raises(MissingFigureError, match=r"IBM-Spyre.*bandwidth_gb_s"):
        roof_of(accelerator("IBM-Spyre"))


def test_cards_without_a_narrow_type_multiply_in_the_next_wider() -> None:
    """No card is slower in a narrower type; without fp8 or int8 it is as fast as in 16 bits."""
    for name in accelerator_names():
        facts = accelerator(name)
        if facts.bandwidth_gb_s is None or facts.fp16_tflops is None:
            continue
        roof = roof_of(facts)
        assert roof.tflops_4 >= roof.tflops_8 >= roof.tflops_16 > 0
    assert roof_of(accelerator("V100-SXM2-32GB")).tflops_8 == 125


def test_families_follow_the_architecture() -> None:
    """H100, H200 and GH200 are Hopper, A100 Ampere, L40S Ada, B200 Blackwell, MI300X CDNA."""
    families = {
        "H100-SXM": "hopper",
        "H200-SXM": "hopper",
        "GH200-96GB": "hopper",
        "A100-80GB-SXM": "ampere",
        "L40S": "ada",
        "B200-SXM": "blackwell",
        "MI300X": "cdna",
        "TPU-v5e": "other",
    }
    assert {name: family_of(accelerator(name)) for name in families} == families


def test_unknown_precisions_are_refused_with_the_known_ones() -> None:
    """The message lists what there is."""
    with pytest.raises(UnknownPrecisionError, match=r"fp6.*bf16, fp16, fp8"):
        precision("fp6")


@pytest.mark.parametrize("name", model_names())
def test_every_checkpoint_comes_in_a_known_precision(name: str) -> None:
    """The native precision of each model of the catalogue is one of the table's."""
    assert native_precision(model(name)) in PRECISIONS
