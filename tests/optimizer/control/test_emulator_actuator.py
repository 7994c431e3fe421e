"""Emulators as a target: replicas over HTTP, and, once, load through a real Prometheus."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

httpx = pytest.importorskip("httpx", reason="needs httpx (the extra 'control')")

from optimizer.control.actuators.emulator import EmulatorActuator  # noqa: E402
from optimizer.control.errors import ActuationError, ControlError  # noqa: E402
from optimizer.control.spec import Order, OrderKind, OrderResult, Variant  # noqa: E402
from optimizer.spec import FleetSpec, loads  # noqa: E402
from tests.optimizer.control.fleets import variant  # noqa: E402

CHAT = variant("chat")
ENTRY = {"service": "chat", "accelerator": "H100", "url": "http://emulator:8000"}
Handler = Callable[[Any], Any]


def shown(*phases: str) -> dict[str, Any]:
    """As the emulator answers; the newest replica was added last."""
    return {
        "now_ms": 90_000.0,
        "replicas": [
            {"number": n, "phase": phase, "added_ms": 10_000.0 * n, "cause": ""}
            for n, phase in enumerate(phases)
        ],
    }


def actuator(fleet: FleetSpec, handler: Handler, **options: Any) -> EmulatorActuator:
    given = {"servers": [ENTRY], **options}
    made = EmulatorActuator(fleet, Path(), given, transport=httpx.MockTransport(handler))
    made.begin([CHAT])
    return made


def order(replicas: int, expected: int = 3) -> Order:
    return Order(variant=CHAT, kind=OrderKind.GRANT, expected=expected, replicas=replicas, cycle=1)


def test_replicas_are_counted_by_their_phase(fleet: FleetSpec) -> None:
    """Draining ones hold cards and are not asked for; crashed ones are starting again."""
    phases = ("ready", "down", "starting", "draining")
    count = (
        actuator(fleet, lambda _: httpx.Response(200, json=shown(*phases)))
        .counts(0.0)
        .of("chat")[0]
    )
    assert (count.wanted, count.ready, count.pending, count.stopping) == (3, 1, 2, 1)
    assert count.pending_for_s == 80.0


def test_an_order_is_put_and_shows_the_token(
    fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once; giving it again changes nothing, and another's change is a conflict."""
    monkeypatch.setenv("FLEETOPT_ADMIN_TOKEN", "secret")
    asked: list[Any] = []
    there = ["ready"]

    def handler(request: Any) -> Any:
        asked.append((request.method, request.headers["authorization"]))
        if request.method == "PUT":
            there[:] = ["ready"] * json.loads(request.content)["count"]
        return httpx.Response(200, json=shown(*there))

    one = actuator(fleet, handler)
    one.counts(0.0)
    assert one.apply(0.0, order(4)).result is OrderResult.APPLIED
    assert one.apply(0.0, order(4)).result is OrderResult.UNCHANGED
    assert [method for method, _ in asked].count("PUT") == 1
    assert {token for _, token in asked} == {"Bearer secret"}
    there[:] = ["ready"] * 2
    assert one.apply(0.0, order(5)).result is OrderResult.CONFLICT


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (httpx.Response(401, text="no"), OrderResult.REFUSED),
        (httpx.Response(400, text="too many"), OrderResult.REFUSED),
        (httpx.Response(503), OrderResult.FAILED),
        (httpx.Response(200, text="<html>"), OrderResult.FAILED),
        (httpx.Response(200, json={"now_ms": 1.0}), OrderResult.FAILED),
        (httpx.ReadTimeout("late"), OrderResult.FAILED),
    ],
)
def test_what_goes_wrong_is_an_outcome(fleet: FleetSpec, answer: Any, result: OrderResult) -> None:
    """Of an order; counts that cannot be had are an error, never zero."""
    broken = [False]

    def handler(request: Any) -> Any:
        if not broken[0]:
            return httpx.Response(200, json=shown("ready"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    one = actuator(fleet, handler)
    one.counts(0.0)
    broken[0] = True
    assert one.apply(0.0, order(2)).result is result
    with pytest.raises(ActuationError, match="http://emulator:8000"):
        one.counts(0.0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"servers": [{"service": "chat"}]}, "must have the keys service, accelerator and url"),
        ({"servers": [{**ENTRY, "url": "file:///etc/passwd"}]}, "must begin with http"),
        ({"servers": [ENTRY, ENTRY]}, "another entry stands for"),
        ({"servers": [{**ENTRY, "service": "chatt"}]}, "which the fleet does not have"),
        ({"timeout_s": 0}, "must be above 0"),
        ({"timeout_s": "x"}, "must be above 0"),
        ({"token_file": "absent"}, "cannot be read"),
        ({"tokens": "x"}, "no option tokens"),
    ],
)
def test_wrong_options_are_refused(fleet: FleetSpec, options: dict[str, Any], words: str) -> None:
    """In one line."""
    with pytest.raises(ControlError, match=words):
        actuator(fleet, lambda _: httpx.Response(200, json=shown()), **options)


