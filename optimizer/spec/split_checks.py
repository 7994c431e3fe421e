"""Contradictions in what a fleet says of splitting services and of their length buckets."""

from __future__ import annotations

import math
from collections.abc import Iterator

from optimizer.spec.finding import Finding
from optimizer.spec.objective import Objective
from optimizer.spec.options import AllocationMode
from optimizer.spec.parts import Part

__all__ = ["check_buckets", "check_split_objective", "check_survival"]

# Shares of a histogram are given in so many digits.
_SHARES_SUM_TO_ONE = 1e-6


def check_split_objective(fleet: Part) -> Iterator[Finding]:
    """Find an objective that knows one accelerator per service beside services that split."""
    options = fleet.part("optimizer")
    modes = [service.text("allocation") for service in fleet.entries("services")]
    general = options.text("allocation") or AllocationMode.CHOOSE
    splits = any((mode or general) == AllocationMode.SPLIT for mode in modes)
    if splits and options.text("objective") == Objective.INFERNO_VALUE:
        yield options.find(
            "objective",
            "weighs moving a service from one accelerator to another, and services that split "
            "have several",
            "with allocation: split, set objective: cost",
        )
    for service in fleet.entries("services"):
        if options.text("objective") == Objective.INFERNO_VALUE and (
            len(list(service.entries("current"))) > 1
        ):
            yield Finding(
                (*service.path, "current"),
                "has several allocations, and the objective inferno-value knows one per service",
                hint="set objective: cost, with prices in optimizer.transition",
            )


def check_survival(fleet: Part) -> Iterator[Finding]:
    """Find services that must survive what one accelerator, or nobody's place, cannot."""
    general = fleet.part("optimizer").text("allocation") or AllocationMode.CHOOSE
    for service in fleet.entries("services"):
        domain = service.text("survive")
        if domain is None:
            continue
        if (service.text("allocation") or general) != AllocationMode.SPLIT:
            yield service.find(
                "survive",
                "needs replicas in several places, and the service is served by one accelerator",
                "set allocation: split",
            )
        shares = _table(service.part("length_buckets").part("shares").value) or []
        if sum(bool(share) for row in shares for share in row) > 1:
            yield service.find(
                "survive",
                "is not known for services in several length buckets",
                "describe it by load.input_tokens and load.output_tokens, or give spares",
            )
        for accelerator in fleet.entries("accelerators"):
            if domain in ("zone", "region", "pool") and not accelerator.has(domain):
                yield Finding(
                    (*accelerator.path, domain),
                    f"is missing: a service must survive the loss of any {domain}",
                    hint=f"name the {domain} that it stands in",
                )


def check_buckets(service: Part) -> Iterator[Finding]:
    """Find histograms whose parts do not fit together."""
    buckets = service.part("length_buckets")
    shares = _table(buckets.part("shares").value)
    if shares is None:
        return
    rows, columns = len(shares), len(shares[0]) if shares else 0
    if not rows or not columns or any(len(row) != columns for row in shares):
        yield Finding(
            buckets.part("shares").path, "must be rows of equal length, at least one share each"
        )
        return
    total = math.fsum(value for row in shares for value in row if value is not None)
    if abs(total - 1.0) > _SHARES_SUM_TO_ONE:
        yield Finding(
            buckets.part("shares").path,
            f"must sum to 1, not {total:.9g}",
            hint="put the rate of all requests into load.arrival_rate_rps",
        )
    for key, size in (("input_tokens", rows), ("output_tokens", columns)):
        lengths = buckets.part(key).value
        if isinstance(lengths, list | tuple) and len(lengths) != size:
            yield Finding(buckets.part(key).path, f"has {len(lengths)} lengths, {size} are wanted")
        if not buckets.has(key) and not buckets.has("measured"):
            yield Finding(
                buckets.part(key).path,
                "is missing",
                hint="the queue model needs the lengths, unless rates are measured",
            )
    for measured in buckets.entries("measured"):
        rates = _table(measured.part("rates_rps").value)
        if rates is not None and [len(row) for row in rates] != [columns] * rows:
            yield Finding(
                measured.part("rates_rps").path,
                f"must have {rows} rows of {columns} rates, as shares has",
            )


def _table(value: object) -> list[list[float | None]] | None:
    """Return rows of numbers and nulls; None for anything else."""
    if not isinstance(value, list | tuple):
        return None
    rows: list[list[float | None]] = []
    for row in value:
        if not isinstance(row, list | tuple):
            return None
        if not all(v is None or (isinstance(v, int | float) and v == v) for v in row):
            return None
        rows.append([None if v is None else float(v) for v in row])
    return rows
