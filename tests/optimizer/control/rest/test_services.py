"""The REST services: what they answer, whom they let in, and what they say to nonsense."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs fastapi (the extra 'control')")
pytest.importorskip("httpx", reason="needs httpx (the extra 'control')")

from starlette.testclient import TestClient

from optimizer.control import actuators, collectors
from optimizer.control.actuators.dry_run import DryRunActuator
from optimizer.control.configured import ConfiguredControl
from optimizer.control.errors import ControlError
from optimizer.control.rest import Services, create_app, read_token
from optimizer.control.rest.limits import RequestLimits
from optimizer.control.rest.token import TOKEN_VARIABLE, Token
from optimizer.control.spec import (
    CollectAnswer,
    ControlStatus,
    CycleDocument,
    ErrorAnswer,
    ErrorKind,
    OptimizeAnswer,
    TuneAnswer,
)
from tests.optimizer.control.fleets import TEXT
from tests.optimizer.control.test_configured import CONFIG, Told

TOKEN = "a-token-of-some-length"
SHOWN = {"authorization": f"Bearer {TOKEN}"}
VARIANT = {"service": "chat", "accelerator": "H100", "max_batch": 64}
CALLS: dict[str, dict[str, Any]] = {
    "/optimize": {"loads": [{"service": "chat", "arrival_rate_rps": 90.0}]},
    "/tune": {
        "variant": VARIANT,
        "observations": [
            {
                "arrival_rate_rps": 10.0,
                "input_tokens": 500,
                "output_tokens": 100,
                "ttft_ms": 40.0,
                "itl_ms": 12.0,
            }
        ],
    },
    "/actuate": {"targets": [{"variant": VARIANT, "replicas": 3}]},
    "/invoke": {"event": "burst"},
}


class Stage:
    """A controller of files with its services, asked in process; its clock is the test's."""

    def __init__(self, folder: Path, limits: RequestLimits | None = None) -> None:
        self.now_s = 1000.0
        self.control = ConfiguredControl(folder / "control.yaml")
        self.services = Services(self.control, lambda: self.now_s, patience_s=0.2)
        self.app = create_app(self.services, Token(TOKEN), limits or RequestLimits())
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> Any:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"content-type": "application/json", **(SHOWN if headers is None else headers)}
        return self.client.post(path, content=raw, headers=given)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Without the loop: every cycle is asked for."""
    folder = tmp_path_factory.mktemp("control")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(collectors, "get", lambda name: Told)
        patched.setattr(actuators, "get", lambda name: DryRunActuator)
        (folder / "fleet.yaml").write_text(TEXT, encoding="utf-8")
        (folder / "control.yaml").write_text(CONFIG, encoding="utf-8")
        yield Stage(folder)


def error_of(answer: Any) -> ErrorAnswer:
    found = ErrorAnswer.from_json(answer.content)
    assert "Traceback" not in answer.text
    return found


def test_invoke_makes_a_cycle_at_once(stage: Stage) -> None:
    """The event is the trigger, whatever the period; cooldowns hold however often it comes."""
    first = CycleDocument.from_json(stage.post("/invoke", {"event": "burst"}).content)
    assert first.decision.trigger in ("begin", "event: burst")
    wanted = stage.control.controller.actuator.counts(stage.now_s).wanted()
    for _ in range(3):
        again = CycleDocument.from_json(stage.post("/invoke", {"event": "burst"}).content)
        assert again.decision.trigger == "event: burst"
    assert stage.control.controller.actuator.counts(stage.now_s).wanted() == wanted
    status = ControlStatus.from_json(stage.client.get("/status").content)
    assert status.cycle == again.status.cycle


def test_optimize_changes_nothing(stage: Stage) -> None:
    """A plan for other loads; the controller's own plan and replicas stay as they are."""
    stage.post("/invoke", {})
    before = stage.control.controller.step(stage.now_s).status
    answer = stage.post("/optimize", CALLS["/optimize"])
    found = OptimizeAnswer.from_json(answer.content)
    assert sum(one.replicas for one in found.replicas if one.variant.service == "chat") >= 3
    assert found.cost_per_hour > 0
    after = stage.control.controller.step(stage.now_s).status
    assert (after.services, after.last_digest) == (before.services, before.last_digest)


