"""From a file or plain data to a valid SLO sheet, or to every fault at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO

from pydantic import ValidationError

from optimizer.errors import SpecError
from optimizer.spec.document import Document, parse
from optimizer.spec.explanation import explain
from optimizer.spec.finding import Finding
from optimizer.spec.parts import Part
from optimizer.spec.slo_sheet import ObjectiveMetric, SloSheetSpec
from optimizer.spec.source_text import read_text
from optimizer.spec.wording import show_path

__all__ = ["load_slo", "slo_from_data"]

_METRICS = {metric.value: metric for metric in ObjectiveMetric}


def load_slo(source: str | os.PathLike[str] | IO[str] | IO[bytes]) -> SloSheetSpec:
    """Load an SLO sheet from a YAML or JSON file, or from `-`, the standard input.

    Raises
    ------
    SpecError
        With every fault found, in document order.
    """
    text = read_text(source)
    return _from_document(
        parse(text, None, "must be an SLO sheet", "begin with the key objectives:")
    )


def slo_from_data(data: object, source: str = "<data>") -> SloSheetSpec:
    """Make an SLO sheet of plain data; see `load_slo`."""
    return _from_document(Document(data, source))


def _from_document(document: Document) -> SloSheetSpec:
    whole = Part((), document.data)
    found = [*document.findings]
    try:
        sheet = SloSheetSpec.model_validate(document.data, by_alias=True, by_name=False)
    except ValidationError as error:
        found += explain(error, root=SloSheetSpec)
        found += _contradictions(whole)
        raise SpecError(document.faults(found)) from error
    found += _contradictions(whole)
    if found:
        raise SpecError(document.faults(found))
    return sheet


def _contradictions(sheet: Part) -> Iterator[Finding]:
    first: dict[tuple[str | None, ...], Part] = {}
    for objective in sheet.entries("objectives"):
        metric = _METRICS.get(objective.text("metric") or "")
        if metric is None:
            continue
        yield from _thresholds(objective, metric)
        key = (metric.value, objective.text("statistic") or "mean", objective.text("class"))
        if key in first:
            where = show_path(first[key].path)
            message = f"another objective bounds the same: {where}"
            yield objective.find("metric", message, "keep one of them")
        first.setdefault(key, objective)


def _thresholds(objective: Part, metric: ObjectiveMetric) -> Iterator[Finding]:
    target, alert = objective.number("target"), objective.number("alert")
    for key, value in (("target", target), ("alert", alert)):
        if value is not None and metric.is_percent and value > 100:
            yield objective.find(key, "must be at most 100 (per cent)")
    if target is not None and alert is not None and alert != target:
        if metric.is_floor and alert > target:
            wanted = f"must be at most the target {target:g}, which is a least value"
            yield objective.find("alert", wanted, "swap the two?")
        elif not metric.is_floor and alert < target:
            wanted = f"must be at least the target {target:g}, which is a largest value"
            yield objective.find("alert", wanted, "swap the two?")
    if objective.has("statistic") and not metric.is_latency:
        yield objective.find("statistic", "is for latencies only", "remove it")
    if objective.has("output_tokens") and metric is not ObjectiveMetric.E2E_MS:
        yield objective.find("output_tokens", "is for e2e_ms only", "remove it")
