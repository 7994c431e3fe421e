"""Every fault of the list, in its words: how it begins and how it ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from optimizer.control.errors import ControlError
from optimizer.control.journal import MemoryJournal
from optimizer.control.kubernetes.api_server import ApiError
from optimizer.control.spec import FaultKind
from optimizer.spec import FleetSpec
from tests.optimizer.control.faults.loop import (
    Killed,
    Loop,
    with_bound,
    with_service,
)

Act = Callable[[Loop], None]


@dataclass(frozen=True)
class Row:
    """One fault.

    Parameters
    ----------
    name
        In the words of the list.
    through
        The ports of the loop that it happens behind.
    begin, end
        What happens to the loop.
    blind
        Whether no figures come while it lasts, so that nothing may fall.
    lasts_s
        How long it lasts [s].
    recovers_s
        Time beyond two cycles that the world itself needs afterwards, such as a start-up [s].
    """

    name: str
    through: str
    begin: Act
    end: Act
    blind: bool = False
    lasts_s: float = 60.0
    recovers_s: float = 0.0


def _answers(make: Callable[[httpx.Request], httpx.Response]) -> tuple[Act, Act]:
    def begin(loop: Loop) -> None:
        loop.scraped.answer = make

    def end(loop: Loop) -> None:
        loop.scraped.answer = None

    return begin, end


def _status(code: int, **headers: str) -> tuple[Act, Act]:
    return _answers(lambda _: httpx.Response(code, text="busy", headers=headers))


def _raises(error: Exception) -> tuple[Act, Act]:
    def fails(_: httpx.Request) -> httpx.Response:
        raise error

    return _answers(fails)


def _samples(
    change: Callable[[str, dict[str, str], float], tuple[float, float] | None],
) -> tuple[Act, Act]:
    def begin(loop: Loop) -> None:
        loop.scraped.change = change

    def end(loop: Loop) -> None:
        loop.scraped.change = None

    return begin, end


def _set(name: str, value: object, after: object) -> tuple[Act, Act]:
    def begin(loop: Loop) -> None:
        setattr(loop.scraped, name, value)

    def end(loop: Loop) -> None:
        setattr(loop.scraped, name, after)

    return begin, end


def _nothing(loop: Loop) -> None:
    del loop


def _half(_: str, labels: dict[str, str], value: float) -> tuple[float, float] | None:
    return (value, 0.0) if labels["instance"].endswith(("0", "2", "4")) else None


def _unit_error(name: str, _: dict[str, str], value: float) -> tuple[float, float]:
    return (value * 1000.0 if "seconds_sum" in name else value, 0.0)


_EMPTY = '{"status": "success", "data": {"resultType": "vector", "result": []}}'

PROMETHEUS = (
    Row("down", "prometheus", *_raises(httpx.ConnectError("connection refused")), blind=True),
    Row("500", "prometheus", *_status(500), blind=True),
    Row("429", "prometheus", *_status(429, **{"retry-after": "5"}), blind=True),
    Row("slow 30 s", "prometheus", *_raises(httpx.ReadTimeout("timed out")), blind=True),
    Row(
        "TLS wrong",
        "prometheus",
        *_raises(httpx.ConnectError("certificate verify failed")),
        blind=True,
    ),
    Row(
        "empty vector",
        "prometheus",
        *_answers(lambda _: httpx.Response(200, text=_EMPTY)),
        blind=True,
    ),
    Row("NaN", "prometheus", *_samples(lambda *_: (math.nan, 0.0)), blind=True),
    Row("Inf", "prometheus", *_samples(lambda *_: (math.inf, 0.0)), blind=True),
    # When it ends counters jump from below zero, which looks like a spike.
    Row(
        "negative",
        "prometheus",
        *_samples(lambda *a: (-a[2], 0.0)),
        blind=True,
        recovers_s=60.0,
    ),
    Row("duplicate series", "prometheus", *_set("doubled", True, False)),
    Row("label missing", "prometheus", *_set("labelled", False, True), blind=True),
    Row("stale sample", "prometheus", *_samples(lambda *a: (a[2], -120.0)), blind=True),
    Row(
        "clock skew +5 min",
        "prometheus",
        _samples(lambda *a: (a[2], 300.0))[0],
        lambda loop: loop.scraped.set_right(),
        blind=True,
    ),
    Row("clock skew -5 min", "prometheus", *_samples(lambda *a: (a[2], -299.0)), blind=True),
    Row("counter reset", "prometheus", lambda loop: loop.scraped.reset(), _nothing),
    Row("colon to underscore renaming", "prometheus", *_set("prefix", "vllm_", "vllm:")),
    Row("series of dead pods", "prometheus", *_set("dead_stay", True, False)),
    Row("half of pods missing", "prometheus", *_samples(_half)),
    Row("gap then return", "prometheus", *_samples(lambda *_: None), blind=True),
    Row("metric x1000 unit error", "prometheus", *_samples(_unit_error)),
)


def _api(**hooks: object) -> tuple[Act, Act]:
    kept: dict[str, object] = {}

    def begin(loop: Loop) -> None:
        assert loop.deployments is not None
        for name, value in hooks.items():
            kept[name] = getattr(loop.deployments, name)
            setattr(loop.deployments, name, value)

    def end(loop: Loop) -> None:
        for name, value in kept.items():
            setattr(loop.deployments, name, value)

    return begin, end


def _refuses(message: str, status: int | None = None) -> Callable[[], None]:
    def fails() -> None:
        raise ApiError(message, status)

    return fails


def _restarted_server(loop: Loop) -> None:
    assert loop.deployments is not None
    loop.deployments.versions = dict.fromkeys(loop.deployments.versions, 1)
    loop.controller = loop.started()


def _delete_target(loop: Loop) -> None:
    """Somebody deletes the deployment that serves most, with its pods."""
    assert loop.deployments is not None
    loop.deployments.gone = {"chat-h100"}
    loop.fleet.order(loop.deployments.variant_of["chat-h100"], 0)


def _recreate_target(loop: Loop) -> None:
    assert loop.deployments is not None
    loop.deployments.gone = set()


def _out_of_order(loop: Loop) -> None:
    deployments = loop.deployments
    assert deployments is not None

    def swing() -> None:
        deployments.behind = 3 - deployments.behind

    loop.each_tick.append(swing)


def _in_order(loop: Loop) -> None:
    assert loop.deployments is not None
    loop.each_tick.clear()
    loop.deployments.behind = 0


API_SERVER = (
    Row(
        "down",
        "api",
        *_api(on_read=_refuses("connection refused"), on_write=_refuses("connection refused")),
        blind=True,
    ),
    Row("409 on each write", "api", *_api(on_write=_refuses("modified", 409))),
    Row("403", "api", *_api(on_write=_refuses("forbidden", 403))),
    Row("404 of target", "api", _delete_target, _recreate_target, recovers_s=60.0),
    Row("422", "api", *_api(on_write=_refuses("invalid", 422))),
    Row("429 + Retry-After", "api", *_api(on_write=_refuses("too many requests", 429))),
    Row("watch dropped", "api", *_api(behind=5)),
    Row("410 Gone", "api", *_api(on_read=_refuses("too old resource version", 410)), blind=True),
    Row("duplicate/out-of-order events", "api", _out_of_order, _in_order),
    Row("write accepted but response lost", "api", *_api(after_write=_refuses("timed out"))),
    Row("slow 10 s", "api", *_api(late_s=10.0)),
    Row("restart with empty cache", "api", _restarted_server, _nothing),
)


def _killed(loop: Loop) -> None:
    """The controller dies after each write of an order, again and again."""
    apply = loop.actuator.apply

    def dies(now_s: float, order):  # type: ignore[no-untyped-def]
        apply(now_s, order)
        raise Killed

    loop.actuator.apply = dies  # type: ignore[method-assign]


def _not_killed(loop: Loop) -> None:
    del loop.actuator.apply


def _lease_lost(loop: Loop) -> None:
    """After the first order of a plan, all are refused."""
    apply, given = loop.actuator.apply, []

    def loses(now_s: float, order):  # type: ignore[no-untyped-def]
        given.append(order)
        if len(given) > 1:
            loop.fault(FaultKind.ORDERS_CONFLICT)
        return apply(now_s, order)

    loop.actuator.apply = loses  # type: ignore[method-assign]


def _lease_back(loop: Loop) -> None:
    del loop.actuator.apply
    loop.heal()


def _second(loop: Loop) -> None:
    loop.others = [loop.started(MemoryJournal())]


def _alone(loop: Loop) -> None:
    loop.others = []


def _jump(seconds: float) -> Act:
    def jump(loop: Loop) -> None:
        loop.clock_ahead_s += seconds

    return jump


def _out_of_memory(loop: Loop) -> None:
    def plan(*_: object, **__: object) -> None:
        raise MemoryError("cannot allocate")

    loop.planner.plan = plan  # type: ignore[method-assign, assignment]


def _memory_again(loop: Loop) -> None:
    del loop.planner.plan


def _stop(loop: Loop) -> None:
    loop.running = False


def _go_on(loop: Loop) -> None:
    loop.running = True


def _adopt(loop: Loop, fleet: FleetSpec) -> None:
    """As the controller of a file does: what is refused is told."""
    try:
        loop.controller.adopt(fleet)
    except ControlError as error:
        loop.controller.tell_configuration(loop.fleet.now_s, str(error))
    else:
        loop.controller.tell_configuration(loop.fleet.now_s, "")


def _deleted(loop: Loop) -> None:
    _adopt(loop, with_service(loop.described, "chat"))


def _described_again(loop: Loop) -> None:
    _adopt(loop, loop.described)


def _edited(loop: Loop) -> None:
    """A tighter objective; where deployments have another batch than it needs it is refused."""
    _adopt(loop, with_bound(loop.described, "itl_ms", 20.0))


def _invalid(loop: Loop) -> None:
    loop.controller.tell_configuration(loop.fleet.now_s, "services: must be a list")


def _valid(loop: Loop) -> None:
    loop.controller.tell_configuration(loop.fleet.now_s, "")


CONTROLLER = (
    Row("SIGKILL between the writes of one plan", "plain", _killed, _not_killed),
    Row("two instances", "plain", _second, _alone),
    Row("lease lost in the middle of a plan", "plain", _lease_lost, _lease_back),
    Row("paused 5 min", "plain", _stop, _go_on, lasts_s=300.0),
    Row("clock jump forward", "plain", _jump(3600.0), _nothing),
    Row("clock jump back", "plain", _jump(-3600.0), _nothing),
    Row("clock jump there and back", "plain", _jump(3600.0), _jump(-3600.0)),
    Row("CR deleted during reconcile", "plain", _deleted, _described_again),
    Row("CR edited in mid-plan", "plain", _edited, _described_again, recovers_s=60.0),
    Row("config invalid at reload", "plain", _invalid, _valid),
    Row("memory limit", "plain", _out_of_memory, _memory_again),
)


def _lab(kind: FaultKind, **settings: object) -> tuple[Act, Act]:
    return (lambda loop: loop.fault(kind, **settings)), (lambda loop: loop.heal())


def _traffic(factor: float) -> tuple[Act, Act]:
    before: dict[str, float] = {}

    def begin(loop: Loop) -> None:
        before.update(loop.rates)
        loop.rates["chat"] = loop.rates["chat"] * factor

    def end(loop: Loop) -> None:
        loop.rates.update(before)

    return begin, end


def _diurnal(loop: Loop) -> None:
    chat, begun_s = loop.rates["chat"], loop.fleet.now_s

    def wave() -> None:
        swing = math.sin(2 * math.pi * (loop.fleet.now_s - begun_s) / 240.0)
        loop.rates["chat"] = chat * (1.0 + 0.5 * swing)

    loop.each_tick.append(wave)


def _diurnal_over(loop: Loop) -> None:
    loop.each_tick.clear()


def _longer(factor: float) -> Act:
    def change(loop: Loop) -> None:
        loop.input_tokens *= factor

    return change


WORLD = (
    Row(
        "pods Pending for ever",
        "plain",
        *_lab(FaultKind.START_FAILS),
        lasts_s=180.0,
        recovers_s=60.0,
    ),
    Row("CrashLoop", "plain", *_lab(FaultKind.CRASH_LOOP), lasts_s=180.0, recovers_s=60.0),
    Row(
        "cold start 15 min",
        "plain",
        *_lab(FaultKind.SLOW_START, factor=15.0),
        lasts_s=180.0,
        recovers_s=60.0,
    ),
    Row("node loss", "plain", *_lab(FaultKind.NODE_LOSS, share=0.5)),
    Row("quota reached", "plain", *_traffic(50.0), recovers_s=60.0),
    Row("GPU type absent", "plain", *_lab(FaultKind.CARDS_LOST, type="H100", share=0.0)),
    Row("traffic step x10", "plain", *_traffic(10.0), recovers_s=60.0),
    Row("spike 30 s", "plain", *_traffic(5.0), lasts_s=30.0),
    Row("diurnal", "plain", _diurnal, _diurnal_over, lasts_s=240.0),
    Row("to zero and back", "plain", *_traffic(0.0)),
    Row("prompt length jump", "plain", _longer(4.0), _longer(0.25), recovers_s=60.0),
    Row("model becomes 2x slower", "plain", *_lab(FaultKind.SLOW_MODEL, factor=2.0)),
)

TABLE = {
    f"{group}: {row.name}": row
    for group, rows in (
        ("Prometheus", PROMETHEUS),
        ("API server", API_SERVER),
        ("controller", CONTROLLER),
        ("world", WORLD),
    )
    for row in rows
}
