"""What clients may send: the fields of OpenAI's API and of vLLM's extensions to it."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from optimizer.engine.emulator.api_errors import ApiError

__all__ = ["ChatBody", "CompletionBody", "GenerationBody", "StreamOptions", "read_body"]

_Body = TypeVar("_Body", bound="GenerationBody")

# Accepted, without effect on what an emulator does.
_WITHOUT_EFFECT = frozenset(
    {
        *("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"),
        *("prompt_cache_retention", "parallel_tool_calls", "reasoning_effort", "verbosity"),
        *("request_id", "skip_special_tokens", "spaces_between_special_tokens", "detokenize"),
        *("add_special_tokens", "add_generation_prompt", "chat_template_kwargs", "nvext"),
        *("kv_transfer_params", "return_tokens_as_token_ids", "length_penalty", "vllm_xargs"),
        *("include_reasoning", "mm_processor_kwargs", "stream_interval"),
    }
)
# Known, but beyond an emulator: refused unless they say nothing.
_UNSUPPORTED = frozenset(
    {
        *("tools", "tool_choice", "functions", "function_call", "audio", "modalities"),
        *("prediction", "web_search_options", "suffix", "best_of", "use_beam_search"),
        *("guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs"),
        *("prompt_logprobs", "bad_words", "allowed_token_ids", "logits_processors"),
        *("truncate_prompt_tokens", "continue_final_message", "chat_template", "documents"),
        *("response_format",),
    }
)
_SAY_NOTHING: tuple[object, ...] = (
    *(None, False, "", "none", [], {}, 1, 1.0, -1),
    *(["text"], {"type": "text"}),
)


class StreamOptions(BaseModel):
    """`stream_options`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    include_obfuscation: bool | None = None


class GenerationBody(BaseModel):
    """What completions and chat completions have in common.

    Ranges of sampling parameters are checked where these are used.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    model: str
    n: int | None = Field(None, ge=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool | None = None
    ignore_eos: bool | None = None
    min_tokens: int | None = None
    temperature: float | None = Field(None, le=2.0)
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    priority: int | None = Field(None, ge=0, le=2**31 - 2)
    cache_salt: str | None = Field(None, max_length=4096)
    return_token_ids: bool | None = None


Token = Annotated[int, Field(ge=0)]


class CompletionBody(GenerationBody):
    """The body of `/v1/completions`."""

    prompt: str | list[str] | list[Token] | list[list[Token]]
    max_tokens: int | None = None
    logprobs: int | None = None
    echo: bool | None = None


class TextPart(BaseModel):
    """A part of a message's content."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["text"]
    text: str


class Message(BaseModel):
    """A turn of a chat."""

    model_config = ConfigDict(extra="forbid", strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[TextPart] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[dict[str, Any]] | None = Field(None, max_length=0)
    function_call: None = None
    audio: None = None
    annotations: list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """What is said."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class ChatBody(GenerationBody):
    """The body of `/v1/chat/completions`."""

    messages: list[Message] = Field(min_length=1)
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


def read_body(kind: type[_Body], raw: bytes) -> _Body:
    """Read a body.

    Raises
    ------
    ApiError
        With status 400, naming the first field that is wrong.
    """
    try:
        document = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        raise ApiError(400, f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ApiError(400, "the body must be a JSON object")
    kept = {}
    for name, value in document.items():
        if name in kind.model_fields:
            kept[name] = value
        elif name in _UNSUPPORTED:
            if not any(type(value) is type(plain) and value == plain for plain in _SAY_NOTHING):
                raise ApiError(
                    400,
                    f"{name}: the emulator does not support it; leave it out",
                    param=name,
                    code="unsupported_parameter",
                )
        elif name not in _WITHOUT_EFFECT:
            raise _unknown(kind, name)
    try:
        return kind.model_validate(kept)
    except ValidationError as error:
        raise _invalid(error) from error


def _unknown(kind: type[GenerationBody], name: str) -> ApiError:
    known = [*kind.model_fields, *_WITHOUT_EFFECT]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return ApiError(
        400,
        f"unrecognized request argument: {name[:80]!r}{hint}",
        param=name[:80],
        code="unknown_parameter",
    )


def _invalid(error: ValidationError) -> ApiError:
    """Name the field that is wrong; of a field of several forms, say what each lacks."""
    faults = error.errors(include_url=False, include_input=False)
    first = faults[0]
    field = str(first["loc"][0]) if first["loc"] else None
    same = [f for f in faults if f["loc"][:1] == first["loc"][:1]]
    words = "; or ".join(dict.fromkeys(f["msg"] for f in same[:4]))
    where = field or "the body"
    if len(same) == 1:
        where = _place(first["loc"])
    return ApiError(
        400,
        f"{where}: {words}",
        param=field,
        code="missing_required_parameter" if first["type"] == "missing" else None,
    )


def _place(location: tuple[int | str, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".") or "the body"
