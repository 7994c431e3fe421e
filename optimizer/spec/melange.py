"""Importing the inputs of Mélange (tyler-griggs/melange-release): one service in length buckets.

Its document: `gpu_info` with the price and a matrix `tputs` of each accelerator, requests per
second of each (prompt length, output length) bucket; `workload_distribution`, the share of each
bucket; `total_request_rate`; `slice_factor`, into how many parts its own solver cuts a bucket.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import IO, Any

from pydantic import ValidationError

from optimizer.errors import Fault, SpecError
from optimizer.spec.document import Document, parse
from optimizer.spec.explanation import explain
from optimizer.spec.finding import Finding, Path
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.references import cross_check
from optimizer.spec.source_text import read_text
from optimizer.spec.wording import kind_of

__all__ = ["load_melange", "looks_like_melange"]

_KEYS = ("gpu_info", "workload_distribution")
_KNOWN = (*_KEYS, "total_request_rate", "slice_factor")
# Mélange divides by throughputs, so that its users write a small number for "cannot serve".
_CANNOT_SERVE = 1e-6
_NAME = "melange"


def looks_like_melange(data: object) -> bool:
    """Whether plain data are an input of Mélange."""
    return isinstance(data, Mapping) and all(key in data for key in _KEYS)


def load_melange(
    source: str | os.PathLike[str] | IO[str] | IO[bytes] | Document | Mapping[str, object],
) -> FleetSpec:
    """Import an input of Mélange: one service that splits, in length buckets, all of it served.

    Parameters
    ----------
    source
        The path of a file, `-` for the standard input, an open file, a parsed document, or plain
        data.

    Returns
    -------
    FleetSpec
        Throughputs of at most 1e-6 become "cannot serve"; `notes` say what was assumed and what
        was not carried over.

    Raises
    ------
    SpecError
        With every fault found, at its place in the document.
    """
    if isinstance(source, Mapping):
        document = Document(source, "<data>")
    else:
        document = source if isinstance(source, Document) else parse(read_text(source))
    return _Reader(document).fleet()


class _Reader:
    """Reads one document, collecting its faults."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Finding] = list(document.findings)

    def fleet(self) -> FleetSpec:
        """Make the fleet, or raise every fault."""
        data = self.document.data
        if not looks_like_melange(data):
            self._fail((), f"is {kind_of(data)}: must be an object with {', '.join(_KNOWN)}")
        assert isinstance(data, Mapping)
        shares = self._matrix(("workload_distribution",), data["workload_distribution"])
        rate = self._number(("total_request_rate",), data.get("total_request_rate"))
        gpus = data["gpu_info"]
        if not isinstance(gpus, Mapping) or not gpus:
            self._fail(("gpu_info",), "must be an object with at least one accelerator")
        assert isinstance(gpus, Mapping)
        measured, accelerators = [], []
        for name, entry in gpus.items():
            path: Path = ("gpu_info", name)
            if not isinstance(entry, Mapping):
                self.findings.append(Finding(path, "must be an object with cost and tputs"))
                continue
            price = self._number((*path, "cost"), entry.get("cost"))
            table = self._matrix((*path, "tputs"), entry.get("tputs"))
            accelerators.append({"name": str(name), "cost_per_hour": price})
            rates = [[v if v > _CANNOT_SERVE else None for v in row] for row in table]
            measured.append({"accelerator": str(name), "rates_rps": rates})
            if [len(row) for row in table] != [len(row) for row in shares]:
                self.findings.append(
                    Finding((*path, "tputs"), "must have the shape of workload_distribution")
                )
        if self.findings:
            raise SpecError(self.document.faults(self.findings))
        return self._validated(accelerators, measured, shares, rate)

    def _validated(
        self,
        accelerators: list[dict[str, Any]],
        measured: list[dict[str, Any]],
        shares: list[list[float]],
        rate: float,
    ) -> FleetSpec:
        total = math.fsum(value for row in shares for value in row)
        if total <= 0:
            self._fail(("workload_distribution",), "must have a share above 0")
        load = {"arrival_rate_rps": rate * total, "input_tokens": 1.0, "output_tokens": 1.0}
        stem = FilePath(self.document.source).stem
        fleet = {
            "name": stem if not stem.startswith("<") and stem.isprintable() else _NAME,
            "accelerators": accelerators,
            "models": [{"name": _NAME}],
            "classes": [{"name": _NAME, "priority": 1}],
            "services": [
                {
                    "name": _NAME,
                    "model": _NAME,
                    "class": _NAME,
                    "load": load,
                    "replicas": {"min": 0},
                    "allocation": "split",
                    "length_buckets": {
                        "shares": [[value / total for value in row] for row in shares],
                        "measured": measured,
                    },
                }
            ],
            "optimizer": {"unserved": "forbidden"},
            "notes": self._notes(),
        }
        try:
            spec = FleetSpec.model_validate(fleet, by_alias=True, by_name=False)
        except ValidationError as error:
            faults = [Fault(f.message, hint=f.hint, source=self.document.source)
                      for f in explain(error)]  # fmt: skip
            raise SpecError(faults) from error
        found = list(cross_check(fleet))
        if found:
            raise SpecError(
                [Fault(f.message, hint=f.hint, source=self.document.source) for f in found]
            )
        return spec

    def _notes(self) -> tuple[str, ...]:
        data = self.document.data
        assert isinstance(data, Mapping)
        notes = [
            "Mélange does not say the lengths of its buckets: input_tokens and output_tokens of "
            "the load are 1 and stand for nothing",
            "Mélange's throughputs hold its own latency objective; none is predicted here",
        ]
        if "slice_factor" in data:
            notes.append("slice_factor: not carried over; load is divided freely")
        notes += [f"{key}: unknown, not carried over" for key in data if key not in _KNOWN]
        return tuple(notes)

    def _number(self, path: Path, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.findings.append(Finding(path, "must be a number >= 0", value))
            return 0.0
        if not (math.isfinite(value) and value >= 0):
            self.findings.append(Finding(path, "must be finite and >= 0", value))
            return 0.0
        return float(value)

    def _matrix(self, path: Path, value: object) -> list[list[float]]:
        if not isinstance(value, list | tuple) or not value:
            self.findings.append(Finding(path, "must be a list of rows of numbers"))
            return []
        rows = []
        for i, row in enumerate(value):
            if not isinstance(row, list | tuple):
                self.findings.append(Finding((*path, i), "must be a list of numbers", row))
                continue
            rows.append([self._number((*path, i, j), entry) for j, entry in enumerate(row)])
        return rows

    def _fail(self, path: Path, message: str) -> None:
        self.findings.append(Finding(path, message))
        raise SpecError(self.document.faults(self.findings))
