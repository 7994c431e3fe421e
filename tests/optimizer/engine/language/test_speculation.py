from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from optimizer.engine import EngineConfig, LiveFleet, OnlineEngine, Tokens
from optimizer.engine.language import (
    Generation,
    LanguageModel,
    NGramModel,
    SamplingParams,
    TextSampler,
    Tokenizer,
    built_in_model,
)
from optimizer.engine.language.speculation import judged
from queue_models import IterationTiming
from tests.optimizer.engine.language.plain_sampler import plain_shaped

MODEL = built_in_model()


@pytest.mark.parametrize(
    ("target", "draft", "accepted"),
    [
        ([0.2, 0.5, 0.3, 0.0], [0.5, 0.25, 0.0, 0.25], 0.45),
        ([0.0, 0.0, 1.0, 0.0], [0.5, 0.5, 0.0, 0.0], 0.0),
        ([0.25, 0.25, 0.25, 0.25], [0.25, 0.25, 0.25, 0.25], 1.0),
        ([0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 0.0, 1.0], 0.4),
    ],
)
def test_the_law_is_the_targets_exactly(target, draft, accepted) -> None:
    """Every combination of evenly spread draws for guess, judgement and correction, counted: each
    token comes out as often as the target says, and as often guessed as the sum of the minima."""
    grids = [(np.arange(n) + 0.5) / n for n in (20, 20, 66)]
    counts, guessed = np.zeros(4), 0
    for luck in itertools.product(*grids):
        token, was_guessed = judged(np.array(target), np.array(draft), np.array(luck))
        counts[token] += 1
        guessed += was_guessed
    assert counts / counts.sum() == pytest.approx(target, abs=1e-12)
    assert guessed / counts.sum() == pytest.approx(accepted, abs=1e-12)


def test_texts_have_the_law_of_the_target_with_a_poor_draft_and_every_parameter() -> None:
    """Three tokens of 6000 seeds, with penalties, temperature, top-p and a stop token, drafted by
    another model altogether, against all texts enumerated without a draft: chi-square."""
    bytes_alone = Tokenizer(())
    size = bytes_alone.vocabulary_size
    target = NGramModel([[0, 1, 2, 1], [1, 1, 0], [2, 0, 0, 1], [0, 2]], 3, size)
    draft = NGramModel([[2, 2, 2, 1], [0, 0]], 2, size)
    model = LanguageModel(bytes_alone, target, draft)
    params = SamplingParams(
        max_tokens=3,
        temperature=1.3,
        top_p=0.9,
        presence_penalty=0.4,
        frequency_penalty=-0.3,
        repetition_penalty=1.2,
        stop_token_ids=(2,),
        min_tokens=1,
        ignore_eos=True,
    )
    found: Counter[tuple[int, ...]] = Counter()
    for seed in range(6000):
        generation = Generation(model, [1], params, seed=seed, speculate=True)
        while generation.finish_reason is None:
            generation.step(3)
        found[tuple(generation.output)] += 1

    expected: dict[tuple[int, ...], float] = {}

    def enumerate_from(output: tuple[int, ...], share: float) -> None:
        if len(output) == 3 or (output and output[-1] == 2):
            expected[output] = 6000 * share
            return
        shares = plain_shaped(target.distribution([1, *output]), params, [1], output)
        for token in np.flatnonzero(shares):
            enumerate_from((*output, int(token)), share * shares[token])

    enumerate_from((), 1.0)
    assert set(found) <= set(expected)
    often = [key for key, count in expected.items() if count > 5]
    assert len(often) > 8
    observed = [*(found[key] for key in often), 6000 - sum(found[key] for key in often)]
    wanted = [*(expected[key] for key in often), 6000 - sum(expected[key] for key in often)]
    assert wanted[-1] > 5
    assert chisquare(observed, wanted).pvalue > 1e-3


def test_greedy_text_is_the_same_with_a_draft() -> None:
    """A draft can make it faster, never another."""
    prompt = MODEL.tokenizer.encode("The")
    params = SamplingParams(temperature=0, max_tokens=60, repetition_penalty=1.3)
    texts = []
    for speculate in (False, True):
        generation = Generation(MODEL, prompt, params, speculate=speculate)
        while generation.finish_reason is None:
            generation.step(4)
        texts.append(generation.output)
    assert texts[0] == texts[1]


def test_as_many_guesses_are_accepted_as_the_distributions_overlap() -> None:
    """Over 2000 tokens of text the guesses accepted are within four standard deviations of the sum
    of min(p, q); of the built-in pair, about three in four."""
    params = SamplingParams(max_tokens=2000, ignore_eos=True, seed=3)
    generation = Generation(MODEL, MODEL.tokenizer.encode("The"), params, speculate=True)
    guessed, mean, variance = 0, 0.0, 0.0
    while generation.finish_reason is None:
        guessed += generation.next().guessed
        overlap = min(np.minimum(generation._work[1], generation._work[3]).sum(), 1.0)
        mean += overlap
        variance += overlap * (1 - overlap)
    assert abs(guessed - mean) < 4 * math.sqrt(variance)
    assert 0.6 < guessed / 2000 < 0.9


