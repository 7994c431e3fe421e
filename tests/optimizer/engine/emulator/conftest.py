"""Emulators for the tests of a module; without the extra `serve` these are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.optimizer.engine.emulator.served import Served


@pytest.fixture(scope="module")
def serving() -> Iterator[Callable[..., Served]]:
    """Start emulators that end with the module."""
    from tests.optimizer.engine.emulator.served import served

    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(served(**settings))


@pytest.fixture(scope="module")
def tiny(serving: Callable[..., Served]) -> Served:
    """An emulator of one replica."""
    return serving()
