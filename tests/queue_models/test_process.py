"""What a model is asked about: bad input names field, elements and values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from queue_models import (
    IterationTiming,
    Lengths,
    Metric,
    PrefillDecodeTiming,
    ServiceProcess,
    ServiceProcessError,
    Statistic,
    TableTiming,
    Target,
)

TIMING = IterationTiming(10, 0.1, 0.1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: IterationTiming(0, 1, 1), "base_ms: 0 .*greater than 0"),
        (lambda: IterationTiming(1, -1, 1), "decode_ms_per_token: -1"),
        (lambda: IterationTiming(1, 1, np.nan), "prefill_ms_per_token: nan"),
        (lambda: IterationTiming("x", 1, 1), "base_ms = 'x': must be numbers"),
        (lambda: PrefillDecodeTiming(0, 0, 1, 1), "both 0"),
        (lambda: PrefillDecodeTiming(1, 1, np.inf, 1), "prefill_base_ms: inf"),
        (lambda: ServiceProcess(TIMING, -1, 2, 3), "input_tokens: -1"),
        (
            lambda: ServiceProcess(TIMING, [5, 1, -2], 2, 3),
            r"input_tokens: -2 \(element\(s\) \[2\]\)",
        ),
        (lambda: ServiceProcess(TIMING, 1, 0.5, 3), "output_tokens: 0.5 .*at least 1"),
        (lambda: ServiceProcess(TIMING, 1, 2, 2.5), "max_batch: must be whole"),
        (lambda: ServiceProcess(TIMING, 1, 2, 0), "max_batch: 0"),
        (lambda: ServiceProcess(TIMING, 1, 2, 3, arrival_scv=0), "arrival_scv: 0"),
        (lambda: ServiceProcess(TIMING, 1, 2, 3, queue_capacity=-1), "queue_capacity: -1"),
        (lambda: ServiceProcess(TIMING, 1, 2, 3, queue_capacity=np.nan), "queue_capacity: nan"),
        (lambda: ServiceProcess(TIMING, 1, 2, 3, chunk_tokens=0), "chunk_tokens: 0"),
        (lambda: ServiceProcess(TIMING, [1, 2], [1, 2, 3], 3), "do not broadcast"),
        (lambda: ServiceProcess("fast", 1, 2, 3), "timing = 'fast'"),
        (lambda: Statistic(Metric.TTFT, 100), "percentile = 100"),
        (lambda: Target(Statistic(Metric.TTFT), [1, 0]), "ttft_ms mean: must be greater than 0"),
    ],
)
def test_bad_input_is_named(make: Callable[[], object], words: str) -> None:
    """The message says which field, what came and what is wanted."""
    with pytest.raises(ServiceProcessError, match=words):
        make()


def test_arguments_broadcast_and_are_read_only() -> None:
    """Everything takes the common shape, timing included, and cannot be changed."""
    service = ServiceProcess(TIMING, [[1.0], [2.0]], [10, 20, 30], 8)
    assert service.shape == (2, 3)
    assert service.timing.base_ms.shape == (2, 3)
    with pytest.raises(ValueError, match="read-only"):
        service.input_tokens[0, 0] = 5.0


def test_taking_pairs_keeps_every_field() -> None:
    """`take` selects pairs by index or mask."""
    service = ServiceProcess(
        TIMING, [1, 2, 3], [4, 5, 6], [7, 8, 9], queue_capacity=[0, 1, np.inf], chunk_tokens=64
    )
    part = service.take(np.array([False, False, True]))
    assert (part.input_tokens, part.output_tokens, part.max_batch) == (3.0, 6.0, 9.0)
    assert part.queue_capacity == np.inf
    assert part.chunk_tokens == 64.0
    assert ServiceProcess(TIMING, [1, 2], 3, 4).take(np.array([1])).queue_capacity is None


def test_rows_are_equal_where_pairs_are() -> None:
    """Of pairs that differ in one field each, no two rows are equal; of equal pairs they are."""
    table = TableTiming([1.0], [0.0, 9.0], [0.0], 1.0 + np.arange(4.0).reshape(2, 1, 2, 1))
    lengths = Lengths.stack([Lengths.empirical([5, 7]), Lengths.empirical([4, 8])])
    for timing, prompt, changes in (
        (IterationTiming([10, 11], 0.1, 0.1), 5, {}),
        (PrefillDecodeTiming(1.0, 0.1, [2.0, 3.0], 0.1), 5, {}),
        (table, 5, {}),
        (TIMING, lengths, {}),
        (TIMING, 5, {"routing": np.array([0, 1])}),
        (TIMING, 5, {"queue_capacity": [7, np.inf]}),
        (TIMING, 5, {"output_tokens_scv": [0.0, 1.0]}),
        (TIMING, 5, {"acceptance_rate": [0.5, 0.6]}),
    ):
        service = ServiceProcess(timing, prompt, 20, 8, **changes)
        rows = service.take(np.array([0, 1, 0])).as_rows()
        assert np.array_equal(rows[0], rows[2])
        assert not np.array_equal(rows[0], rows[1])
