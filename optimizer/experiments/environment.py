"""Where runs are measured: processor, memory, versions, the commit of the code."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["describe_environment", "environment_id"]

_PACKAGES = ("fleetopt", "numpy", "scipy", "highspy", "pulp", "ortools", "cvxpy", "numba")
_ID_DIGITS = 8


def describe_environment() -> dict[str, Any]:
    """Return what a reader needs to judge the figures; None where it cannot be found out.

    `commit` and `clean_tree` are those of the checkout that fleetopt runs from, None when it was
    installed from a package.
    """
    commit, clean = _commit()
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gb": _memory_gb(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "commit": commit,
        "clean_tree": clean,
    }


def environment_id(environment: dict[str, Any]) -> str:
    """Return a short name that equal environments share."""
    return hashlib.sha256(json.dumps(environment, sort_keys=True).encode()).hexdigest()[:_ID_DIGITS]


def _cpu_model() -> str | None:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or None


def _memory_gb() -> float | None:
    if "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> tuple[str | None, bool | None]:
    root = Path(sys.modules["optimizer"].__file__ or "").resolve().parents[1]
    if not (root / ".git").exists():
        return None, None
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else changes == ""


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:  # no git here: the commit stays unknown
        return None
    return done.stdout.strip() if done.returncode == 0 else None
