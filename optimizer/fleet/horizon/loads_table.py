"""Forecast loads as a table: a line per period, a column per service."""

from __future__ import annotations

import csv
import io
import math

from optimizer.errors import Fault, SpecError
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.horizon import HorizonSpec, PeriodSpec
from optimizer.spec.source_text import SourceText
from optimizer.spec.wording import suggestion

__all__ = ["with_loads_table"]

_PERIOD = "period"


def with_loads_table(spec: FleetSpec, table: SourceText) -> FleetSpec:
    """Return the fleet with the periods of a CSV table.

    Parameters
    ----------
    spec
        A fleet; what its horizon says of costs and delays stays.
    table
        First line: `period` and names of services; then a line per period, its name and arrival
        rates [requests/s]. Services without a column keep their rate.

    Raises
    ------
    SpecError
        Naming each line and column that is wrong.
    """
    lines = [line for line in csv.reader(io.StringIO(table.text)) if any(map(str.strip, line))]
    faults: list[Fault] = []

    def fault(message: str, line: int, hint: str = "") -> None:
        faults.append(Fault(message=message, hint=hint, source=table.name, line=line))

    header = [name.strip() for name in lines[0]] if lines else []
    if not header or header[0] != _PERIOD:
        fault("must begin with a line of column names, `period` first", 1,
              "as in: period,chat,search")  # fmt: skip
        raise SpecError(faults)
    known = [service.name for service in spec.services]
    for name in header[1:]:
        if name not in known:
            fault(f"column {name!r}: the fleet has no such service", 1, suggestion(name, known))
        elif header.count(name) > 1:
            fault(f"column {name!r} stands there twice", 1)
    if len(lines) == 1:
        fault("has no periods", 1, "give a line per period: its name, then its rates")
    names: set[str] = set()
    periods = []
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            fault(f"has {len(line)} columns, {len(header)} are wanted", number)
            continue
        label = line[0].strip() or f"{number - 2}"
        if label in names:
            fault(f"another period is named {label!r}", number)
        names.add(label)
        rates = {}
        for name, text in zip(header[1:], line[1:], strict=True):
            rate = _rate(text)
            if rate is None:
                fault(f"{name} = {text.strip()!r}: must be a rate of at least 0", number)
            else:
                rates[name] = rate
        if not faults:
            periods.append(PeriodSpec(name=label, rates_rps=rates))
    if faults:
        raise SpecError(faults)
    horizon = spec.horizon or HorizonSpec()
    changed = horizon.model_copy(update={"periods": tuple(periods)})
    return spec.model_copy(update={"horizon": changed})


def _rate(text: str) -> float | None:
    try:
        rate = float(text)
    except ValueError:
        return None
    return rate if math.isfinite(rate) and 0 <= rate <= 1e15 else None
