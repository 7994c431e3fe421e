from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from optimizer.engine.language import (
    Generation,
    NGramModel,
    SamplingError,
    SamplingParams,
    SpecialToken,
    StopStrings,
    built_in_model,
)
from optimizer.engine.language.built_in import LanguageModel
from optimizer.engine.language.generation import sampling_knobs
from optimizer.engine.language.token_choice import drawn, shaped
from tests.optimizer.engine.language.plain_sampler import plain_shaped

MODEL = built_in_model()
END = int(SpecialToken.END)


@pytest.mark.parametrize("seed", range(60))
def test_the_distribution_is_that_of_the_plain_definition(seed: int) -> None:
    """With random parameters, histories and models the compiled sampler keeps the same tokens with
    the same probabilities."""
    rng = np.random.default_rng(seed)
    size = 300
    model = rng.dirichlet(np.full(size, rng.choice([0.05, 1.0])) + 1e-3) + 1e-12
    params = SamplingParams(
        temperature=float(rng.choice([0.0, 0.3, 1.0, 1.7])),
        top_p=float(rng.choice([1.0, 0.95, 0.5, 0.01])),
        top_k=int(rng.choice([0, -1, 1, 7, 1000])),
        min_p=float(rng.choice([0.0, 0.02, 1.0])),
        repetition_penalty=float(rng.choice([1.0, 0.7, 1.5])),
        presence_penalty=float(rng.choice([0.0, 0.8, -1.0])),
        frequency_penalty=float(rng.choice([0.0, 0.3, -2.0])),
        logit_bias={int(t): float(rng.uniform(-9, 30)) for t in rng.integers(0, size, 3)},
        stop_token_ids=tuple(rng.integers(0, size, 2).tolist()),
        min_tokens=int(rng.choice([0, 12])),
        ignore_eos=bool(rng.random() < 0.5),
    )
    prompt, output = rng.integers(0, size, 20), rng.integers(0, size, 8)
    knobs = sampling_knobs(params, prompt, size)
    if params.penalises:
        np.add.at(knobs.in_output, output, 1)
    out = np.empty(size)
    shaped(model, knobs, output.size >= params.min_tokens, out)
    expected = plain_shaped(model, params, prompt, output)
    assert (out > 0).tolist() == (expected > 0).tolist()
    assert out == pytest.approx(expected, rel=1e-9)


def test_equals_are_kept_by_top_k_and_the_first_of_them_is_greedy() -> None:
    """Of four tokens, three as probable as the second: the two most probable ones are all four.
    The nucleus of 0.5 keeps the largest and, of the equals, the last ones."""
    model = np.array([0.2, 0.4, 0.2, 0.2])

    def kept(**settings):
        out = np.empty(4)
        shaped(model, sampling_knobs(SamplingParams(ignore_eos=True, **settings), [], 4), True, out)
        return np.flatnonzero(out).tolist()

    assert kept(top_k=2) == [0, 1, 2, 3]
    assert kept(top_k=1) == [1]
    assert kept(top_p=0.5) == [1, 3]
    assert kept(temperature=0, logit_bias={1: -50}) == [0]


def test_draws_follow_the_distribution() -> None:
    """20 000 draws by evenly spread numbers hit each token as often as it is probable, and one of
    probability 0 never."""
    shares = np.array([0.0, 0.1, 0.6, 0.0, 0.3, 0.0])
    luck = (np.arange(20_000) + 0.5) / 20_000
    counts = np.bincount([drawn(shares, u) for u in luck], minlength=6)
    assert counts.tolist() == [0, 2000, 12_000, 0, 6000, 0]
    assert drawn(shares, 1 - 2**-53) == 4


def _end(params: SamplingParams, prompt: str = "The", **settings: object) -> Generation:
    generation = Generation(MODEL, MODEL.tokenizer.encode(prompt), params, **settings)
    told = ""
    while generation.finish_reason is None:
        told += generation.next().text
    assert told == generation.text
    return generation


