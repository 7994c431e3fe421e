"""Build sdist and wheel, and hold them against the tree and against their bounds.

    python .ci/check_distributions.py FOLDER

The sdist, the wheel built from it (which stays in the folder) and a wheel built straight from the
tree: both wheels must have the same files with the same bytes, and hold every tracked file of the
packages. Exits with 1 and says what is wrong.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("queue_models", "solvers", "optimizer")
# Bytes that the wheel may have, and that the core install may add to the packages it names.
MAX_WHEEL_BYTES = 2_000_000
MAX_INSTALLED_BYTES = 30_000_000
_BUILD_LIMIT_S = 300


def main(folder: Path) -> int:
    """Build into the folder; print what was found."""
    _build("--outdir", str(folder))  # the sdist, and the wheel out of it
    (from_sdist,) = folder.glob("fleetopt-*.whl")
    with TemporaryDirectory() as other:
        _build("--wheel", "--outdir", other)
        (from_tree,) = Path(other).glob("fleetopt-*.whl")
        wrong = list(_differences(_contents(from_sdist), _contents(from_tree)))
    with zipfile.ZipFile(from_sdist) as wheel:
        installed = sum(entry.file_size for entry in wheel.infolist())
        wrong += [
            f"{name} is not in the wheel" for name in sorted(_tracked() - set(wheel.namelist()))
        ]
    size = from_sdist.stat().st_size
    if size > MAX_WHEEL_BYTES:
        wrong.append(f"the wheel has {size:,} bytes, at most {MAX_WHEEL_BYTES:,} are allowed")
    if installed > MAX_INSTALLED_BYTES:
        wrong.append(f"installed it has {installed:,} bytes, at most {MAX_INSTALLED_BYTES:,}")
    print(f"wheel {size / 1e6:.2f} MB, installed {installed / 1e6:.2f} MB")
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _build(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", *arguments, str(ROOT)],
        check=True,
        timeout=_BUILD_LIMIT_S,
        stdout=subprocess.DEVNULL,
    )


def _contents(wheel: Path) -> dict[str, int]:
    """Checksums of the files of a wheel."""
    with zipfile.ZipFile(wheel) as opened:
        return {entry.filename: entry.CRC for entry in opened.infolist()}


def _differences(first: dict[str, int], second: dict[str, int]) -> list[str]:
    """Name what one wheel has and the other has not, or has otherwise."""
    return [
        f"{name} differs between the wheel from the sdist and the one from the tree"
        for name in sorted(first.keys() | second.keys())
        if first.get(name) != second.get(name)
    ]


def _tracked() -> set[str]:
    """Name the files of the packages that the repository has."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", *PACKAGES],
        check=True, timeout=60, capture_output=True, text=True,
    )  # fmt: skip
    return set(listed.stdout.split("\n")) - {""}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
