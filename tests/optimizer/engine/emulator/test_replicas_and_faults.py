"""Replicas and faults over HTTP, and clients that go."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from tests.optimizer.engine.emulator.calls import ADMIN, call, document
from tests.optimizer.engine.emulator.served import Served

FAULTS = "/admin/replicas/0/faults"


def _free(one: Served) -> list[int]:
    return [int(row.free) for row in one.emulator.fleet.state.replicas]


def _until(holds: Callable[[], bool]) -> None:
    """Wait for what another thread brings about."""
    import time

    for _ in range(2000):
        if holds():
            return
        time.sleep(0.005)
    pytest.fail("it did not come about within 10 s")


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_frees_its_blocks(serving: Callable[..., Served], stream: bool) -> None:
    """Of a request for 2000 tokens with three outputs, whose client goes soon, nothing is left: no
    block, no place, and the metrics count three aborts."""
    one = serving()
    body = json.dumps(
        {
            "model": "tiny",
            "prompt": "A " * 50,
            "n": 3,
            "max_tokens": 1900,
            "stream": stream,
            "ignore_eos": True,
        }
    ).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(urlsplit(one.url).netloc.split(":"), timeout=10) as client:  # type: ignore[arg-type]
        client.sendall(head.encode() + body)
        _until(lambda: _free(one)[0] < 4090)
    _until(lambda: one.emulator.open_outputs == 0)
    assert _free(one) == [4096]
    _, _, text = call(one.url, "GET", "/metrics")
    assert b'finished_reason="abort",model_name="tiny"} 3.0' in text


def test_replicas_come_and_go(serving: Callable[..., Served]) -> None:
    """By number, by count, at once or when ready; those that start show no metrics."""
    one = serving()
    path = "/admin/replicas"
    added = document(one.url, "POST", path, {"count": 1, "startup_s": 3600}, **ADMIN)
    assert [r["phase"] for r in added["replicas"]] == ["ready", "starting"]
    assert call(one.url, "GET", "/replicas/1/metrics")[0] == 503
    assert call(one.url, "GET", "/replicas/0/metrics")[0] == 200
    scaled = document(one.url, "PUT", path, {"count": 3}, **ADMIN)
    assert [r["number"] for r in scaled["replicas"]] == [0, 1, 2]
    left = document(one.url, "PUT", path, {"count": 1}, **ADMIN)
    assert [r["number"] for r in left["replicas"]] in ([0], [2])
    (number,) = (r["number"] for r in left["replicas"])
    assert document(one.url, "DELETE", f"{path}/{number}", **ADMIN)["replicas"] == []
    assert call(one.url, "GET", "/health")[0] == 503
    status, headers, answer = call(
        one.url, "POST", "/v1/completions", {"model": "tiny", "prompt": "a"}
    )
    assert (status, headers["retry-after"]) == (503, "1")
    assert json.loads(answer)["error"]["code"] == "overloaded"


def test_faults_show(serving: Callable[..., Served]) -> None:
    """A slow replica, one whose metrics are hidden and one that is down show as such, and `DELETE`
    heals the first two."""
    one = serving()
    shown = document(one.url, "POST", FAULTS, {"kind": "slow", "factor": 4}, **ADMIN)
    assert shown["replicas"][0]["pace"] == 4.0
    document(one.url, "POST", FAULTS, {"kind": "metric_gap", "duration_s": 3600}, **ADMIN)
    assert call(one.url, "GET", "/metrics")[0] == 503
    healed = document(one.url, "DELETE", FAULTS, **ADMIN)["replicas"][0]
    assert (healed["pace"], healed["shows_metrics"]) == (1.0, True)
    down = document(one.url, "POST", FAULTS, {"kind": "out_of_memory", "restart_s": 60}, **ADMIN)
    assert (down["replicas"][0]["phase"], down["replicas"][0]["cause"]) == (
        "down",
        "out of memory",
    )
    assert call(one.url, "GET", "/health")[0] == 503
    targets = document(one.url, "GET", "/replicas/targets")
    assert [t["labels"]["__metrics_path__"] for t in targets] == ["/replicas/0/metrics"]


def test_a_crashed_replica_is_back_after_its_restart(serving: Callable[..., Served]) -> None:
    """With a restart of half a second it answers again within ten, its counters at 0."""
    one = serving()
    ask = {"model": "tiny", "prompt": "a", "max_tokens": 2, "ignore_eos": True}
    document(one.url, "POST", "/v1/completions", ask)
    document(one.url, "POST", FAULTS, {"kind": "crash", "restart_s": 0.5}, **ADMIN)
    assert call(one.url, "POST", "/v1/completions", ask)[0] == 503
    _until(lambda: call(one.url, "GET", "/health")[0] == 200)
    document(one.url, "POST", "/v1/completions", ask)
    _, _, text = call(one.url, "GET", "/metrics")
    assert b'vllm:generation_tokens_total{engine="0",model_name="tiny"} 2.0' in text


@pytest.mark.parametrize("shown", [None, "Bearer wrong", "Basic secret", "secret", "Bearer "])
def test_without_the_token_nothing_is_done(tiny: Served, shown: str | None) -> None:
    """Any endpoint of administration answers 401, and no replica is touched."""
    headers = {} if shown is None else {"authorization": shown}
    for method, path, body in (
        ("PUT", "/admin/replicas", {"count": 0}),
        ("POST", "/admin/replicas", {"count": 1}),
        ("DELETE", "/admin/replicas/0", None),
        ("POST", FAULTS, {"kind": "crash"}),
        ("DELETE", FAULTS, None),
        ("GET", "/admin/replicas", None),
    ):
        status, _, answer = call(tiny.url, method, path, body, headers)
        assert (status, json.loads(answer)["error"]["code"]) == (401, "invalid_token")
    assert [one.phase for one in tiny.emulator.fleet.replicas()] == ["ready"]
