"""Estimation sheets: capacity by hand and as predicted, with the arithmetic of every line."""

from __future__ import annotations

from optimizer.capacity.sheets.case import (
    REFERENCE_ACCELERATOR,
    REFERENCE_MODEL,
    SheetCase,
    reference_case,
)
from optimizer.capacity.sheets.cost import VOLUMES, Pricing, break_even_sheet, cost_sheet
from optimizer.capacity.sheets.kv_capacity import (
    CONTEXTS,
    PoolReading,
    concurrency_sheet,
    kv_sheet,
    pool_readings,
)
from optimizer.capacity.sheets.memory import memory_sheet
from optimizer.capacity.sheets.planning import PLANNED_LOADS, PlannedLoad, planning_sheet
from optimizer.capacity.sheets.roofline import BATCH_CONTEXT, BATCHES, batch_sheet, roofline_sheet
from optimizer.capacity.sheets.scaling import DEGREES, INSTANCES, scaling_sheet
from optimizer.capacity.sheets.sheet import Cell, Line, Section, Sheet, SheetTable

__all__ = [
    "BATCHES",
    "BATCH_CONTEXT",
    "CONTEXTS",
    "DEGREES",
    "INSTANCES",
    "PLANNED_LOADS",
    "REFERENCE_ACCELERATOR",
    "REFERENCE_MODEL",
    "VOLUMES",
    "Cell",
    "Line",
    "PlannedLoad",
    "PoolReading",
    "Pricing",
    "Section",
    "Sheet",
    "SheetCase",
    "SheetTable",
    "batch_sheet",
    "break_even_sheet",
    "concurrency_sheet",
    "cost_sheet",
    "kv_sheet",
    "memory_sheet",
    "planning_sheet",
    "pool_readings",
    "reference_case",
    "roofline_sheet",
    "scaling_sheet",
]
