"""A back end in its own process: what it found survives its end, whatever that is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from solvers import (
    AllocationProblem,
    CancelFlag,
    Limit,
    Progress,
    Reason,
    SolveParams,
    SolverBackendError,
    SolveResult,
)
from solvers.exact import Backend, BackendAnswer, BackendRequest, solve_exactly
from solvers.isolated_backend import isolated, isolated_when_large
from tests.solvers import odd_back_ends
from tests.solvers.problems import regret_trap


def ask(factory: Callable[..., Backend], *arguments: Any, **params: Any) -> SolveResult:
    backend = isolated(factory, arguments)
    return solve_exactly(regret_trap(), SolveParams(**params), None, backend)


def test_a_deaf_back_end_is_stopped_at_the_time_limit() -> None:
    """What it told before counts: solution and bound are kept, the limit is TIME."""
    result = ask(odd_back_ends.deaf, time_limit_s=1.0)
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.TIME
    assert "stopped from outside" in result.termination.detail
    assert (result.primal_bound, result.dual_bound) == (70.0, odd_back_ends.BOUND)


def test_a_deaf_back_end_is_stopped_by_the_flag() -> None:
    """A cancel from within a report ends it too; the limit is INTERRUPTED."""
    cancel = CancelFlag()

    def stop_at_bound(progress: Progress) -> None:
        if progress.bound == odd_back_ends.BOUND:
            cancel.set()

    result = ask(odd_back_ends.deaf, cancel=cancel, progress=stop_at_bound)
    assert result.termination.limit is Limit.INTERRUPTED
    assert (result.primal_bound, result.dual_bound) == (70.0, odd_back_ends.BOUND)


def test_a_cancel_reaches_the_back_end() -> None:
    """One that looks up ends by itself, and its answer is taken."""
    cancel = CancelFlag()
    found = threading.Event()
    threading.Thread(target=lambda: found.wait() and cancel.set(), daemon=True).start()
    result = ask(odd_back_ends.obedient, cancel=cancel, progress=lambda _: found.set())
    assert result.termination.detail == "stopped by itself"
    assert result.statistics.nodes == 7
    assert result.dual_bound == odd_back_ends.BOUND


def test_nothing_is_left_of_a_back_end_that_was_stopped(tmp_path: Path) -> None:
    """Its temporary folder, and what it had put there, are gone."""
    told = tmp_path / "told"
    ask(odd_back_ends.deaf, str(told), time_limit_s=1.0)
    assert not Path(told.read_text(encoding="utf-8")).exists()


def test_what_it_prints_stays_apart(capfd: pytest.CaptureFixture[str]) -> None:
    """Output of the back end reaches neither the answer nor the terminal."""
    assert ask(odd_back_ends.chatty).primal_bound == 70.0
    assert capfd.readouterr() == ("", "")


def test_a_crash_is_an_error_with_its_last_words() -> None:
    """The process that made the back end lives on and says what became of it."""
    with pytest.raises(SolverBackendError, match=r"status 3 .*segmentation fault, sort of"):
        ask(odd_back_ends.crashing)


def test_errors_come_through() -> None:
    """What the back end raises is raised here."""
    with pytest.raises(SolverBackendError, match="has had enough"):
        ask(odd_back_ends.failing)


def test_an_error_in_a_report_ends_the_back_end() -> None:
    """The caller's own exception comes out of the solve."""

    def refuse(_: Progress) -> None:
        raise ZeroDivisionError("in the callback")

    with pytest.raises(ZeroDivisionError, match="in the callback"):
        ask(odd_back_ends.deaf, progress=refuse)


@pytest.mark.parametrize(
    ("params", "large", "apart"),
    [({}, 0, False), ({"time_limit_s": 9.0}, 0, True), ({"time_limit_s": 9.0}, 10**6, False),
     ({"cancel": CancelFlag()}, 0, True), ({"cancel": CancelFlag()}, 10**6, False)],
)  # fmt: skip
def test_only_large_problems_in_a_hurry_get_a_process(
    params: dict[str, Any], large: int, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a limit and a flag there is nothing to keep; small models are never deaf for long."""
    problem: AllocationProblem = regret_trap()
    asked: list[str] = []

    def here(_: BackendRequest) -> BackendAnswer:
        asked.append("here")
        return BackendAnswer(limit=Limit.NODES)

    def there(_: BackendRequest) -> BackendAnswer:
        asked.append("apart")
        return BackendAnswer(limit=Limit.NODES)

    monkeypatch.setattr("solvers.isolated_backend.isolated", lambda *_: there)
    backend = isolated_when_large(lambda: here, (), large=large)
    solve_exactly(problem, SolveParams(**params), None, backend)
    assert asked == ["apart" if apart else "here"]
