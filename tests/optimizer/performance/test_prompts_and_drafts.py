from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.performance import Work, iteration_ms
from optimizer.performance.prefill import chunked_prefill_ms
from optimizer.performance.speculation import (
    SpeculationError,
    accepted_tokens,
    speculative_token_ms,
)
from tests.optimizer.performance.replicas import replica

few = settings(deadline=None, max_examples=40, derandomize=True)


def test_a_prompt_of_one_chunk_is_one_iteration() -> None:
    """Without chunking, a prefill's time is its iteration's."""
    work = Work(
        decode_tokens=0.0,
        context_tokens=0.0,
        prefill_tokens=1000.0,
        prefill_context_tokens=500.0,
        prompts=1.0,
    )
    assert chunked_prefill_ms(replica(), 1000.0) == pytest.approx(
        float(iteration_ms(replica(), work))
    )


def test_chunks_attend_to_what_precedes_them() -> None:
    """Three chunks take more than three times one: the later ones attend to more."""
    one, three = chunked_prefill_ms(replica(), np.array([8192.0, 3 * 8192.0]))
    assert 3 * one < three < 9 * one


def test_reused_cache_saves_its_tokens() -> None:
    """7000 of 8000 tokens reused: less than a fifth of the time, more than 1000 tokens alone."""
    whole = chunked_prefill_ms(replica(), 8000.0)
    rest = chunked_prefill_ms(replica(), 1000.0, cached_tokens=7000.0)
    assert chunked_prefill_ms(replica(), 1000.0) < rest < whole / 5


def test_decoding_beside_a_prompt_slows_it() -> None:
    """Sequences that decode meanwhile take time, and room in the chunk."""
    alone = chunked_prefill_ms(replica(), 8192.0)
    beside = chunked_prefill_ms(replica(), 8192.0, decode_tokens=128.0, context_tokens=2000.0)
    assert beside > alone


@few
@given(st.integers(0, 16), st.floats(0, 1))
def test_accepted_tokens_are_the_sum_of_the_chances(drafted: int, rate: float) -> None:
    """1 + a + ... + a^k tokens: token j is kept if all before it were."""
    expected = sum(rate**j for j in range(drafted + 1))
    assert float(accepted_tokens(drafted, rate)) == pytest.approx(expected, rel=1e-6)


def test_drafts_that_are_always_kept_divide_the_step() -> None:
    """With acceptance 1 and k = 3, four tokens share one step."""
    work = Work(decode_tokens=4.0, context_tokens=1000.0)
    free = float(speculative_token_ms(replica(), work, 3, 1.0))
    plain = float(iteration_ms(replica(), work))
    assert plain / 4 <= free < plain / 3


def test_a_drafting_model_costs_its_steps() -> None:
    """Drafting adds k of the draft's decode steps to each verification."""
    work = Work(decode_tokens=4.0, context_tokens=1000.0)
    big, small = replica("meta-llama/Llama-3.1-70B", tensor=4.0), replica()
    without = speculative_token_ms(big, work, 3, 0.7)
    with_draft = speculative_token_ms(big, work, 3, 0.7, draft=small)
    steps = 3 * iteration_ms(small, work) / accepted_tokens(3, 0.7)
    assert with_draft - without == pytest.approx(float(steps))


@pytest.mark.parametrize(("drafted", "rate", "field"), [(-1, 0.5, "spec"), (2, 1.5, "acceptance")])
def test_figures_out_of_range_are_named(drafted: int, rate: float, field: str) -> None:
    """The message names the figure and its range."""
    with pytest.raises(SpeculationError, match=field):
        accepted_tokens(drafted, rate)
