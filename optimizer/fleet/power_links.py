"""Rows and further columns by which power and carbon follow the load of services that split."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.columns import Columns
from optimizer.fleet.linked import Linked
from optimizer.fleet.load_power import LoadPower
from optimizer.fleet.objective import counted_kinds, minimised_kinds, of_both_pools
from optimizer.fleet.resources import KINDS, ResourceKind, ResourceRow
from solvers import Split

__all__ = ["PowerRows"]

FloatArray = NDArray[np.float64]


class PowerRows:
    """What limits and objectives of power are made of: replicas, loads, and choices of a line.

    Power of a column with one line is idle * n + slope * load. Of several lines of which the
    greatest holds a further column p is at least each. Where the lesser of two holds, there is a
    whole one d too:

        p >= line 1 - most d,    p >= line 2 - most (1 - d)

    Parameters
    ----------
    linked
        To which the further columns are added.
    split
        The split part.
    """

    def __init__(self, linked: Linked, split: Split) -> None:
        self._linked, self._split = linked, split
        self._columns: Columns = linked.columns
        self._power = LoadPower.of(self._columns)
        self._bent = {
            column: self._add_bent(column)
            for column, lines in self._power.lines.items()
            if len(lines.lines) > 1
        }

    @classmethod
    def of(cls, linked: Linked, split: Split | None) -> PowerRows | None:
        """Return them where a limit or the objective counts power, and services split."""
        counted = counted_kinds(linked.columns.table.spec)
        if split is None or "power_kw" not in counted:
            return None
        rows = cls(linked, split)
        return rows if rows._power.lines else None

    def add_terms(self, kind: ResourceKind) -> tuple[FloatArray, FloatArray, dict[int, float]]:
        """Return the coefficients of columns, rates and further columns of what a kind counts."""
        table = self._columns.table
        per_kw = kind.per_kw(table)
        usage = self._columns.spread(of_both_pools(table, kind.name))
        if per_kw is None:
            return usage, np.zeros(self._split.edges), {}
        return self._terms(self._of_columns(per_kw), usage)

    def add_limit(self, resource: ResourceRow, uses: dict[int, float]) -> bool:
        """Add the row of a resource that follows power; whether it is one."""
        table = self._columns.table
        per_kw = resource.requirement.kind.per_kw(table)
        if per_kw is None:
            return False
        mine = np.where(resource.requirement.scope.candidates(table), per_kw, 0.0)
        usage = self._columns.spread(resource.usage, resource.unserved)
        of_x, of_rates, of_z = self._terms(self._of_columns(mine), usage)
        self._linked.add_row(
            resource.name, of_x, {**uses, **of_z}, of_rates=of_rates, by_load=True,
            upper=resource.capacity,
        )  # fmt: skip
        return True

    def add_objective(self) -> None:
        """Add a column for the fleet's power, and one for its carbon, where they are minimised."""
        table = self._columns.table
        for name in sorted(minimised_kinds(table.spec)):
            per_kw = KINDS[name].per_kw(table)
            if per_kw is None:
                continue
            each = self._of_columns(per_kw)
            of_x, of_rates, of_z = self._terms(each, np.zeros(len(each)))
            drawn = self._linked.add_column(
                name,
                whole=False,
                power=1.0 if name == "power_kw" else 0.0,
                carbon=0.0 if name == "power_kw" else 1.0,
            )
            self._linked.add_row(
                f"{name} of services that split", of_x, {**of_z, drawn: -1.0},
                of_rates=of_rates, by_load=True, upper=0.0,
            )  # fmt: skip

    def worth(self) -> FloatArray:
        """Return (n,), how many times the replicas that a column needs may be worth having.

        Where power bends upwards, more replicas, each with less to do, draw less together.
        """
        times = np.ones(len(self._columns.candidate))
        for column, lines in self._power.lines.items():
            times[column] = 1.0 / lines.lightest
        return times

    def covered(self) -> NDArray[np.bool_]:
        """Return (n,), the columns whose power is counted here."""
        mine = np.zeros(len(self._columns.candidate), dtype=np.bool_)
        mine[list(self._power.lines)] = True
        return mine

    def _of_columns(self, of_candidates: FloatArray) -> FloatArray:
        """Return (n,), the figure of each column's candidate; 0 of unserved."""
        return np.append(of_candidates, 0.0)[self._columns.candidate]

    def _terms(
        self, per_kw: FloatArray, usage: FloatArray
    ) -> tuple[FloatArray, FloatArray, dict[int, float]]:
        """Return the coefficients of columns, rates and further columns of what counts by power."""
        split, of_x, of_z = self._split, usage.copy(), {}
        slope = np.zeros(len(of_x))
        for column, lines in self._power.lines.items():
            of_x[column] = 0.0
            if per_kw[column] == 0.0:
                continue
            if column in self._bent:
                of_z[self._bent[column]] = float(per_kw[column])
            else:
                (line,) = lines.lines
                of_x[column] = per_kw[column] * line.idle
                slope[column] = per_kw[column] * line.slope
        return of_x, slope[split.edge_column] / split.edge_rate, of_z

    def _add_bent(self, column: int) -> int:
        """Add the column of power under several lines; return its number."""
        table, split, linked = self._columns.table, self._split, self._linked
        row = int(self._columns.candidate[column])
        bound = self._power.lines[column]
        name = f"{table.spec.services[int(table.service[row])].name}: power of {column}"
        drawn = linked.add_column(name, whole=False)
        second = -1 if bound.greatest else linked.add_column(f"{name}, high load", upper=1.0)
        replica = np.zeros(len(self._columns.candidate))
        replica[column] = 1.0
        share = (split.edge_column == column) / split.edge_rate
        for place, line in enumerate(bound.lines):
            of_z, upper = {drawn: -1.0}, 0.0
            if not bound.greatest:
                most = (line.idle + line.slope) * float(max(table.replicas[row], 1))
                of_z[second] = -most if place == 0 else most
                upper = 0.0 if place == 0 else most
            linked.add_row(
                name,
                line.idle * replica,
                of_z,
                of_rates=line.slope * share,
                by_load=True,
                upper=upper,
            )
        return drawn
