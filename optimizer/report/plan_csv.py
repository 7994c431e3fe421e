"""A plan as a table for spreadsheets: one line per allocation, and per service without one."""

from __future__ import annotations

from collections.abc import Iterator

from optimizer.csv_text import csv_text
from optimizer.fleet.plan import FleetPlan

__all__ = ["plan_csv"]

_COLUMNS = (
    "service", "model", "service_class", "priority", "accelerator", "replicas", "cards",
    "max_batch", "share", "cost_per_hour", "arrival_rate_rps", "admitted_rate_rps", "utilization",
    "ttft_ms", "itl_ms", "e2e_ms", "margin", "replicas_of",
)  # fmt: skip


def plan_csv(plan: FleetPlan) -> str:
    """Return the table, with a header; empty cells are unknown figures or unserved services.

    Names that a spreadsheet would take for formulas have an apostrophe before them.
    """
    return csv_text((*_COLUMNS, "currency", "why_unserved"), _rows(plan))


def _rows(plan: FleetPlan) -> Iterator[list[object]]:
    for allocation in plan.allocations:
        values = [getattr(allocation, column) for column in _COLUMNS]
        yield [*values, plan.currency, ""]
    for service in plan.unserved:
        known = service.model_dump()
        values = [known.get(column) for column in _COLUMNS]
        yield [*values, plan.currency, service.explanation]
