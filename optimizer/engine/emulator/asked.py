"""From the body of a request to what the emulator is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optimizer.engine.emulator.api_errors import ApiError
from optimizer.engine.emulator.bodies import ChatBody, CompletionBody, GenerationBody
from optimizer.engine.emulator.limits import Limits
from optimizer.engine.language import SamplingError, SamplingParams, Tokenizer

__all__ = ["Asked", "asked_by_chat", "asked_by_completion"]

_COMPLETION_TOKENS = 16
_PLAIN = (
    *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty"),
    *("repetition_penalty", "seed", "stop", "stop_token_ids", "include_stop_str_in_output"),
    *("ignore_eos", "min_tokens"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request asks for, checked.

    Parameters
    ----------
    prompts
        Tokens of each.
    echoes
        What the output of each prompt begins with.
    params
        With `max_tokens` set.
    choices
        Outputs per prompt.
    streams, tells_usage, always_tells_usage
        Whether tokens are sent as they come, with the usage at the end, with it every time.
    tells_tokens
        Whether tokens are told by number too.
    priority, salt
        As in `Emulator.submit`.
    """

    prompts: list[list[int]]
    echoes: list[str]
    params: SamplingParams
    choices: int
    streams: bool
    tells_usage: bool
    always_tells_usage: bool
    tells_tokens: bool
    priority: int
    salt: str


def asked_by_completion(
    body: CompletionBody, tokenizer: Tokenizer, limits: Limits, max_model_len: int
) -> Asked:
    """Return what a completion asks for.

    Raises
    ------
    ApiError
        If it asks for what it cannot have.
    """
    prompts = _prompts(body, tokenizer)
    if body.logprobs is not None:
        _require_within("logprobs", body.logprobs, 0, limits.logprobs)
        if body.echo:
            raise ApiError(400, "echo: not together with logprobs; leave one out", param="echo")
    echoes = [tokenizer.decode(prompt) if body.echo else "" for prompt in prompts]
    most = body.max_tokens if body.max_tokens is not None else _COMPLETION_TOKENS
    return _asked(
        body, prompts, echoes, body.logprobs, "max_tokens", most, tokenizer, limits, max_model_len
    )


def asked_by_chat(
    body: ChatBody, tokenizer: Tokenizer, limits: Limits, max_model_len: int
) -> Asked:
    """Return what a chat completion asks for; by default as many tokens as there is room for.

    Raises
    ------
    ApiError
        If it asks for what it cannot have.
    """
    prompt = tokenizer.encode_chat([(message.role, message.text) for message in body.messages])
    if body.top_logprobs is not None:
        _require_within("top_logprobs", body.top_logprobs, 0, limits.logprobs)
        if body.top_logprobs and not body.logprobs:
            raise ApiError(400, "top_logprobs: needs logprobs to be true", param="top_logprobs")
    logprobs = (body.top_logprobs or 0) if body.logprobs else None
    field = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
    most = body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens
    return _asked(body, [prompt], [""], logprobs, field, most, tokenizer, limits, max_model_len)


def _asked(
    body: GenerationBody,
    prompts: list[list[int]],
    echoes: list[str],
    logprobs: int | None,
    field: str,
    most: int | None,
    tokenizer: Tokenizer,
    limits: Limits,
    max_model_len: int,
) -> Asked:
    choices = body.n or 1
    if choices * len(prompts) > limits.outputs:
        raise ApiError(
            400,
            f"n = {choices} for {len(prompts)} prompts: at most {limits.outputs} outputs together",
            param="n",
        )
    if body.stream_options is not None and not body.stream:
        raise ApiError(
            400, "stream_options: only together with stream = true", param="stream_options"
        )
    room = max_model_len - max(map(len, prompts))
    if most is None:
        most = min(room, limits.max_tokens)
    _require_within(field, most, 1, limits.max_tokens)
    if most > room or room < 1:
        longest = max_model_len - room
        raise ApiError(
            400,
            f"This model's maximum context length is {max_model_len} tokens. However, you "
            f"requested {longest + max(most, 1)} tokens ({longest} in the prompt, {max(most, 1)} "
            f"in the completion). Please reduce the length of the prompt or completion.",
            param=field,
            code="context_length_exceeded",
        )
    options = body.stream_options
    return Asked(
        prompts=prompts,
        echoes=echoes,
        params=_params(body, field, most, logprobs, tokenizer),
        choices=choices,
        streams=bool(body.stream),
        tells_usage=bool(options and options.include_usage),
        always_tells_usage=bool(options and options.continuous_usage_stats),
        tells_tokens=bool(body.return_token_ids),
        priority=1 + (body.priority or 0),
        salt=body.cache_salt or "",
    )


def _params(
    body: GenerationBody, field: str, most: int, logprobs: int | None, tokenizer: Tokenizer
) -> SamplingParams:
    given: dict[str, Any] = {
        name: value for name in _PLAIN if (value := getattr(body, name)) is not None
    }
    try:
        params = SamplingParams(
            **given, max_tokens=most, logprobs=logprobs, logit_bias=_bias(body.logit_bias)
        )
        return params.checked_for(tokenizer.vocabulary_size)
    except SamplingError as error:
        name = field if error.parameter == "max_tokens" else error.parameter
        raise ApiError(400, str(error), param=name) from error


def _bias(given: dict[str, float] | None) -> dict[int, float]:
    try:
        return {int(token): value for token, value in (given or {}).items()}
    except ValueError as error:
        raise ApiError(
            400, "logit_bias: keys must be numbers of tokens", param="logit_bias"
        ) from error


def _prompts(body: CompletionBody, tokenizer: Tokenizer) -> list[list[int]]:
    given = body.prompt
    if isinstance(given, str):
        several: list[Any] = [given]
    elif given and all(isinstance(part, int) for part in given):
        several = [given]
    else:
        several = list(given)
    prompts = [tokenizer.encode(one) if isinstance(one, str) else list(one) for one in several]
    if not prompts or not all(prompts):
        raise ApiError(400, "prompt: must have at least one token", param="prompt")
    most = tokenizer.vocabulary_size - 1
    if max(map(max, prompts)) > most:
        raise ApiError(400, f"prompt: tokens must be from 0 to {most}", param="prompt")
    return prompts


def _require_within(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise ApiError(400, f"{name} = {value}: must be from {least} to {most}", param=name)
