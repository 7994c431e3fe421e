"""Rows of results by hand."""

from __future__ import annotations

from typing import Any

from optimizer.experiments import RunRow, RunStatus


def row(
    instance: str,
    solver: str,
    value: float | None = 100.0,
    *,
    seed: int = 0,
    family: str = "family",
    cpu_s: float | None = 1.0,
    termination: str | None = "optimal",
    status: RunStatus = RunStatus.ANSWERED,
    maximise: bool = False,
    **others: Any,
) -> RunRow:
    """A run that proved its value in a second, but for what is given."""
    return RunRow(
        instance=instance,
        family=family,
        source=f"{instance}.txt",
        fingerprint=f"digest of {instance}",
        maximise=maximise,
        solver=solver,
        seed=seed,
        status=status,
        value=value,
        termination=termination,
        cpu_s=cpu_s,
        **others,
    )
