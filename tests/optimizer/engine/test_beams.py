from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from optimizer.engine import (
    EngineConfig,
    OnlineEngine,
    SimulationError,
    beam_search,
    sample_in_parallel,
)
from optimizer.engine.language import (
    Generation,
    LanguageModel,
    NGramModel,
    SamplingParams,
    Tokenizer,
    built_in_model,
)
from queue_models import IterationTiming
from tests.optimizer.engine.test_invariants import _check

MODEL = built_in_model()
TIMING = IterationTiming(10, 1, 1)
CONFIG = EngineConfig(block_size=4, num_blocks=400)
END = 256


def _search(prompt, **settings):
    given = {"config": CONFIG, "timing": TIMING, "width": 3} | settings
    return beam_search(MODEL, prompt, **given)


def plain_beam_search(model, prompt, width, max_tokens, length_penalty):
    """The search over lists, as it reads in vLLM."""

    def score(tokens, logprob):
        length = len(tokens) - (tokens[-1] == END)
        return logprob / length**length_penalty

    live, ended = [(list(prompt), 0.0)], []
    for _ in range(max_tokens):
        new = []
        for tokens, logprob in live:
            logprobs = np.log(model.distribution(tokens))
            for token in sorted(range(logprobs.size), key=lambda t: -logprobs[t])[: 2 * width]:
                longer = ([*tokens, token], logprob + logprobs[token])
                (ended if token == END else new).append(longer)
        live = sorted(new, key=lambda beam: -score(*beam))[:width]
    best = sorted(ended + live, key=lambda beam: -score(*beam))[:width]
    return [(tuple(tokens[len(prompt) :]), score(tokens, logprob)) for tokens, logprob in best]


@pytest.mark.parametrize(
    ("text", "width", "length", "penalty"),
    [("The", 3, 8, 1.0), ("What is", 5, 6, 0.0), ("2 + 2 =", 4, 7, 2.0), ("x", 1, 5, 1.0)],
)
def test_the_beams_are_those_of_the_plain_search(text, width, length, penalty) -> None:
    """Whatever the width and the penalty, the same texts in the same order with the same scores;
    every step is one iteration of the engine."""
    prompt = MODEL.tokenizer.encode(text)
    found = _search(prompt, width=width, max_tokens=length, length_penalty=penalty)
    expected = plain_beam_search(MODEL.target, prompt, width, length, penalty)
    assert [beam.tokens for beam in found.beams] == [tokens for tokens, _ in expected]
    assert [beam.score for beam in found.beams] == pytest.approx([s for _, s in expected])
    # The prompt, then every beam's token in one iteration.
    wide = 10 + len(prompt) + (length - 1) * (10 + width)
    assert found.finished_ms == pytest.approx(wide)


def test_as_many_beams_as_texts_find_the_most_probable_ones() -> None:
    """With a beam for every token nothing is lost in two steps: the best are the best of all."""
    tokenizer = Tokenizer(())
    size = tokenizer.vocabulary_size
    target = NGramModel([[0, 1, 2, 1, 0, 3], [3, 1, 0], [2, 0, 0, 1], [0, 2]], 3, size)
    model = LanguageModel(tokenizer, target, target)
    found = beam_search(
        model,
        [1],
        config=EngineConfig(num_blocks=2000, max_num_seqs=size),
        timing=TIMING,
        width=size,
        max_tokens=2,
        length_penalty=0.0,
        ignore_eos=True,
    )
    first = target.distribution([1])
    every = {
        (a, b): first[a] * second
        for a in range(6)
        for b, second in enumerate(target.distribution([1, a])[:6])
    }
    best = sorted(every, key=lambda pair: -every[pair])[:5]
    assert [beam.tokens for beam in found.beams[:5]] == best
    assert found.beams[0].logprob == pytest.approx(np.log(every[best[0]]))


def test_beams_share_their_prompt_and_copy_what_they_write_to() -> None:
    """A prompt of 30 tokens lies in eight blocks of 4, the last one half full. Four beams hold the
    seven full ones once; without sharing they would hold them four times."""
    prompt = (MODEL.tokenizer.encode("A plan is a promise.") * 6)[:30]
    found = _search(prompt, width=4, max_tokens=5)
    # After the last step, 34 computed tokens each: nine blocks, of which seven are shared.
    assert found.unshared_blocks == 4 * 9
    assert found.most_blocks <= 7 + 4 * 2
    assert found.copied_blocks >= 3