def test_texts_have_the_law_of_the_model() -> None:
    """The first two tokens of 4000 seeds against all pairs enumerated: chi-square."""
    texts = [[0, 1, 2, 1], [1, 1, 0], [2, 0, 0, 1], [0, 2]]
    target = NGramModel(texts, 3, MODEL.tokenizer.vocabulary_size)
    model = LanguageModel(MODEL.tokenizer, target, target)
    allowed = dict.fromkeys((0, 1, 2), 40.0)  # so that nothing else comes in practice
    params = SamplingParams(max_tokens=2, logit_bias=allowed)
    found: Counter[tuple[int, ...]] = Counter()
    for seed in range(4000):
        generation = Generation(model, [1], params, seed=seed)
        while generation.finish_reason is None:
            generation.next()
        found[tuple(generation.output)] += 1
    expected = {}
    for a in range(3):
        first = target.distribution([1])[:3]
        for b in range(3):
            second = target.distribution([1, a])[:3]
            expected[a, b] = 4000 * first[a] / first.sum() * second[b] / second.sum()
    assert set(found) <= set(expected)
    assert chisquare([found[k] for k in expected], list(expected.values())).pvalue > 1e-3


def test_the_same_seed_gives_the_same_text_and_another_one_another() -> None:
    """The request's seed goes before that of the caller; several outputs have one each."""
    params = SamplingParams(max_tokens=40, seed=5)
    assert _end(params, seed=1).output == _end(params, seed=2).output
    assert _end(params).output != _end(params.for_choice(1)).output
    assert SamplingParams(seed=2**63 - 1).for_choice(1).seed == -(2**63)
    free = SamplingParams(max_tokens=40)
    assert _end(free, seed=1).output == _end(free, seed=1).output != _end(free, seed=2).output


def test_the_text_is_that_of_its_tokens() -> None:
    """Also of tokens drawn at random from all, most of them no text: nothing is lost at the end."""
    flat = dict.fromkeys(range(128, 256), 30.0)
    for seed in range(10):
        generation = _end(SamplingParams(max_tokens=9, logit_bias=flat, seed=seed))
        assert generation.text == MODEL.tokenizer.decode(generation.output)


def test_a_stop_is_found_across_the_borders_of_tokens() -> None:
    """Greedy text is cut before the stop, or after it where wanted; the reason is the stop."""
    whole = _end(SamplingParams(temperature=0, max_tokens=30)).text
    stop = whole[17:23]
    assert whole.index(stop) == 17
    cut = _end(SamplingParams(temperature=0, max_tokens=30, stop=("never there", stop)))
    assert (cut.text, cut.finish_reason, cut.stop_reason) == (whole[:17], "stop", stop)
    kept = _end(
        SamplingParams(temperature=0, max_tokens=30, stop=stop, include_stop_str_in_output=True)
    )
    assert kept.text == whole[:23]
    late = _end(SamplingParams(temperature=0, max_tokens=30, min_tokens=30, stop=stop))
    assert (late.text, late.finish_reason) == (whole, "length")


@pytest.mark.parametrize("include", [False, True])
@pytest.mark.parametrize("seed", range(15))
def test_stops_do_not_depend_on_how_the_text_is_cut(seed: int, include: bool) -> None:
    """One character at a time or in pieces: the same is told, up to the first stop; and nothing is
    told that has to be taken back."""
    rng = np.random.default_rng(seed)
    text = "".join(rng.choice(list("ab"), 40))
    stop = "".join(rng.choice(list("ab"), int(rng.integers(2, 7))))
    at = text.find(stop)
    expected = text if at < 0 else text[: at + (len(stop) if include else 0)]
    for sizes in ([1] * 40, rng.integers(1, 4, 40)):
        stops, told, rest = StopStrings([stop], include=include), "", text
        for size in sizes:
            piece, rest = rest[:size], rest[size:]
            more, found = stops.feed(piece)
            told += more
            assert expected.startswith(told)
            if found:
                break
        assert told + ("" if found else stops.close()) == expected


def test_stop_tokens_and_lengths_end_a_text() -> None:
    """A stop token ends it and is not told, unless before `min_tokens`, where it cannot come; the
    length ends it otherwise, that of the context too."""
    whole = _end(SamplingParams(temperature=0, max_tokens=12))
    assert (len(whole.output), whole.finish_reason) == (12, "length")
    token = whole.output[6]
    first = whole.output.index(token)
    stopped = _end(SamplingParams(temperature=0, max_tokens=12, stop_token_ids=[token]))
    assert stopped.output == whole.output[: first + 1]
    assert stopped.text == MODEL.tokenizer.decode(whole.output[:first])
    assert (stopped.finish_reason, stopped.stop_reason) == ("stop", token)
    later = _end(
        SamplingParams(temperature=0, max_tokens=12, min_tokens=12, stop_token_ids=[token])
    )
    assert token not in later.output[:-1]
    assert len(_end(SamplingParams(max_tokens=None, ignore_eos=True), room=9).output) == 8
    with pytest.raises(ValueError, match="has ended"):
        whole.next()


