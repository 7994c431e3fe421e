"""What the shell offers after an option whose values are names of plug-ins."""

from __future__ import annotations

__all__ = ["queue_model_names", "solver_names"]


def solver_names(incomplete: str) -> list[str]:
    """Name the registered solvers that begin so; loads none."""
    from solvers import names

    return [name for name in names() if name.startswith(incomplete)]


def queue_model_names(incomplete: str) -> list[str]:
    """Name the registered queue models that begin so; loads none."""
    from queue_models import names

    return [name for name in names() if name.startswith(incomplete)]