def test_several_texts_share_one_prompt_and_are_what_they_would_be_alone() -> None:
    """Five texts on a prompt of 18 tokens: it is computed once, four of them copy its half-full
    block, and each is the text of its seed."""
    prompt = (MODEL.tokenizer.encode("A plan is a promise.") * 6)[:18]
    params = SamplingParams(max_tokens=9, seed=7, temperature=1.5, ignore_eos=True)
    found = sample_in_parallel(MODEL, prompt, params, 5, config=CONFIG, timing=TIMING)
    for k, generation in enumerate(found.generations):
        alone = Generation(MODEL, prompt, params.for_choice(k))
        while alone.finish_reason is None:
            alone.next()
        assert (generation.output, generation.text) == (alone.output, alone.text)
    assert len({tuple(g.output) for g in found.generations}) > 1
    assert found.computed_tokens == 18 + 5 * 8
    assert found.copied_blocks == 4
    assert found.finished_ms == pytest.approx(28 + 8 * 15)


def test_texts_of_different_lengths_end_by_themselves() -> None:
    """Also with the first token, from which the others still fork; with drafts too."""
    prompt = MODEL.tokenizer.encode("The")
    lengths = set()
    for drafts in (0, 3):
        config = EngineConfig(block_size=4, num_blocks=400, draft_tokens=drafts)
        params = SamplingParams(max_tokens=30, seed=1, logit_bias={END: 9.0})
        found = sample_in_parallel(MODEL, prompt, params, 6, config=config, timing=TIMING)
        assert all(g.finish_reason is not None for g in found.generations)
        lengths |= {len(g.output) for g in found.generations}
    assert 1 in lengths
    assert len(lengths) > 2
    first = sample_in_parallel(
        MODEL, prompt, SamplingParams(max_tokens=1), 3, config=CONFIG, timing=TIMING
    )
    assert [len(g.output) for g in first.generations] == [1, 1, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width = 0"),
        ({"max_tokens": 0}, "max_tokens = 0"),
        ({"config": EngineConfig(draft_tokens=2)}, "draft_tokens = 2"),
    ],
)
def test_impossible_searches_are_refused(settings, message) -> None:
    """The message says what came and what is wanted."""
    with pytest.raises(ValueError, match=message):
        _search([65], **settings)
    with pytest.raises(ValueError, match="prompt of 0 tokens"):
        sample_in_parallel(MODEL, [], SamplingParams(), 1, config=CONFIG, timing=TIMING)


def test_a_replica_too_small_says_so() -> None:
    """Too few places, too few blocks, and a prompt that can never fit."""
    few = EngineConfig(block_size=4, num_blocks=400, max_num_seqs=2)
    with pytest.raises(SimulationError, match="max_num_seqs = 2"):
        _search([65, 66], config=few, max_tokens=4)
    with pytest.raises(SimulationError, match="max_num_seqs = 2"):
        sample_in_parallel(MODEL, [65], SamplingParams(), 3, config=few, timing=TIMING)
    small = EngineConfig(block_size=4, num_blocks=6)
    with pytest.raises(SimulationError, match="do not fit into 5 blocks"):
        _search([65] * 8, config=small, width=4, max_tokens=8)
    for search in (
        lambda: _search([65] * 90, config=small),
        lambda: sample_in_parallel(
            MODEL, [65] * 90, SamplingParams(), 1, config=small, timing=TIMING
        ),
    ):
        with pytest.raises(SimulationError, match="prompt is too long"):
            search()


@pytest.mark.parametrize("seed", range(8))
def test_no_block_is_lost_whatever_beams_and_texts_do(seed: int, monkeypatch) -> None:
    """On random blocks, units of prefixes, prompts and widths, forks and aborts leave every block
    free and every count at nothing, and no request is left."""
    engines = []

    def watched(*given, **settings):
        engines.append(OnlineEngine(*given, **settings))
        return engines[-1]

    for module in ("beams", "parallel_sampling"):
        monkeypatch.setattr(f"optimizer.engine.{module}.OnlineEngine", watched)
    rng = np.random.default_rng(seed)
    size = int(rng.choice([1, 4, 16]))
    config = EngineConfig(
        block_size=size,
        num_blocks=2 + 8 * (60 // size + 2),
        prefix_match_unit=int(rng.choice([u for u in (1, 2, 4, 16) if u <= size])),
        max_num_seqs=8,
        max_num_batched_tokens=int(rng.choice([8, 64])),
    )
    prompt = rng.integers(0, 1024, int(rng.integers(1, 40))).tolist()
    length = int(rng.integers(1, 12))
    _search(prompt, config=config, width=int(rng.integers(1, 9)), max_tokens=length)
    drafting = dataclasses.replace(config, draft_tokens=int(rng.integers(0, 3)))
    params = SamplingParams(max_tokens=length, seed=seed, logit_bias={END: 4.0})
    found = sample_in_parallel(MODEL, prompt, params, 6, config=drafting, timing=TIMING)
    assert all(generation.finish_reason for generation in found.generations)
    assert len(engines) == 2
    for engine in engines:
        _check(engine.state, engine.config.rules())
        replica = engine.state.replicas[0]
        assert replica.free == config.usable_blocks
        assert (replica.running, replica.waiting, replica.outstanding) == (0, 0, 0)
        assert (replica.context, replica.tabled) == (0, 0)