def test_the_end_of_a_text_ends_it_unless_ignored() -> None:
    """An answer of the built-in model ends by itself; with `ignore_eos` it goes on."""
    params = SamplingParams(temperature=0, max_tokens=200)
    answer = _end(params, "2 + 2 =")
    assert (answer.output[-1], answer.finish_reason, answer.stop_reason) == (END, "stop", None)
    assert answer.text == " 4."
    longer = _end(SamplingParams(temperature=0, max_tokens=50, ignore_eos=True), "2 + 2 =")
    assert len(longer.output) == 50


def test_logprobs_are_those_of_the_model_itself() -> None:
    """Whatever the temperature and the bias, told are the model's own probabilities, the most
    probable first, with the rank of the token that was drawn."""
    prompt = MODEL.tokenizer.encode("The")
    params = SamplingParams(logprobs=3, temperature=0.2, logit_bias={300: 100.0}, max_tokens=1)
    emission = Generation(MODEL, prompt, params).next()
    model = MODEL.target.distribution(prompt)
    assert emission.token == 300
    assert emission.logprob == pytest.approx(math.log(model[300]))
    assert emission.rank == (model >= model[300]).sum()
    assert [token for token, _ in emission.top] == np.argsort(-model, kind="stable")[:3].tolist()
    assert emission.top[0][1] == pytest.approx(math.log(model.max()))
    assert Generation(MODEL, prompt, SamplingParams()).next().logprob is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -0.1}, "temperature: -0.1 must be at least 0"),
        ({"temperature": float("nan")}, "temperature: nan"),
        ({"temperature": "hot"}, "temperature: 'hot'"),
        ({"top_p": 0.0}, "top_p: 0.0 must be more than 0 and at most 1"),
        ({"top_k": -2}, "top_k: -2"),
        ({"top_k": 1.5}, "top_k: 1.5 must be a whole number"),
        ({"top_k": 2**63}, "top_k: 9223372036854775808"),
        ({"max_tokens": 10**400}, "max_tokens: 1000"),
        ({"temperature": 10**400}, "temperature: 1000"),
        ({"min_p": 1.1}, "min_p: 1.1"),
        ({"repetition_penalty": 0}, "repetition_penalty: 0"),
        ({"presence_penalty": 2.1}, "presence_penalty: 2.1 must be from -2 to 2"),
        ({"frequency_penalty": True}, "frequency_penalty: True"),
        ({"max_tokens": 0}, "max_tokens: 0"),
        ({"min_tokens": 17}, "min_tokens: 17 must be at most max_tokens = 16"),
        ({"stop": ("",)}, "stop: '' must be text"),
        ({"stop": ["x"] * 65}, "stop: 65 texts"),
        ({"stop_token_ids": [1.5]}, "stop_token_ids: 1.5"),
        ({"logit_bias": {1: 101}}, "logit_bias: 101 for token 1"),
        ({"seed": 2**63}, "seed: 9223372036854775808"),
        ({"logprobs": -1}, "logprobs: -1"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(settings, message) -> None:
    """The message names the parameter, what came and what is wanted; so does its attribute."""
    with pytest.raises(SamplingError) as caught:
        SamplingParams(**settings)
    assert message in str(caught.value)
    assert caught.value.parameter == next(iter(settings))


def test_tokens_outside_the_vocabulary_are_refused() -> None:
    """They are known only where the model is."""
    for settings in ({"stop_token_ids": [99_999]}, {"logit_bias": {-1: 1.0}}):
        with pytest.raises(SamplingError, match="must be from 0 to 1023"):
            Generation(MODEL, [], SamplingParams(**settings))
    for prompt in ([5, 1024], [-1]):
        with pytest.raises(SamplingError, match=r"prompt: token -?\d+ must be from 0 to 1023"):
            Generation(MODEL, prompt, SamplingParams())
    with pytest.raises(SamplingError, match="prompt: 3 tokens leave no room"):
        Generation(MODEL, [1, 2, 3], SamplingParams(), room=3)


def test_a_temperature_just_above_zero_is_raised() -> None:
    """As in vLLM: below 1e-5 it is greedy, up to 0.01 it is 0.01."""
    assert SamplingParams(temperature=1e-6).is_greedy
    assert SamplingParams(temperature=0.001).temperature == 0.01