def test_collect_is_what_is_seen(stage: Stage) -> None:
    """Replicas and figures, with the reasons of those that are missing."""
    found = CollectAnswer.from_json(stage.client.get("/collect").content)
    chat = next(s for s in found.observation.services if s.service == "chat")
    assert chat.arrival_rate_rps.value == 40.0
    assert chat.ttft_ms.missing == "not-asked"


def test_tune_learns(stage: Stage) -> None:
    """Windows of serving teach parameters; those that cannot be used are named."""
    body = json.loads(json.dumps(CALLS["/tune"]))
    good = body["observations"][0]
    body["observations"] = [
        *({**good, "arrival_rate_rps": 5.0 + n, "itl_ms": 11.0 + n / 4} for n in range(6)),
        {"input_tokens": 500, "output_tokens": 100, "itl_ms": 12.0},
    ]
    found = TuneAnswer.from_json(stage.post("/tune", body).content)
    assert found.accepted >= 1
    assert found.parameters
    assert all(value > 0 for value in found.parameters.values())
    assert any("observations[6]" in words for words in found.rejected)


def test_actuate_keeps_the_quota(stage: Stage) -> None:
    """What is beyond the cards waits; an unknown variant is refused."""
    body = {"targets": [{"variant": VARIANT, "replicas": 14}]}
    answer = stage.post("/actuate", body).json()
    held = sum(
        count.wanted
        for count in stage.control.controller.actuator.counts(0.0).counts
        if count.variant.accelerator == "H100"
    )
    assert held <= 12
    assert answer["waiting"][0]["replicas"] >= 2
    strange = {"targets": [{"variant": {**VARIANT, "service": "other"}, "replicas": 1}]}
    assert error_of(stage.post("/actuate", strange)).error.kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer \u00e9".encode("latin-1").decode("latin-1")},
    ],
)
def test_who_acts_shows_the_token(stage: Stage, path: str, headers: dict[str, str]) -> None:
    """Whatever else is shown is refused, before the body is looked at."""
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = stage.client.post(path, content=b"{", headers=encoded)  # type: ignore[arg-type]
    assert answer.status_code == 401
    assert error_of(answer).error.kind is ErrorKind.UNAUTHORIZED
    assert TOKEN not in answer.text


RAW: list[bytes] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"1",
    b'"text"',
    b"\xff\xfe\x00",
    b'{"event": "\xff"}',
    b'{"event": "a", }',
    b"{'event': 'a'}",
    b'{"event": NaN}',
    b"[" * 50_000,
    b'{"a":' * 20_000,
    b"event=a",
    b"\x00" * 100,
    b'{"event": "\\ud800"}',
    b'{"\\ud800": 1}',
    b"1" * 6000,
    b'{"schema_version": 1e999}',
    json.dumps({"event": "burst"}).encode("utf-16"),
]
_WRONG: list[object] = [None, True, -1, 1.5, "", "x" * 3000, [], {}, [None], {"a": 1}, 10**30]


def malformed() -> Iterator[object]:
    """Every field of every request replaced by nonsense, left out, and joined by others."""
    for path, body in CALLS.items():
        for raw in RAW:
            yield pytest.param(path, raw, id=f"{path} raw {raw[:20]!r}")
        for number, wrong in enumerate(_broken(body)):
            yield pytest.param(path, json.dumps(wrong).encode(), id=f"{path} {number}")


def _broken(value: Any) -> Iterator[Any]:
    """Return the document with one thing in it made wrong, at every depth."""
    if isinstance(value, dict):
        yield {**value, "unknown": 1}
        for key, inner in value.items():
            for wrong in _WRONG:
                yield {**value, key: wrong}
            for deeper in _broken(inner):
                yield {**value, key: deeper}
    elif isinstance(value, list):
        yield [*value, *value, 1]
        for deeper in _broken(value[0]):
            yield [deeper]


BODIES = list(malformed())


def test_nonsense_is_never_a_fault_of_the_service(stage: Stage) -> None:
    """Hundreds of malformed bodies: a 4xx in the one shape, or a 2xx where it made sense."""
    assert len(BODIES) > 100
    refused = 0
    for case in BODIES:
        path, raw = case.values  # type: ignore[attr-defined]
        answer = stage.post(path, raw)
        assert answer.status_code < 500, (path, raw[:200], answer.text)
        if answer.status_code >= 300:
            refused += 1
            found = error_of(answer)
            assert found.error.message
            assert found.error.kind is not ErrorKind.INTERNAL
    assert refused > 100


