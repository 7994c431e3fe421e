"""The linked part of the array problem, by name: what counts alone or rates tie together."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.columns import Columns
from optimizer.spec.objective import ObjectiveWeightsSpec, StageMeasure
from solvers import Links, SparseColumns

__all__ = ["Bought", "Linked"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Entries:
    """Coefficients other than 0 of one row, with their places."""

    places: IntArray
    values: FloatArray

    @classmethod
    def of(cls, row: FloatArray) -> _Entries:
        places = np.flatnonzero(row)
        return cls(places, row[places])

    def scaled(self, by: FloatArray) -> _Entries:
        return _Entries(self.places, self.values * by[self.places])


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """lower <= of_x @ x + of_z @ z + of_rates @ y <= upper.

    Rates stand for themselves, against what x carries, or for the load that they are of a column.
    """

    lower: float
    upper: float
    of_x: _Entries
    of_z: dict[int, float]
    of_rates: _Entries | None
    by_load: bool = False


@dataclass(frozen=True, slots=True)
class Bought:
    """Columns that count the instances bought of an accelerator for services that are alike.

    Parameters
    ----------
    accelerator
        Its name.
    owners
        The services, by index.
    columns
        By tier, as the accelerator lists them: the number of the further column.
    """

    accelerator: str
    owners: tuple[int, ...]
    columns: Mapping[str, int]


@dataclass
class Linked:
    """Rows of any sign over the columns of the problem and further columns, as they are added.

    Parameters
    ----------
    columns
        Columns of the array problem.
    edges
        Edges of its split part.
    names, row_names
        Of the further columns and of the rows.
    by_load
        (n,), columns whose power and carbon are in rows of their loads; None: none.
    worth
        (n,), how many times the replicas that a column needs may be worth having; None: once.
    """

    columns: Columns
    edges: int
    names: list[str] = field(default_factory=list)
    row_names: list[str] = field(default_factory=list)
    money: list[float] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    power: list[float] = field(default_factory=list)
    carbon: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    uses: list[Mapping[str, float]] = field(default_factory=list)
    rows: list[_Row] = field(default_factory=list)
    purchases: list[Bought] = field(default_factory=list)
    by_load: NDArray[np.bool_] | None = None
    worth: FloatArray | None = None

    def own_copy(self) -> Linked:
        """Return the same, to which may be added without changing this one."""
        own = copy(self)
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, list):
                setattr(own, entry.name, list(value))
        return own

    def add_column(
        self,
        name: str,
        *,
        money: float = 0.0,
        change: float = 0.0,
        power: float = 0.0,
        carbon: float = 0.0,
        whole: bool = True,
        upper: float = np.inf,
        uses: Mapping[str, float] | None = None,
    ) -> int:
        """Add a column of at least 0 and return its number.

        Parameters
        ----------
        money, change
            What one of it costs per hour: as a price, or as one-off money spread over a horizon.
        power, carbon
            What one of it counts for where power [kW] or carbon [kg CO2e/h] is minimised.
        whole
            Whether it is a whole number.
        upper
            At most so many.
        uses
            What one of it uses, by the name of the resource's row.
        """
        self.names.append(name)
        self.money.append(money)
        self.change.append(change)
        self.power.append(power)
        self.carbon.append(carbon)
        self.whole.append(whole)
        self.upper.append(upper)
        self.uses.append(uses or {})
        return len(self.names) - 1

    def add_row(
        self,
        name: str,
        of_x: FloatArray,
        of_z: dict[int, float] | None = None,
        *,
        of_rates: FloatArray | None = None,
        by_load: bool = False,
        lower: float = -np.inf,
        upper: float = np.inf,
    ) -> None:
        """Add a row: coefficients of the columns, of further ones by number, and of the rates.

        `by_load` says that rates stand for loads: what a column carries is in their coefficients.
        """
        self.row_names.append(name)
        rates = None if of_rates is None else _Entries.of(of_rates)
        self.rows.append(_Row(lower, upper, _Entries.of(of_x), of_z or {}, rates, by_load))

    def with_row(
        self, name: str, of_x: FloatArray, of_z: dict[int, float], *, upper: float
    ) -> Linked:
        """Return the same with one row more."""
        row = _Row(-np.inf, upper, _Entries.of(of_x), of_z, None)
        return replace(self, row_names=[*self.row_names, name], rows=[*self.rows, row])

    def with_lower_rates(self, scale: FloatArray, edge_column: IntArray) -> Linked:
        """Return the same where a replica carries less.

        Parameters
        ----------
        scale
            (n,), by what the rates on each column are multiplied.
        edge_column
            (edges,), the column of each edge.
        """
        rows = []
        for row in self.rows:
            if row.of_rates is None:
                rows.append(row)
            elif row.by_load:
                heavier = row.of_rates.scaled(1.0 / scale[edge_column])
                rows.append(replace(row, of_rates=heavier))
            else:
                rows.append(replace(row, of_x=row.of_x.scaled(scale)))
        return replace(self, rows=rows)

    def uses_of(self, row: str) -> dict[int, float]:
        """Return what each further column uses of a resource's row, where it does."""
        return {z: use[row] for z, use in enumerate(self.uses) if row in use}

    def costs(self, measure: StageMeasure | None) -> FloatArray:
        """Return (k,), what a measure counts for each further column."""
        money, change = np.array(self.money), np.array(self.change)
        match measure:
            case StageMeasure.TRANSITION:
                return change
            case StageMeasure.POWER:
                return np.array(self.power)
            case StageMeasure.CARBON:
                return np.array(self.carbon)
            case StageMeasure.WEIGHTED:
                weights = self.columns.table.spec.optimizer.weights or ObjectiveWeightsSpec()
                total: FloatArray = weights.cost * (money + change)
                return (
                    total
                    + weights.power * np.array(self.power)
                    + weights.carbon * np.array(self.carbon)
                )
            case _:
                both: FloatArray = money + change
                return both

    def links(self, measure: StageMeasure | None) -> Links | None:
        """Return the linked part of the array problem; None without a row."""
        if not self.rows:
            return None
        rates = [row.of_rates for row in self.rows]
        nothing = _Entries.of(np.zeros(0))
        of_z = [
            _Entries(np.array(list(row.of_z), dtype=np.int64), np.array(list(row.of_z.values())))
            for row in self.rows
        ]
        return Links(
            [row.lower for row in self.rows],
            [row.upper for row in self.rows],
            _stacked([row.of_x for row in self.rows], len(self.columns.candidate)),
            _stacked(of_z, len(self.names)),
            of_rates=None
            if all(entries is None for entries in rates)
            else _stacked([nothing if r is None else r for r in rates], self.edges),
            cost=self.costs(measure),
            upper=self.upper,
            integer=np.array(self.whole, dtype=np.bool_),
        )


def _stacked(rows: list[_Entries], columns: int) -> SparseColumns:
    return SparseColumns.from_triplets(
        (len(rows), columns),
        rows=np.repeat(np.arange(len(rows)), [len(row.places) for row in rows]),
        columns=np.concatenate([row.places for row in rows]),
        values=np.concatenate([row.values for row in rows]),
    )
