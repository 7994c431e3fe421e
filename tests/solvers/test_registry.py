"""Discovery: lazy, forgiving to all but who asks for what is broken."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

import solvers
from solvers import BrokenPluginError, MissingExtraError, Solver, UnknownSolverError, registry
from tests.solvers.problems import ScriptedSolver

OURS = ("auto", "convex", "cp-sat", "greedy", "highs", "lagrangian", "milp")


class AbstractGuest(Solver):
    """Forgot to implement solve."""

    name, summary, features = "abstract", "", frozenset()


class UnavailableGuest(ScriptedSolver):
    """Its back end is missing."""

    requires = ("rocket>=2",)

    @classmethod
    def is_available(cls) -> bool:
        return False


NO_CLASS = 3


def point(name: str, attribute: str, distribution: str, module: str = __name__) -> EntryPoint:
    entry = EntryPoint(name, f"{module}:{attribute}", registry.GROUP)
    vars(entry)["dist"] = SimpleNamespace(name=distribution, version="1.2")
    return entry


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = list(registry.entry_points(group=registry.GROUP))
    extra = [
        point("scripted", "ScriptedSolver", "guests"),
        point("absent", "Nothing", "guests", "no_such_module_at_all"),
        point("abstract", "AbstractGuest", "guests"),
        point("number", "NO_CLASS", "guests"),
        point("rocket", "UnavailableGuest", "guests"),
        point("twice", "ScriptedSolver", "guests"),
        point("twice", "UnavailableGuest", "other-guests"),
    ]

    def entry_points(**_: Any) -> list[EntryPoint]:
        return [*ours, *extra]

    monkeypatch.setattr(registry, "entry_points", entry_points)


def test_ours_are_registered_by_the_same_door() -> None:
    """All of ours are found, loaded and ok."""
    assert set(solvers.names()) >= set(OURS)
    ours = [info for info in solvers.describe() if info.distribution == "fleetopt"]
    assert [info.status for info in ours] == ["ok"] * len(OURS)
    assert all(info.version and info.summary and info.features for info in ours)


def test_listing_names_imports_nothing() -> None:
    """Names come from metadata: no solver module is loaded for them."""
    code = "import sys, solvers; solvers.names(); print('solvers.milp' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_a_solver_is_loaded_once() -> None:
    """The same object is returned each time."""
    assert solvers.get("greedy") is solvers.get("greedy")


def test_an_unknown_name(guests: None) -> None:
    """The message gives the nearest name and what is installed."""
    with pytest.raises(UnknownSolverError) as caught:
        solvers.get("mlip")
    assert str(caught.value) == (
        "unknown solver 'mlip'; did you mean 'milp'? installed: "
        "absent, abstract, auto, convex, cp-sat, greedy, highs, lagrangian, milp, number, "
        "rocket, scripted, twice"
    )


def test_a_name_like_no_other() -> None:
    """Without a near name the message has no suggestion."""
    with pytest.raises(UnknownSolverError, match=r"^unknown solver 'zzz'; installed: auto, "):
        solvers.get("zzz")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent", "solver 'absent' of guests cannot be loaded: ModuleNotFoundError"),
        ("abstract", "does not implement solve"),
        ("number", "a subclass of solvers.Solver is wanted"),
        ("twice", "solver 'twice' is registered by guests and other-guests"),
    ],
)
def test_broken_guests_hurt_only_who_asks(guests: None, name: str, reason: str) -> None:
    """A broken guest raises when asked for, naming its distribution; the others still work."""
    with pytest.raises(BrokenPluginError, match=reason):
        solvers.get(name)
    assert solvers.get("scripted").name == "scripted"
    assert solvers.get("greedy").name == "greedy"


def test_a_missing_back_end_names_the_command(guests: None) -> None:
    """Asking for an unavailable solver says what to install."""
    with pytest.raises(MissingExtraError, match=r"try: pip install 'rocket>=2'"):
        solvers.get("rocket")


def test_the_description_lists_everything(guests: None) -> None:
    """Broken and unavailable guests are listed with their reason, beside the good ones."""
    listed = [(info.name, info.status) for info in solvers.describe()]
    assert listed == [
        ("absent", "broken"),
        ("abstract", "broken"),
        ("auto", "ok"),
        ("convex", "ok"),
        ("cp-sat", "ok"),
        ("greedy", "ok"),
        ("highs", "ok"),
        ("lagrangian", "ok"),
        ("milp", "ok"),
        ("number", "broken"),
        ("rocket", "unavailable"),
        ("scripted", "ok"),
        ("twice", "broken"),
        ("twice", "broken"),
    ]
    reasons = {info.name: info.reason for info in solvers.describe()}
    assert "ModuleNotFoundError" in reasons["absent"]
    assert "rocket>=2" in reasons["rocket"]
    assert "more than one distribution" in reasons["twice"]
