"""Running the command in this process: faster than another one, with the same answers."""

from __future__ import annotations

import sys
from pathlib import Path

from optimizer.cli import main


def called(arguments: tuple[str | Path, ...]) -> int:
    """Run the command; return its exit status."""
    before = sys.argv
    sys.argv = ["fleetopt", *map(str, arguments)]
    try:
        main()
    except SystemExit as exited:
        return int(exited.code or 0)
    finally:
        sys.argv = before
    return 0
