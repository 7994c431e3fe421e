"""What is said when functions are compiled."""

from __future__ import annotations

import logging
import types

import pytest

from optimizer.compile_notice import announce_compiling


def test_compiling_is_announced_once_and_for_its_package_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Two functions of the package: one line. A function of another: none."""
    numba = pytest.importorskip("numba")
    announce_compiling("cellar.", "the wine", seconds=20)

    def compiled_in(module: str) -> None:
        code = (lambda x: x + 1).__code__
        function = types.FunctionType(code, {"__name__": module})
        numba.njit(function)(1)

    with caplog.at_level(logging.INFO, logger="optimizer"):
        compiled_in("attic.roof")
        assert not caplog.messages
        compiled_in("cellar.shelf")
        compiled_in("cellar.barrel")
    assert caplog.messages == ["compiling the wine: once, some 20 s"]
