"""The text of one request: token after token, until something ends it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from optimizer.engine.language.built_in import LanguageModel
from optimizer.engine.language.sampling_params import SamplingError, SamplingParams
from optimizer.engine.language.speculation import speculated
from optimizer.engine.language.stop_strings import StopStrings
from optimizer.engine.language.token_choice import Knobs, chosen
from optimizer.engine.language.tokenizer import SpecialToken, TextStream
from optimizer.engine.randomness import mixed, uniform

__all__ = ["Emission", "Generation", "sampling_knobs"]


class Emission(NamedTuple):
    """A token that came out.

    `text` is what can be told of the output now and could not before: nothing while a character is
    incomplete, or while the end may turn out to be the beginning of a stop. The texts of all
    emissions, joined, are the output.
    """

    token: int
    text: str
    logprob: float | None  # of the token, where logprobs are wanted
    rank: int | None  # 1: no token was more probable
    top: tuple[tuple[int, float], ...]  # the most probable tokens, and theirs
    finish_reason: str | None  # "stop" or "length" at the last one
    stop_reason: int | str | None  # the stop token or text; None at the end of the text
    guessed: bool  # by the draft model; False without one


class Generation:
    """The output of one request, drawn from a model.

    Parameters
    ----------
    model
        Tokenizer and distributions.
    prompt
        Its tokens.
    params
        How to draw, and when to end.
    seed
        Of the draws where the parameters have none. Draws depend on the seed and the place in the
        output alone, never on what else is served.
    room
        Most tokens of prompt and output together; by default without limit.
    speculate
        Whether the draft model guesses every token first, and the target model judges the guess.
        The law of the output is the same; what comes out together follows from `Emission.guessed`.

    Raises
    ------
    SamplingError
        If parameters or prompt have a token that is not in the vocabulary, or the prompt leaves no
        room.
    """

    def __init__(
        self,
        model: LanguageModel,
        prompt: Sequence[int],
        params: SamplingParams,
        *,
        seed: int = 0,
        room: int | None = None,
        speculate: bool = False,
    ) -> None:
        self.params = params.checked_for(model.tokenizer.vocabulary_size)
        _check_prompt(prompt, model.tokenizer.vocabulary_size, room)
        self.prompt_tokens = len(prompt)
        self.output: list[int] = []
        self.text = ""
        self.finish_reason: str | None = None
        self.stop_reason: int | str | None = None
        self._target = model.target.ngrams
        self._draft = model.draft.ngrams if speculate else None
        self._tail = _Tail(prompt, max(model.target.order, model.draft.order) - 1)
        self._stream = TextStream(model.tokenizer)
        self._stops = StopStrings(params.stop, include=params.include_stop_str_in_output)
        self._seed = mixed(params.seed if params.seed is not None else seed, 0)
        self._most = _least(params.max_tokens, None if room is None else room - len(prompt))
        self._work = np.empty((4 if speculate else 2, model.tokenizer.vocabulary_size))
        self._knobs = sampling_knobs(params, prompt, model.tokenizer.vocabulary_size)
        self._stop_tokens = frozenset(params.stop_token_ids)

    def next(self) -> Emission:
        """Draw the next token.

        Raises
        ------
        ValueError
            If the output has ended.
        """
        if self.finish_reason is not None:
            raise ValueError("Generation.next: the output has ended")
        place = len(self.output)
        tail, ending = self._tail.tokens, place >= self.params.min_tokens
        if self._draft is None:
            luck = uniform(self._seed, place)
            token = chosen(self._target, tail, self._knobs, ending, luck, self._work)
            return self._emit(int(token), guessed=False)
        three = np.array([uniform(self._seed, 3 * place + k) for k in range(3)])
        token, guessed = speculated(
            self._target, self._draft, tail, self._knobs, ending, three, self._work
        )
        return self._emit(int(token), guessed=bool(guessed))

    def step(self, most: int) -> list[Emission]:
        """Return what one iteration of the engine lets out.

        Tokens that were guessed, one after another, and the first that was not: at least one, and
        no more than can come out (one more than there are drafts) or than end the output.
        """
        emissions = [self.next()]
        while len(emissions) < most and emissions[-1].guessed and self.finish_reason is None:
            emissions.append(self.next())
        return emissions

    def _emit(self, token: int, *, guessed: bool) -> Emission:
        self.output.append(token)
        self._tail.append(token)
        if self.params.penalises:
            self._knobs.in_output[token] += 1
        self._end_by_token(token)
        hidden = self.finish_reason == "stop" and not self.params.include_stop_str_in_output
        text = "" if hidden else self._stream.feed(token)
        text, stop = self._stops.feed(text, armed=len(self.output) > self.params.min_tokens)
        if stop is not None and self.finish_reason != "stop":
            self.finish_reason, self.stop_reason = "stop", stop
        if self.finish_reason is not None and stop is None:
            rest, stop = self._stops.feed(self._stream.close(), armed=False)
            text += rest + self._stops.close()
        self.text += text
        logprob, rank, top = self._logprobs(token)
        return Emission(
            token, text, logprob, rank, top, self.finish_reason, self.stop_reason, guessed
        )

    def _end_by_token(self, token: int) -> None:
        """Look for what ends the output, in vLLM's order: its end, a stop token, its length."""
        if len(self.output) >= self.params.min_tokens:
            if token == SpecialToken.END and not self.params.ignore_eos:
                self.finish_reason = "stop"
                return
            if token in self._stop_tokens:
                self.finish_reason, self.stop_reason = "stop", token
                return
        if self._most is not None and len(self.output) >= self._most:
            self.finish_reason = "length"

    def _logprobs(
        self, token: int
    ) -> tuple[float | None, int | None, tuple[tuple[int, float], ...]]:
        wanted = self.params.logprobs
        if wanted is None:
            return None, None, ()
        model = self._work[0]
        best = np.argsort(-model, kind="stable")[:wanted]
        top = tuple(zip(best.tolist(), np.log(model[best]).tolist(), strict=True))
        return float(np.log(model[token])), int((model >= model[token]).sum()), top


