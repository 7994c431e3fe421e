"""Say that functions are being compiled, where that takes long enough to be wondered at."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["announce_compiling"]

_LOGGER = logging.getLogger(__name__)


def announce_compiling(package: str, what: str, seconds: int) -> None:
    """Log once that functions of a package are compiled; what is found on disk is not.

    Parameters
    ----------
    package
        Prefix of the modules' names.
    what
        Their name for a reader.
    seconds
        That it takes, roughly.
    """
    from numba.core import event

    class Announcer(event.Listener):
        """Listens to numba's compiler."""

        said = False

        def on_start(self, compilation: Any) -> None:
            """Log the first compilation."""
            function = compilation.data["dispatcher"].py_func
            if not self.said and function.__module__.startswith(package):
                self.said = True
                _LOGGER.info("compiling %s: once, some %d s", what, seconds)

        def on_end(self, compilation: Any) -> None:
            """Say nothing."""

    event.register("numba:compile", Announcer())  # type: ignore[no-untyped-call]
