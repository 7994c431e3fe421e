"""Tables of iteration times and the engine's settings in performance entries."""

from __future__ import annotations

import pytest

from optimizer.spec import dump, loads

from .documents import changed, faults_of

LINEAR = "    iteration: {base_ms: 8.0, decode_ms_per_token: 0.1, prefill_ms_per_token: 0.02}"
TABLE = "performance[0].iteration_table"


def table(**changes: str) -> str:
    """The valid fleet with a table for its first entry."""
    parts = {
        "decode_tokens": "[0, 64]",
        "prefill_tokens": "[0, 2048]",
        "kv_tokens": "[0]",
        "time_ms": "[[[8], [50]], [[14], [58]]]",
        **changes,
    }
    rows = "".join(f"\n      {key}: {value}" for key, value in parts.items() if value)
    return changed((LINEAR, f"    iteration_table:{rows}"))


def test_a_table_alone_is_a_timing_and_is_dumped_back() -> None:
    """A performance entry needs no linear timing beside a table."""
    fleet = loads(table())
    assert fleet.performance[0].iteration is None
    assert fleet.performance[0].iteration_table is not None
    assert fleet.performance[0].iteration_table.time_ms[1][1] == (58.0,)
    assert loads(dump(fleet)) == fleet


@pytest.mark.parametrize(
    ("changes", "path", "said"),
    [
        ({"decode_tokens": "[64, 0]"}, ".decode_tokens", "must rise"),
        ({"kv_tokens": "[]"}, ".kv_tokens", "at least one point"),
        ({"kv_tokens": ""}, ".kv_tokens", "is missing"),
        ({"time_ms": "[[[8], [50]]]"}, ".time_ms", "2 entries, one for each of decode_tokens"),
        ({"time_ms": "[[[8], [50]], [[14]]]"}, ".time_ms[1]", "one for each of prefill_tokens"),
        ({"time_ms": "[[[8], [50]], [[14], [58, 60]]]"}, ".time_ms[1][1]", "each of kv_tokens"),
        ({"time_ms": "[[[8], [50]], [[14], [49]]]"}, ".time_ms[1][1][0]",
         "must be at least 50 (ms), the time with fewer decode tokens"),
        ({"time_ms": "[[[8], [50]], [[14], [0]]]"}, ".time_ms[1][1][0]", "greater than 0"),
        ({"time_ms": "[[[8], [50]], [[14], 58]]"}, ".time_ms[1][1]", "must be a list"),
        ({"time_ms": "8"}, ".time_ms", "must be a list"),
        ({"prefill_tokens": "[0, fast]"}, ".prefill_tokens[1]", "must be a number (tokens)"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_is_refused(changes: dict[str, str], path: str, said: str) -> None:
    """Axes rise, the table fits them, more work never takes less time."""
    told = {fault.path: str(fault) for fault in faults_of(table(**changes))}
    assert said in told[TABLE + path]


@pytest.mark.parametrize(
    ("line", "path", "said"),
    [
        ("chunk_tokens: 0", "chunk_tokens", "at least 1"),
        ("kv_capacity_tokens: 0", "kv_capacity_tokens", "greater than 0"),
        ("speculative_decoding: {draft_tokens: 4}", "speculative_decoding.acceptance_rate",
         "is missing"),
        ("speculative_decoding: {draft_tokens: 0, acceptance_rate: 0.5}",
         "speculative_decoding.draft_tokens", "at least 1"),
        ("speculative_decoding: {draft_tokens: 4, acceptance_rate: 70}",
         "speculative_decoding.acceptance_rate", "at most 1"),
    ],
)  # fmt: skip
def test_engine_settings_have_ranges(line: str, path: str, said: str) -> None:
    """Chunk budget, KV capacity and speculation are checked with their place."""
    told = {f.path: str(f) for f in faults_of(changed((LINEAR, f"{LINEAR}\n    {line}")))}
    assert said in told[f"performance[0].{path}"]
