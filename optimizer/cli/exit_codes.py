"""What the exit status of `fleetopt` means."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """Exit codes, as documented in docs/reference/command-line.md."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    SPEC_INVALID = 3
    INFEASIBLE = 4
    NO_SOLUTION = 5
    PLUGIN = 6
    INTERRUPTED = 130
