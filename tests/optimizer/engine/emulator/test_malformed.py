"""Requests that are wrong in a hundred ways."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.optimizer.engine.emulator.calls import ADMIN, call, document
from tests.optimizer.engine.emulator.served import Served

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
_MESSAGES = [{"role": "user", "content": "Hello"}]

_RAW: list[bytes] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"1",
    b'"text"',
    b"\xff\xfe\x00",
    b'{"model": "tiny", "prompt": "\xff"}',
    b'{"model": "tiny", "prompt": "a", }',
    b"{'model': 'tiny'}",
    b'{"model": "tiny", "prompt": "a", "temperature": NaN}',
    b'{"model": "tiny", "prompt": "a", "temperature": Infinity}',
    b'{"model": "tiny", "prompt": "a", "max_tokens": 1e999}',
    b'{"model": "tiny", "prompt": "a", "seed": 99999999999999999999999999}',
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"model=tiny&prompt=a",
    b"--x\r\ncontent-disposition: form-data\r\n",
    b"\x00" * 100,
    json.dumps({"model": "tiny", "prompt": "a"}).encode("utf-16"),
]
_COMMON: list[dict[str, object]] = [
    {"model": None},
    {"model": 1},
    {"model": ""},
    {"model": "no-such"},
    {"model": ["tiny"]},
    {"model": "tiny" * 100_000},
    {"n": 0},
    {"n": -1},
    {"n": 1.5},
    {"n": "2"},
    {"n": True},
    {"n": 10**9},
    {"max_tokens": 0},
    {"max_tokens": -5},
    {"max_tokens": 10**12},
    {"max_tokens": "many"},
    {"max_tokens": 2.5},
    {"max_tokens": [1]},
    {"max_tokens": 2048},
    {"temperature": -0.1},
    {"temperature": 2.1},
    {"temperature": "hot"},
    {"temperature": {}},
    {"top_p": 0},
    {"top_p": 1.01},
    {"top_p": -1},
    {"top_p": "0.5"},
    {"top_k": -2},
    {"top_k": 1.5},
    {"min_p": -0.1},
    {"min_p": 2},
    {"presence_penalty": 2.5},
    {"presence_penalty": "x"},
    {"frequency_penalty": -2.5},
    {"repetition_penalty": 0},
    {"repetition_penalty": -1},
    {"stop": ""},
    {"stop": [""]},
    {"stop": [1]},
    {"stop": {"a": 1}},
    {"stop": ["a"] * 100},
    {"stop": "a" * 5000},
    {"stop_token_ids": ["a"]},
    {"stop_token_ids": [10**9]},
    {"stop_token_ids": [-1]},
    {"stream": "yes"},
    {"stream": 1},
    {"stream_options": {"include_usage": True}},
    {"stream": True, "stream_options": {"include_usage": "yes"}},
    {"stream": True, "stream_options": {"usage": True}},
    {"stream": True, "stream_options": []},
    {"seed": "x"},
    {"seed": 1.5},
    {"seed": 2**64},
    {"logit_bias": {"a": 1}},
    {"logit_bias": {"1": 1000}},
    {"logit_bias": {"99999999": 1}},
    {"logit_bias": [1]},
    {"min_tokens": -1},
    {"min_tokens": 50, "max_tokens": 5},
    {"ignore_eos": "no"},
    {"priority": -1},
    {"priority": "high"},
    {"cache_salt": 5},
    {"max_tokns": 5},
    {"tools": [{"type": "function"}]},
    {"response_format": {"type": "json_object"}},
    {"best_of": 3},
    {"use_beam_search": True},
    {"": 1},
    {"\ud800": 1},
]
_COMPLETION: list[dict[str, object]] = [
    {"prompt": None},
    {"prompt": ""},
    {"prompt": []},
    {"prompt": [[]]},
    {"prompt": [""]},
    {"prompt": {"a": 1}},
    {"prompt": 5},
    {"prompt": [1, "a"]},
    {"prompt": [-1]},
    {"prompt": [10**9]},
    {"prompt": [1.5]},
    {"prompt": [True, False]},
    {"prompt": "word " * 5000},
    {"prompt": ["a"] * 200},
    {"prompt": ["a"] * 100, "n": 2},
    {"logprobs": -1},
    {"logprobs": 21},
    {"logprobs": True},
    {"logprobs": 2, "echo": True},
    {"suffix": "end"},
]
_CHAT: list[dict[str, object]] = [
    {"messages": None},
    {"messages": []},
    {"messages": "Hello"},
    {"messages": [{}]},
    {"messages": ["Hello"]},
    {"messages": [{"role": "user"}, 1]},
    {"messages": [{"role": "king", "content": "a"}]},
    {"messages": [{"role": "user", "content": 5}]},
    {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
    {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
    {"messages": [{"role": "user", "content": "a", "colour": "red"}]},
    {"messages": [{"role": "user", "content": "word " * 5000}]},
    {"logprobs": 3},
    {"top_logprobs": 3},
    {"logprobs": True, "top_logprobs": 21},
    {"logprobs": True, "top_logprobs": -1},
    {"max_completion_tokens": 0},
    {"max_completion_tokens": "x"},
    {"functions": [{"name": "f"}]},
]


def _cases() -> list[tuple[str, bytes]]:
    cases = [(path, raw) for path in (CHAT, COMPLETIONS) for raw in _RAW]
    for own, path, base in (
        (_COMPLETION, COMPLETIONS, {"prompt": "Hello"}),
        (_CHAT, CHAT, {"messages": _MESSAGES}),
    ):
        for wrong in [*_COMMON, *own]:
            cases.append((path, json.dumps({"model": "tiny", **base, **wrong}).encode()))
    return cases


def test_what_is_malformed_is_refused_in_openais_shape(tiny: Served) -> None:
    """Of wrong bodies of more than a hundred kinds each gets a status of 400 to 499 and an error
    that says what is wrong; the emulator serves on."""
    cases = _cases()
    assert len(_RAW) + len(_COMMON) + len(_COMPLETION) + len(_CHAT) >= 100
    for path, raw in cases:
        status, headers, answer = call(tiny.url, "POST", path, raw)
        assert 400 <= status < 500, (path, raw[:200], status, answer[:200])
        assert headers["content-type"] == "application/json"
        error = json.loads(answer)["error"]
        assert set(error) == {"message", "type", "param", "code"}, raw[:200]
        assert isinstance(error["message"], str)
        assert 10 <= len(error["message"]) < 500, error
        assert error["type"] == "invalid_request_error"
    good = document(tiny.url, "POST", COMPLETIONS, {"model": "tiny", "prompt": "a"})
    assert good["object"] == "text_completion"
    assert tiny.emulator.open_outputs == 0


@pytest.mark.parametrize(
    ("raw", "param", "words"),
    [
        ({"max_tokns": 5}, "max_tokns", "did you mean max_tokens?"),
        ({"temperature": 3}, "temperature", "temperature: Input should be less than or equal to 2"),
        ({"prompt": "word " * 5000}, "max_tokens", "maximum context length is 2048 tokens"),
        ({"top_p": 0}, "top_p", "top_p: 0.0 must be more than 0 and at most 1"),
        ({"tools": [1]}, "tools", "the emulator does not support it"),
        ({"n": 500}, "n", "at most 128 outputs"),
    ],
)
def test_a_refusal_says_what_is_wrong(
    tiny: Served, raw: dict[str, object], param: str, words: str
) -> None:
    """It names the field, what came and what is wanted."""
    body = {"model": "tiny", "prompt": "a", **raw}
    _, _, answer = call(tiny.url, "POST", COMPLETIONS, body)
    error = json.loads(answer)["error"]
    assert error["param"] == param
    assert words in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v1/completions", 405),
        ("DELETE", "/v1/models", 405),
        ("GET", "/v1/models/other", 404),
        ("GET", "/replicas/99/metrics", 404),
        ("GET", "/admin/replicas", 401),
    ],
)
def test_wrong_paths_and_methods_are_told_alike(
    tiny: Served, method: str, path: str, status: int
) -> None:
    """They come in the same shape as wrong bodies."""
    got, _, answer = call(tiny.url, method, path)
    assert got == status
    assert set(json.loads(answer)["error"]) == {"message", "type", "param", "code"}


def test_large_bodies_are_refused_before_they_are_read(serving: Callable[..., Served]) -> None:
    """Stated or not, a body beyond the cap gets status 413."""
    from optimizer.engine.emulator import Limits

    one = serving(limits=Limits(body_bytes=1000))
    status, _, answer = call(one.url, "POST", COMPLETIONS, b"x" * 2000)
    assert (status, json.loads(answer)["error"]["code"]) == (413, "request_too_large")
    status, _, _ = call(one.url, "POST", COMPLETIONS, b"x" * 2000, {"transfer-encoding": "chunked"})
    assert status in (400, 413)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/admin/replicas", b"{"),
        ("PUT", "/admin/replicas", {"count": -1}),
        ("PUT", "/admin/replicas", {"count": 9}),
        ("PUT", "/admin/replicas", {"count": "3"}),
        ("PUT", "/admin/replicas", {"cuont": 3}),
        ("POST", "/admin/replicas", {"count": 0}),
        ("POST", "/admin/replicas", {"count": 100}),
        ("POST", "/admin/replicas", {"startup_s": -1}),
        ("DELETE", "/admin/replicas/0?drain=maybe", None),
        ("DELETE", "/admin/replicas/77", None),
        ("POST", "/admin/replicas/0/faults", {}),
        ("POST", "/admin/replicas/0/faults", {"kind": "flood"}),
        ("POST", "/admin/replicas/0/faults", {"kind": "slow"}),
        ("POST", "/admin/replicas/0/faults", {"kind": "slow", "factor": 0}),
        ("POST", "/admin/replicas/0/faults", b'{"kind": "slow", "factor": NaN}'),
        ("POST", "/admin/replicas/0/faults", {"kind": "crash", "restart_s": 61}),
        ("POST", "/admin/replicas/0/faults", {"kind": "metric_gap", "duration_s": 0}),
        ("POST", "/admin/replicas/55/faults", {"kind": "crash"}),
    ],
)
def test_wrong_orders_change_nothing(tiny: Served, method: str, path: str, body: object) -> None:
    """They are refused in the same shape, and the replica stays as it was."""
    status, _, answer = call(tiny.url, method, path, body, ADMIN)
    assert 400 <= status < 500, answer
    assert json.loads(answer)["error"]["message"]
    (one,) = document(tiny.url, "GET", "/admin/replicas", **ADMIN)["replicas"]
    assert (one["phase"], one["pace"], one["shows_metrics"]) == ("ready", 1.0, True)