REAL = """
name: emulated
accelerators: [{name: X, cost_per_hour: 1.0, memory_gb: 80}]
capacities: [{type: X, cards: 6}]
models: [{name: tiny, weights_gb: 1}]
performance:
  - {model: tiny, accelerator: X, instances: 1, max_batch: 4, start_up_s: 1,
     iteration: {base_ms: 20, decode_ms_per_token: 0.01, prefill_ms_per_token: 0.001}}
classes:
  - name: standard
    priority: 1
    slos: [{targets: [{metric: ttft_ms, bound: 1000}]}]
services:
  - {name: chat, model: tiny, class: standard, replicas: {min: 1},
     load: {arrival_rate_rps: 2, input_tokens: 10, output_tokens: 20}}
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def prometheus(folder: Path, emulator: str) -> Iterator[str]:
    """A real server that finds the emulator's replicas and scrapes each."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("needs Debian's package prometheus")
    (folder / "prometheus.yml").write_text(
        "scrape_configs:\n- job_name: emulator\n  scrape_interval: 500ms\n"
        f"  http_sd_configs: [{{url: '{emulator}/replicas/targets', refresh_interval: 1s}}]\n",
        encoding="utf-8",
    )
    url = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [
            binary,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--log.level=error",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


class Clients:
    """So many requests per second, until it is told to stop."""

    def __init__(self, url: str, rate_rps: float) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._url, self._rate_rps = url, rate_rps
        self._stop = threading.Event()
        self._client = httpx.Client(timeout=60.0, limits=httpx.Limits(max_connections=200))
        self._pool = ThreadPoolExecutor(64)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(1.0 / self._rate_rps):
            self._pool.submit(self._ask)

    def _ask(self) -> None:
        body = {"model": "tiny", "prompt": "a b c d e f g h", "max_tokens": 20, "ignore_eos": True}
        self._client.post(f"{self._url}/v1/completions", json=body)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.close()


@pytest.mark.slow
def test_load_through_a_real_prometheus_scales_the_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests over HTTP, scraped, are seen as load; replicas are added, and later taken back.

    With the forecaster that everybody gets, in steps as short as the test.
    """
    pytest.importorskip("uvicorn", reason="needs uvicorn (the extra 'serve')")
    from optimizer.control.collectors.prometheus import PrometheusCollector
    from optimizer.control.controller import Controller
    from optimizer.control.spec import ControlSpec, ForecastSpec, StabilizationSpec
    from optimizer.engine import EngineConfig
    from queue_models import IterationTiming
    from tests.optimizer.engine.emulator.served import served

    monkeypatch.setenv("FLEETOPT_ADMIN_TOKEN", "secret")
    fleet = loads(REAL)
    config = EngineConfig(num_blocks=513, max_num_seqs=4, max_model_len=256)
    timing = IterationTiming(20.0, 0.01, 0.001, 0.0)
    spec = ControlSpec(
        fleet="-",
        observe_s=1.0,
        period_s=2.0,
        solver="greedy",
        forecast=ForecastSpec(quantile=0.5, step_s=2.0, horizon_s=2.0),
        stabilization=StabilizationSpec(down_window_s=6.0, cooldown_down_s=4.0),
    )
    with served(config, timing) as emulator, prometheus(tmp_path, emulator.url) as server:
        windows = {"window_s": 5, "recent_s": 2, "stale_s": 5}
        options = {"url": server, "instance_label": "replica", **windows}
        collector = PrometheusCollector(fleet, options)
        entry = {"service": "chat", "accelerator": "X", "url": emulator.url}
        target = EmulatorActuator(fleet, tmp_path, {"servers": [entry]})
        controller = Controller(fleet, spec, collector, target)
        chat = Variant(service="chat", accelerator="X", max_batch=4)
        assert controller.planner.rate_rps(chat) < 11.0

        lately: list[float] = []

        def until(done: Callable[[int], bool], limit_s: float) -> int:
            ends = time.monotonic() + limit_s
            while time.monotonic() < ends:
                seen = controller.step(time.time()).observation
                assert seen is not None
                lately.append(seen.services[0].recent_rate_rps.value or 0.0)
                held = target.counts(time.time()).wanted().get(chat, 0)
                if done(held):
                    return held
                time.sleep(0.5)
            raise AssertionError(f"{held} replicas after {limit_s:g} s")

        clients = Clients(emulator.url, 18.0)
        try:
            many = until(lambda held: held >= 2, 90.0)
        finally:
            clients.stop()
        assert many <= 6
        assert max(lately) > 9.0
        until(lambda held: held == 1, 90.0)
        collector.close()
        target.close()
