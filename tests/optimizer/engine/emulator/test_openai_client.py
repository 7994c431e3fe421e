"""The official client against the emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from optimizer.engine.language import Generation, SamplingParams, built_in_model
from tests.optimizer.engine.emulator.served import Served

openai = pytest.importorskip("openai", reason="the official client is not installed")

QUESTION = [{"role": "user", "content": "What is a token?"}]


@pytest.fixture(scope="module")
def client(tiny: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{tiny.url}/v1", api_key="none", max_retries=0) as one:
        yield one


def _text(prompt: list[int], **params: object) -> Generation:
    """What the language model writes for these parameters."""
    generation = Generation(built_in_model(), prompt, SamplingParams(**params))  # type: ignore[arg-type]
    while generation.finish_reason is None:
        generation.next()
    return generation


def test_a_chat_streams_token_by_token(client: openai.OpenAI) -> None:
    """Every token comes in a chunk of its own, in order, after one that says who speaks; the text
    is what the language model writes; usage comes last where it is asked for."""
    expected = _text(
        built_in_model().tokenizer.encode_chat([("user", "What is a token?")]),
        seed=3,
        max_tokens=50,
    )
    chunks = list(
        client.chat.completions.create(
            model="tiny",
            messages=QUESTION,
            stream=True,
            seed=3,
            max_tokens=50,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    deltas = [chunk.choices[0] for chunk in chunks[1:-1]]
    assert len(deltas) == len(expected.output)
    assert "".join(one.delta.content or "" for one in deltas) == expected.text
    assert [one.finish_reason for one in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert deltas[-1].finish_reason == expected.finish_reason
    assert chunks[-1].choices == []
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == len(expected.output)
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_without_include_usage_no_chunk_has_it(client: openai.OpenAI) -> None:
    """The stream ends with the last token."""
    chunks = list(
        client.completions.create(model="tiny", prompt="A plan", stream=True, max_tokens=4, seed=1)
    )
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason in ("length", "stop")


def test_a_whole_answer_is_the_stream_joined(client: openai.OpenAI) -> None:
    """The same seed gives the same text at once and token by token, for several outputs."""
    asked = {"model": "tiny", "messages": QUESTION, "n": 3, "seed": 9, "max_tokens": 30}
    whole = client.chat.completions.create(**asked)
    streamed = ["", "", ""]
    for chunk in client.chat.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            streamed[choice.index] += choice.delta.content or ""
    assert [choice.message.content for choice in whole.choices] == streamed
    assert len(set(streamed)) > 1
    assert whole.usage is not None
    assert whole.usage.completion_tokens <= 90


def test_stops_end_the_text_before_them(client: openai.OpenAI) -> None:
    """The stop is not part of the text, and what the engine computed is no longer than that."""
    free = client.completions.create(model="tiny", prompt="The scheduler", max_tokens=40, seed=2)
    word = free.choices[0].text.split()[4]
    held = client.completions.create(
        model="tiny", prompt="The scheduler", max_tokens=40, seed=2, stop=[word]
    )
    assert held.choices[0].text == free.choices[0].text[: free.choices[0].text.index(word)]
    assert held.choices[0].finish_reason == "stop"
    assert held.usage is not None
    assert free.usage is not None
    assert held.usage.completion_tokens < free.usage.completion_tokens


def test_logprobs_of_completions(client: openai.OpenAI) -> None:
    """Each token comes with its logarithm of probability and the most probable ones."""
    answer = client.completions.create(
        model="tiny", prompt="A request", max_tokens=6, seed=4, logprobs=3
    )
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.tokens is not None
    assert told.token_logprobs is not None
    assert told.top_logprobs is not None
    assert told.text_offset is not None
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs)
    assert all(value is not None and value <= 0 for value in told.token_logprobs)
    assert told.text_offset == sorted(told.text_offset)


def test_logprobs_of_chats(client: openai.OpenAI) -> None:
    """The most probable tokens come in order, with their bytes."""
    answer = client.chat.completions.create(
        model="tiny", messages=QUESTION, max_tokens=5, seed=4, logprobs=True, top_logprobs=4
    )
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    for one in told.content:
        values = [top.logprob for top in one.top_logprobs]
        assert len(values) == 4
        assert values == sorted(values, reverse=True)
        assert bytes(one.bytes or []).decode("utf-8", "replace") == one.token


def test_several_prompts_and_echo(client: openai.OpenAI) -> None:
    """Outputs come in the order of prompts, each behind its own."""
    answer = client.completions.create(
        model="tiny", prompt=["One day", "A block"], n=2, max_tokens=3, echo=True
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    begins = [choice.text[:7] for choice in answer.choices]
    assert begins == ["One day", "One day", "A block", "A block"]


def test_a_prompt_seen_before_is_found_in_the_cache(client: openai.OpenAI) -> None:
    """The second turn of a chat finds the first in the prefix cache, the answer included."""
    long = "Say how a request is served. " * 20
    turns: list[dict[str, str]] = [{"role": "user", "content": long}]
    first = client.chat.completions.create(
        model="tiny", messages=turns, max_tokens=64, seed=1, extra_body={"ignore_eos": True}
    )
    assert first.usage is not None
    turns += [
        {"role": "assistant", "content": first.choices[0].message.content or ""},
        {"role": "user", "content": "And then?"},
    ]
    second = client.chat.completions.create(model="tiny", messages=turns, max_tokens=1)
    assert second.usage is not None
    details = second.usage.prompt_tokens_details
    assert details is not None
    assert details.cached_tokens is not None
    assert details.cached_tokens > first.usage.prompt_tokens
    assert details.cached_tokens % 16 == 0


@pytest.mark.parametrize("stream", [False, True])
def test_what_several_outputs_find_in_the_cache_counts_once(
    client: openai.OpenAI, stream: bool
) -> None:
    """The usage counts the tokens of a prompt once, whatever `n` is, and those found likewise."""
    prompts = [f"{word} requests wait for a replica that is busy. " * 4 for word in ("Many", "Few")]
    more: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    for _ in range(2):
        answer: Any = client.completions.create(
            model="tiny", prompt=prompts, n=4, max_tokens=2, **(more if stream else {})
        )
        usage = (list(answer)[-1] if stream else answer).usage
    assert 0 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens


def test_models_are_listed(client: openai.OpenAI) -> None:
    """There is one, under the name that it is served as."""
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").id == "tiny"


@pytest.mark.parametrize(
    ("asked", "error", "param"),
    [
        ({"model": "other"}, openai.NotFoundError, "model"),
        ({"max_tokens": 0}, openai.BadRequestError, "max_tokens"),
        ({"max_tokens": 5000}, openai.BadRequestError, "max_tokens"),
        ({"max_tokens": 99_999}, openai.BadRequestError, "max_tokens"),
        ({"n": 1000}, openai.BadRequestError, "n"),
        ({"temperature": -1}, openai.BadRequestError, "temperature"),
        ({"stop": [""]}, openai.BadRequestError, "stop"),
    ],
)
def test_the_client_understands_errors(
    client: openai.OpenAI, asked: dict[str, object], error: type[Exception], param: str
) -> None:
    """What is refused comes as the client's own exception, with the field that it is about."""
    with pytest.raises(error) as raised:
        client.chat.completions.create(**{"model": "tiny", "messages": QUESTION, **asked})  # type: ignore[call-overload]
    assert raised.value.param == param  # type: ignore[attr-defined]
    assert raised.value.body["message"]  # type: ignore[attr-defined,index]


def test_a_failing_replica_ends_the_stream_with_an_error(
    serving: Callable[..., Served],
) -> None:
    """A stream that is under way gets an error event; one that finds no replica gets status 503."""
    one = serving()
    with openai.OpenAI(base_url=f"{one.url}/v1", api_key="none", max_retries=0) as client:
        stream = client.completions.create(
            model="tiny",
            prompt="A",
            max_tokens=2000,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        next(iter(stream))
        client.post(
            f"{one.url}/admin/replicas/0/faults",
            body={"kind": "crash", "restart_s": 60},
            cast_to=object,
            options={"headers": {"authorization": "Bearer secret"}},
        )
        with pytest.raises(openai.APIError, match="replica that served the request has failed"):
            list(stream)
        with pytest.raises(openai.InternalServerError) as raised:
            client.completions.create(model="tiny", prompt="A", max_tokens=1)
    assert raised.value.status_code == 503
