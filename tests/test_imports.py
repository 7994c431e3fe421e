"""Importing is light, silent and one-way."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "scipy",
    "pulp",
    "ortools",
    "highspy",
    "pandas",
    "matplotlib",
    "ruamel",
    "numba",
    "cvxpy",
    "networkx",
)


def loaded_after(code: str) -> set[str]:
    """Names of the modules in a fresh interpreter after some code."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not run.stderr
    return {name.partition(".")[0] for name in run.stdout.split()}


@pytest.mark.parametrize(
    "code",
    [
        "import queue_models",
        "import solvers",
        "import optimizer",
        "import optimizer.kv",
        "import optimizer.spec",
        "import optimizer.capacity",
        "import optimizer.fleet",
        "import optimizer.cli",
    ],
)
def test_no_import_loads_a_back_end(code: str) -> None:
    """No solver back end, plotting library or scipy is loaded before it is used."""
    assert not loaded_after(code) & set(HEAVY)


def test_the_ground_floors_load_neither_each_other_nor_the_product() -> None:
    """`queue_models` and `solvers` stand alone."""
    assert not loaded_after("import queue_models") & {"solvers", "optimizer"}
    assert not loaded_after("import solvers") & {"queue_models", "optimizer"}


def test_help_loads_neither_numpy_nor_pydantic_models() -> None:
    """`fleetopt --help` pays for the command line alone."""
    loaded = loaded_after(
        "import sys, optimizer.cli.command as m\n"
        "try: m.app(['--help'], prog_name='fleetopt')\n"
        "except SystemExit: pass\n"
        "import io; sys.stdout.flush()"
    )
    assert not loaded & {"numpy", *HEAVY}


def test_every_public_name_of_the_front_door_exists() -> None:
    """`optimizer.__all__` resolves, and unknown names are refused."""
    import optimizer

    for name in optimizer.__all__:
        assert getattr(optimizer, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        optimizer.nonsense  # noqa: B018