def test_names_of_solvers_paths_and_addresses_are_not_taken(stage: Stage) -> None:
    """Such keys are unknown, and said to be."""
    for key in ("solver", "fleet", "path", "url", "file", "collector", "queue_model", "tuner"):
        for path, body in CALLS.items():
            answer = stage.post(path, {**body, key: "/etc/passwd"})
            assert answer.status_code == 422
            assert error_of(answer).error.faults[0].where == key


def test_a_large_body_is_not_read(stage: Stage) -> None:
    """Whether it states its size or not."""
    large = Stage(stage.control._folder, RequestLimits(body_bytes=1000))
    body = b'{"event": "' + b"a" * 2000 + b'"}'
    assert error_of(large.post("/invoke", body)).error.kind is ErrorKind.TOO_LARGE
    parts = iter([body[:900], body[900:]])
    headers = {**SHOWN, "content-type": "application/json"}
    answer = large.client.post("/invoke", content=parts, headers=headers)
    assert answer.status_code == 413


def test_a_request_that_takes_too_long_is_answered(stage: Stage) -> None:
    """While another one has its turn, the next is told that it is busy, then that it is late."""
    with stage.services._my_turn():
        answer = stage.post("/invoke", {})
        assert (answer.status_code, error_of(answer).error.kind) == (503, ErrorKind.BUSY)
    late = Stage(stage.control._folder, RequestLimits(seconds=0.05))
    with late.services._my_turn():
        answer = late.post("/invoke", {})
        assert (answer.status_code, error_of(answer).error.kind) == (503, ErrorKind.TOO_SLOW)


def test_a_failure_of_the_service_is_told_without_its_inside(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has it all, the answer nothing."""

    def fails(*_: object) -> None:
        raise RuntimeError("secret inside")

    monkeypatch.setattr(stage.services, "invoke", fails)
    answer = stage.post("/invoke", {})
    assert answer.status_code == 500
    assert error_of(answer).error.kind is ErrorKind.INTERNAL
    assert "secret" not in answer.text
    assert "secret inside" in caplog.text


def test_openapi_is_made_of_the_spec(stage: Stage) -> None:
    """Every service, its request and answer by the names of the spec, its refusals, its token."""
    described = stage.client.get("/openapi.json").json()
    for path, name in (
        ("/optimize", "OptimizeRequest"),
        ("/tune", "TuneRequest"),
        ("/actuate", "ActuateRequest"),
        ("/invoke", "InvokeRequest"),
    ):
        call = described["paths"][path]["post"]
        body = call["requestBody"]["content"]["application/json"]["schema"]
        assert body == {"$ref": f"#/components/schemas/{name}"}
        refused = call["responses"]["422"]["content"]["application/json"]["schema"]
        assert refused == {"$ref": "#/components/schemas/ErrorAnswer"}
        assert call["security"] == [{"HTTPBearer": []}]
    assert "security" not in described["paths"]["/collect"]["get"]


def test_the_loop_runs_beside_the_services(stage: Stage) -> None:
    """Its lifespan is the application's; health and metrics tell of it."""
    one = Stage(stage.control._folder)
    cycled = threading.Event()
    one.services.listeners.append(lambda cycle: cycled.set())
    with one.client as client:
        assert cycled.wait(60)
        assert client.get("/health").status_code == 200
        assert 'fleetopt_desired_replicas{accelerator="H100"' in client.get("/metrics").text
        one.now_s += 3600.0
        assert client.get("/health").status_code == 503
    assert one.services._thread is not None
    assert not one.services._thread.is_alive()
    assert one.client.get("/health").status_code == 503


def test_the_token_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never from the command line; without one nobody may act, and short ones are refused."""
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert not read_token(None)
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert read_token(None)
    assert TOKEN not in repr(read_token(None))
    file = tmp_path / "token"
    with pytest.raises(ControlError, match="cannot be read"):
        read_token(file)
    for text in ("", "short", "two words of a token", "\u00e9" * 20):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ControlError, match="16 or more letters"):
            read_token(file)
    file.write_text(TOKEN + "\n", encoding="utf-8")
    read_token(file).require(f"bearer {TOKEN}")
