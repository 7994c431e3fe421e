"""How many requests a KV cache holds, against a queue of reservations followed one by one."""

from __future__ import annotations

import heapq

import numpy as np
import pytest

from queue_models import IterationTiming, Lengths, ServiceProcess
from queue_models.work import RequestWork

TIMING = IterationTiming(8.0, 0.03, 0.05)


def _followed(prompt: np.ndarray, output: np.ndarray, cache: float) -> float:
    """Serve requests in order as they fit, one that never fits alone; return the mean number."""
    clock, reserved, held, area, started = 0.0, 0.0, 0, 0.0, 0.0
    leaving: list[tuple[float, float]] = []
    warm = len(prompt) // 10
    for number, (size, stay) in enumerate(zip(prompt + output, output, strict=True)):
        while held and reserved + size > cache:
            time, freed = heapq.heappop(leaving)
            area += held * (time - clock)
            clock, reserved, held = time, reserved - freed, held - 1
        if number == warm:
            area, started = 0.0, clock
        heapq.heappush(leaving, (clock + stay, size))
        reserved, held = reserved + size, held + 1
    return area / (clock - started)


@pytest.mark.parametrize(
    ("requests", "tolerance"), [(1.2, 0.1), (2.5, 0.05), (4.0, 0.02), (8.0, 0.015), (30.0, 0.01)]
)
@pytest.mark.parametrize("family", ["geometric", "lognormal", "prompts alone"])
def test_the_mean_number_is_that_of_requests_followed_one_by_one(
    family: str, requests: float, tolerance: float
) -> None:
    """Within 5 % from a cache of 2.5 mean requests on, within 2 % from four on.

    Where all stay equally long they leave in the order in which they came, and fill it better.
    """
    rng, count = np.random.default_rng(3), 40_000
    prompt, output = np.full(count, 300.0), np.full(count, 100.0)
    if family == "geometric":
        lengths = Lengths.geometric([300.0]), Lengths.geometric([100.0])
        prompt, output = rng.geometric(1 / 300, count), rng.geometric(1 / 100, count)
    else:
        drawn = rng.lognormal(np.log(300) - np.log(2) / 2, np.sqrt(np.log(2)), count)
        prompt = np.maximum(np.rint(drawn), 1.0)
        lengths = Lengths.lognormal([300.0], 1.0), Lengths.fixed([100.0])
        if family == "lognormal":
            output = rng.permutation(np.maximum(np.rint(drawn / 3.0), 1.0))
            lengths = lengths[0], Lengths.lognormal([100.0], 1.0)
    cache = requests * 400.0
    service = ServiceProcess(
        TIMING, *lengths, 1000, kv_capacity_tokens=cache, chunk_tokens=1_000_000
    )
    (came,) = RequestWork.of(service).slots
    tolerance += 0.05 if family == "prompts alone" else 0.0
    assert came == pytest.approx(_followed(prompt, output, cache), rel=tolerance)


def test_whole_requests_of_one_size_and_single_ones_too_large() -> None:
    """640 tokens each: ten in 6 500; one at a time where none fits, whatever their sizes."""
    alike = ServiceProcess(TIMING, 512, 128, 64, kv_capacity_tokens=[6500, 10.0, np.inf])
    np.testing.assert_allclose(RequestWork.of(alike).slots, [10.0, 1.0, 64.0])
    varied = ServiceProcess(
        TIMING, 512, 128, 64, input_tokens_scv=1.0, output_tokens_scv=1.0, kv_capacity_tokens=1.0
    )
    np.testing.assert_allclose(RequestWork.of(varied).slots, [1.0])


def test_little_variation_changes_little() -> None:
    """Sizes that hardly vary fill the cache as one size does; more room never holds fewer."""
    cache = np.linspace(640.0, 20_000.0, 400)
    alike, nearly, varied = (
        RequestWork.of(
            ServiceProcess(TIMING, 512, 128, 64, output_tokens_scv=scv, kv_capacity_tokens=cache)
        ).slots
        for scv in (0.0, 1e-8, 0.3)
    )
    np.testing.assert_allclose(nearly, alike, rtol=1e-4)
    for held in (nearly, varied):
        assert np.all(np.diff(held) >= -1e-9)
