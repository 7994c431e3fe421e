"""The registry: discovery without import, lazy loading, broken plug-ins."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from queue_models import BrokenPluginError, UnknownQueueModelError, describe, get, names

GOOD = """
from queue_models.mmc import MMcModel
class Twin(type('Base', (MMcModel.__mro__[1],), {})):
    name = 'twin'
    summary = 'a guest'
    law = MMcModel.law
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a distribution with one queue model on the path, as an installer would."""

    def put(distribution: str, name: str, target: str, source: str = "") -> None:
        root = tmp_path / distribution
        info = root / f"{distribution}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n"
        )
        (info / "entry_points.txt").write_text(f"[fleetopt.queue_models]\n{name} = {target}\n")
        (root / f"{target.partition(':')[0]}.py").write_text(source)
        monkeypatch.syspath_prepend(root)

    return put


def test_a_guest_is_found_and_loaded_once(install) -> None:
    """A model of another distribution is listed by name and given, always the same."""
    install("guest-dist", "twin", "guest_twin:Twin", GOOD)
    assert "twin" in names()
    assert get("twin") is get("twin")
    info = next(info for info in describe() if info.name == "twin")
    assert (info.distribution, info.version, info.status) == ("guest-dist", "1.2", "ok")
    assert info.summary == "a guest"


def test_listing_names_imports_nothing(install) -> None:
    """`names` does not import what it lists."""
    install("bomb-dist", "bomb", "guest_bomb:Bomb", "raise SystemExit('imported')")
    assert "bomb" in names()
    assert "guest_bomb" not in sys.modules


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("import no_such_package", "broken_a:Model", "No module named 'no_such_package'"),
        ("1/0", "broken_b:Model", "ZeroDivisionError"),
        ("x = 1", "broken_c:Model", "Model"),
        ("class Model: pass", "broken_d:Model", "not a subclass of QueueModel"),
        ("Model = 3", "broken_e:Model", "not a subclass of QueueModel"),
        (
            "from queue_models import QueueModel\nclass Model(QueueModel): pass",
            "broken_f:Model",
            "abstract: evaluate, max_rate, refusals",
        ),
        (
            GOOD.replace("Twin", "Model") + "    def __init__(self, x): pass\n",
            "broken_g:Model",
            "TypeError",
        ),
    ],
)
def test_a_broken_plugin_hurts_only_who_asks(
    install, source: str, target: str, reason: str
) -> None:
    """It is listed as broken with distribution and reason; only asking for it raises."""
    install("broken-dist", "fragile", target, source)
    info = next(info for info in describe() if info.name == "fragile")
    assert (info.distribution, info.status, info.summary) == ("broken-dist", "broken", "")
    assert reason in info.reason
    with pytest.raises(BrokenPluginError, match=r"broken-dist 1\.2"):
        get("fragile")


def test_a_name_claimed_twice_is_nobodys(install) -> None:
    """Two distributions under one name: asking raises, naming both."""
    install("first-dist", "twice", "guest_first:Twin", GOOD)
    install("second-dist", "twice", "guest_second:Twin", GOOD)
    with pytest.raises(BrokenPluginError, match=r"first-dist 1\.2 and second-dist 1\.2"):
        get("twice")
    info = next(info for info in describe() if info.name == "twice")
    assert (info.status, info.distribution) == ("broken", "first-dist, second-dist")
    assert names().count("twice") == 1


def test_an_unknown_name_gets_a_hint(install) -> None:
    """The message repeats the name, offers the nearest and lists what is installed."""
    install("guest-dist", "zebra", "guest_zebra:Twin", GOOD)
    with pytest.raises(
        UnknownQueueModelError, match=r"'zebrra'; did you mean 'zebra'.*installed: "
    ):
        get("zebrra")
    with pytest.raises(UnknownQueueModelError, match="unknown queue model 'q@x'; installed: "):
        get("q@x")


def test_ours_come_by_the_same_door() -> None:
    """Our own models are registered and load."""
    ours = {
        "auto",
        "batched-mg1",
        "inferno-3p",
        "inferno-4p",
        "lps",
        "mgc",
        "mm1k-state-dependent",
        "mmc",
        "mmck",
    }
    if not ours & set(names()):
        pytest.skip("fleetopt is not installed: its entry points are unknown")
    assert ours <= set(names())
    assert all(get(name).name == name for name in ours)


def test_import_is_light() -> None:
    """`import queue_models` loads numpy and nothing heavier."""
    code = (
        "import queue_models, sys; "
        "heavy = ('scipy', 'pandas', 'numba', 'solvers', 'optimizer'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
    assert not run.stderr
