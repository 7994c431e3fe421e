"""What a request may ask of the text it gets, in the words of vLLM."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from optimizer.errors import FleetError

__all__ = ["SamplingError", "SamplingParams"]

GREEDY_BELOW = 1e-5
_LEAST_TEMPERATURE = 0.01
_MOST_STOPS = 64
_LONGEST_STOP = 1000


class SamplingError(FleetError, ValueError):
    """A sampling parameter is out of range.

    Parameters
    ----------
    parameter
        Its name.
    message
        What came, and what is wanted.
    """

    def __init__(self, parameter: str, message: str) -> None:
        super().__init__(f"{parameter}: {message}")
        self.parameter = parameter


@dataclass(frozen=True, kw_only=True)
class SamplingParams:
    """How the next token is chosen, and when a text ends.

    The distribution of the model is changed in this order: `logit_bias`; no end before
    `min_tokens`; penalties for repetition, frequency and presence; temperature; `min_p`; `top_k`;
    `top_p`. What is left is drawn from. The last four do nothing at temperature 0.

    Parameters
    ----------
    temperature
        0: always the most probable token (of equals the one with the smallest number). Between 0
        and 0.01 it counts as 0.01.
    top_p
        Only the most probable tokens that together reach this probability, more than 0, at most 1.
    top_k
        Only the so many most probable tokens, and those as probable as the last of them; 0 or -1:
        all.
    min_p
        Only tokens at least this probable in relation to the most probable one, 0 to 1.
    repetition_penalty
        Logits of tokens in prompt or output are divided by it where they are above 0, multiplied
        otherwise; 1e-6 to 1e6. Logits are logarithms of probabilities here, never above 0.
    presence_penalty, frequency_penalty
        Taken off the logits of tokens in the output: once, and once for every time; -2 to 2.
    logit_bias
        Added to logits, by token; -100 to 100.
    seed
        Of the draws; by default one of the request's own.
    stop
        Texts at which the output ends, wherever the borders of tokens are.
    stop_token_ids
        Tokens at which it ends.
    include_stop_str_in_output
        Whether what ended the output is part of it.
    ignore_eos
        Whether the end of the text does not end the output.
    max_tokens
        Most tokens; None: as many as there is room for.
    min_tokens
        Tokens before which neither the end of the text nor a stop can come.
    logprobs
        How many of the most probable tokens are told with their logarithms of probability, beside
        the chosen one; None: none. They are those of the model, before all of the above.

    Raises
    ------
    SamplingError
        If a parameter is out of range, or `min_tokens` above `max_tokens`.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    stop: str | Sequence[str] = ()
    stop_token_ids: Sequence[int] = ()
    include_stop_str_in_output: bool = False
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        object.__setattr__(self, "stop", stop)
        object.__setattr__(self, "stop_token_ids", tuple(self.stop_token_ids))
        for name, wanted, holds in _RANGES:
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if not _is_number(value, whole=name in _WHOLE) or not holds(value):
                raise SamplingError(name, f"{value!r:.40} must be {wanted}")
        if self.max_tokens is not None and self.min_tokens > self.max_tokens:
            raise SamplingError(
                "min_tokens",
                f"{self.min_tokens} must be at most max_tokens = {self.max_tokens}",
            )
        self._check_stops()
        for token, bias in self.logit_bias.items():
            if not _is_number(token, whole=True) or not _is_number(bias) or abs(bias) > 100:
                raise SamplingError(
                    "logit_bias", f"{bias!r} for token {token!r} must be from -100 to 100"
                )
        if 0.0 < self.temperature < _LEAST_TEMPERATURE and not self.is_greedy:
            object.__setattr__(self, "temperature", _LEAST_TEMPERATURE)

    @property
    def is_greedy(self) -> bool:
        """Whether the most probable token is always taken."""
        return self.temperature < GREEDY_BELOW

    @property
    def penalises(self) -> bool:
        """Whether it matters what was written before."""
        return (self.repetition_penalty, self.presence_penalty, self.frequency_penalty) != (1, 0, 0)

    def for_choice(self, index: int) -> SamplingParams:
        """Return the parameters of one of several outputs for a prompt: another seed for each."""
        if self.seed is None:
            return self
        return replace(self, seed=(self.seed + index + 2**63) % 2**64 - 2**63)

    def checked_for(self, vocabulary_size: int) -> SamplingParams:
        """Return the parameters; raise `SamplingError` if they name a token that is not there."""
        for name in ("logit_bias", "stop_token_ids"):
            for token in getattr(self, name):
                if not 0 <= token < vocabulary_size:
                    raise SamplingError(
                        name, f"token {token} must be from 0 to {vocabulary_size - 1}"
                    )
        return self

    def _check_stops(self) -> None:
        if len(self.stop) > _MOST_STOPS:
            raise SamplingError("stop", f"{len(self.stop)} texts, must be at most {_MOST_STOPS}")
        for text in self.stop:
            if not isinstance(text, str) or not 1 <= len(text) <= _LONGEST_STOP:
                raise SamplingError(
                    "stop", f"{text!r:.40} must be text of 1 to {_LONGEST_STOP} characters"
                )
        for token in self.stop_token_ids:
            if not _is_number(token, whole=True):
                raise SamplingError("stop_token_ids", f"{token!r} must be a whole number")


def _is_number(value: object, *, whole: bool = False) -> bool:
    if isinstance(value, float):
        return not whole and math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**63


_MOST = 2**31 - 1
_WHOLE = {"top_k", "seed", "max_tokens", "min_tokens", "logprobs"}
_OPTIONAL = {"seed", "max_tokens", "logprobs"}
_RANGES: tuple[tuple[str, str, Callable[[float], bool]], ...] = (
    ("temperature", "at least 0", lambda x: x >= 0),
    ("top_p", "more than 0 and at most 1", lambda x: 0 < x <= 1),
    ("top_k", "a whole number, at least -1", lambda x: -1 <= x <= _MOST),
    ("min_p", "from 0 to 1", lambda x: 0 <= x <= 1),
    ("repetition_penalty", "from 1e-6 to 1e6", lambda x: 1e-6 <= x <= 1e6),
    ("presence_penalty", "from -2 to 2", lambda x: -2 <= x <= 2),
    ("frequency_penalty", "from -2 to 2", lambda x: -2 <= x <= 2),
    ("seed", "a whole number of 64 bits", lambda x: -(2**63) <= x < 2**63),
    ("max_tokens", "a whole number, at least 1", lambda x: 1 <= x <= _MOST),
    ("min_tokens", "a whole number, at least 0", lambda x: 0 <= x <= _MOST),
    ("logprobs", "a whole number, at least 0", lambda x: 0 <= x <= _MOST),
)