class _Tail:
    """The last tokens of a text, as many as the model looks at."""

    def __init__(self, prompt: Sequence[int], length: int) -> None:
        self.tokens = np.array(prompt[len(prompt) - min(length, len(prompt)) :], np.int64)
        self._length = length

    def append(self, token: int) -> None:
        if self.tokens.size < self._length:
            self.tokens = np.append(self.tokens, token)
        elif self._length > 0:
            self.tokens[:-1] = self.tokens[1:]
            self.tokens[-1] = token


def sampling_knobs(params: SamplingParams, prompt: Sequence[int], vocabulary_size: int) -> Knobs:
    """Return sampling parameters as compiled code reads them, for an output that begins."""
    size = vocabulary_size if params.penalises else 0
    in_prompt = np.zeros(size, np.bool_)
    if size:
        in_prompt[np.array(prompt, np.int64)] = True
    bias = np.zeros(vocabulary_size if params.logit_bias else 0)
    for token, value in params.logit_bias.items():
        bias[token] = value
    ends = {*params.stop_token_ids} | (set() if params.ignore_eos else {SpecialToken.END})
    return Knobs(
        temperature=0.0 if params.is_greedy else float(params.temperature),
        top_p=float(params.top_p),
        top_k=max(params.top_k, 0),
        min_p=float(params.min_p),
        repetition=float(params.repetition_penalty),
        presence=float(params.presence_penalty),
        frequency=float(params.frequency_penalty),
        in_prompt=in_prompt,
        in_output=np.zeros(size, np.int64),
        bias=bias,
        ends=np.array(sorted(ends), np.int64),
    )


def _check_prompt(prompt: Sequence[int], vocabulary_size: int, room: int | None) -> None:
    for token in (min(prompt, default=0), max(prompt, default=0)):
        if not 0 <= token < vocabulary_size:
            raise SamplingError("prompt", f"token {token} must be from 0 to {vocabulary_size - 1}")
    if room is not None and len(prompt) >= room:
        raise SamplingError(
            "prompt", f"{len(prompt)} tokens leave no room for output; must be fewer than {room}"
        )


def _least(one: int | None, other: int | None) -> int | None:
    given = [limit for limit in (one, other) if limit is not None]
    return min(given, default=None)