def test_the_text_does_not_depend_on_how_many_drafts_there_are() -> None:
    """Four drafts an iteration, one, or as many as the engine happens to allow: what comes out
    together differs, the text does not."""
    outputs = []
    for most in ([5], [2], [1, 4, 2, 3]):
        generation = Generation(
            MODEL, [65], SamplingParams(max_tokens=80, ignore_eos=True, seed=9), speculate=True
        )
        turns = itertools.cycle(most)
        while generation.finish_reason is None:
            allowed = next(turns)
            emissions = generation.step(allowed)
            assert 1 <= len(emissions) <= allowed
            assert all(e.guessed for e in emissions[:-1])
        outputs.append(generation.output)
    assert outputs[0] == outputs[1] == outputs[2]


def test_an_engine_speaks_and_keeps_account_of_what_was_guessed() -> None:
    """With three drafts, blocks for a few requests only and preemptions: every request gets the
    text that it gets alone, tokens come out as they are told, the engine counts the guesses that
    were accepted, and all blocks are free in the end, also those of rejected guesses."""
    sampler = TextSampler()
    config = EngineConfig(block_size=4, num_blocks=40, draft_tokens=3, max_num_seqs=8)
    engine = OnlineEngine(config, IterationTiming(10, 1, 0.25), sampler=sampler)
    prompts = [MODEL.tokenizer.encode(text) for text in ("The", "A train", "Good notes", "In")] * 2
    for seed, prompt in enumerate(prompts):
        params = SamplingParams(max_tokens=60, ignore_eos=True, seed=seed)
        request = engine.submit(len(prompt), 60)
        sampler.begin(request, Generation(MODEL, prompt, params, speculate=True))
    told: dict[int, list[int]] = {}
    guessed = together = 0
    for event in engine.advance(math.inf):
        if isinstance(event, Tokens):
            emissions = sampler.take(event.request, event.tokens)
            assert len(emissions) == event.tokens
            told.setdefault(event.request, []).extend(e.token for e in emissions)
            together += event.tokens
            guessed += event.tokens - 1
    replica = engine.state.replicas[0]
    assert replica.preemptions > 0
    assert replica.accepted_drafts == guessed
    assert 0.3 < replica.accepted_drafts / replica.drafts < 0.9
    assert replica.free == config.usable_blocks
    for seed, prompt in enumerate(prompts):
        alone = Generation(
            MODEL,
            prompt,
            SamplingParams(max_tokens=60, ignore_eos=True, seed=seed),
            speculate=True,
        )
        while alone.finish_reason is None:
            alone.next()
        assert told[seed] == alone.output
        sampler.end(seed)


def test_a_fleet_that_is_told_the_guesses_schedules_as_the_engine_that_asks_for_them() -> None:
    """Texts drawn in advance, whose guesses and ends the compiled fleet is told, come out at the
    same times as from the engine that draws at every iteration, as many tokens together; without
    being told, drafts are accepted by chance."""
    config = EngineConfig(
        block_size=4, num_blocks=40, draft_tokens=3, max_num_seqs=8, acceptance_rate=0.0
    )
    timing = IterationTiming(10, 1, 0.25)
    prompts = [MODEL.tokenizer.encode(text) for text in ("The", "A train", "Good notes", "In")] * 2
    params = [SamplingParams(max_tokens=60, seed=seed) for seed in range(len(prompts))]

    sampler = TextSampler()
    engine = OnlineEngine(config, timing, sampler=sampler)
    for prompt, own in zip(prompts, params, strict=True):
        sampler.begin(
            engine.submit(len(prompt), 60), Generation(MODEL, prompt, own, speculate=True)
        )
    asked = [tuple(e) for e in engine.advance(math.inf) if isinstance(e, Tokens)]

    def told(*, guesses: bool) -> tuple[list[tuple[float, int, int]], int]:
        fleet = LiveFleet(config, timing, tells_tokens=True)
        for prompt, own in zip(prompts, params, strict=True):
            number = fleet.submit(len(prompt), 60)
            generation = Generation(MODEL, prompt, own, speculate=True)
            guessed = []
            while generation.finish_reason is None:
                guessed.append(generation.next().guessed)
            if guesses:
                half = len(guessed) // 2
                fleet.tell_guesses(number, half, guessed[half:])
                fleet.tell_guesses(number, 0, guessed[:half])
            if len(guessed) < 60:
                fleet.shorten(number, len(guessed))
        happened = fleet.advance(1e6)
        columns = happened.time_ms, happened.request, happened.tokens
        accepted = fleet.state.replicas.accepted_drafts.sum()
        return list(zip(*(column.tolist() for column in columns), strict=True)), int(accepted)

    came, accepted = told(guesses=True)
    assert sorted(came) == sorted(asked)
    assert accepted == engine.state.replicas[0].accepted_drafts > 0
    assert told(guesses=False)[1] == 0
