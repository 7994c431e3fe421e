"""The split part of a problem: loads divided over whole numbers of units of several columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.array_input import SHOWN, read_only_vector, refuse_faults, report_bad

__all__ = ["RATE_TOLERANCE", "Split", "no_split"]

# A column carries its load when that is at most its units * (1 + RATE_TOLERANCE), and an item is
# served when its rates sum to its demand within as much: what floating-point programmes resolve,
# and far below what any rate is known to.
RATE_TOLERANCE = 1e-7

_TYPES: dict[str, type] = {
    "groups": np.bool_,
    "lower": np.int64,
    "upper": np.float64,
    "spares": np.int64,
    "demand": np.float64,
    "owner": np.int64,
    "unserved_cost": np.float64,
    "edge_item": np.int64,
    "edge_column": np.int64,
    "edge_rate": np.float64,
    "most_different": np.int64,
    "lower_total": np.int64,
    "upper_total": np.float64,
    "elsewhere": np.bool_,
}


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Split:
    """Groups that split their load over several of their columns.

    A column k of such a group is taken x_k times, lower_k <= x_k <= upper_k, at its cost and usage
    each time. Items i with a demand d_i are served by rates y_e >= 0 along edges e = (i, k), and
    one unit of k carries at most the rate R_e when it serves nothing else:

        sum of y_e over the edges of i, plus unserved_i        = d_i      for every item i
        sum of y_e / R_e over the edges of k                  <= max(x_k - spares_k, 0)

    What a column cannot serve has no edge. The cost of a solution is `cost @ x` plus
    `unserved_cost @ unserved`. Where a splitting group has a column that means unserved
    (`AllocationProblem.unserved`), taking it drops the group whole: its items then demand nothing
    and `lower_total` does not hold, at that column's cost alone. A column `elsewhere` does the same
    without meaning unserved: another group carries the load, such as a pool of several services,
    which `Links` has to see to. At most one such column of a group is taken, once.

    Parameters
    ----------
    groups
        (G,), true for the groups that split.
    demand
        (items,), >= 0, finite.
    owner
        (items,), the group each item is a part of, such as one length bucket of a service.
        With priorities, a group counts for its weight times the unserved share of its demand.
    edge_item, edge_column, edge_rate
        (edges,): item, column of a splitting group, and the rate R > 0 of one unit. Each pair once.
        An item may be served by columns of other groups than its owner.
    lower, upper
        (n,), least and most units, 0 and unlimited (`inf`) by default. Not looked at where a
        group chooses.
    spares
        (n,), units that carry nothing, 0 by default: the load must fit on the others.
    unserved_cost
        (items,), >= 0, per unit of rate that is left unserved; `inf`, the default: all of the
        demand must be served.
    most_different
        (G,), most columns of the group with x_k > 0, >= 1; by default there is no such limit. Not
        looked at where a group chooses.
    lower_total, upper_total
        (G,), least and most units of all the group's columns together, 0 and unlimited by
        default. Not looked at where a group chooses.
    elsewhere
        (n,), which columns drop their group without leaving it unserved; none by default. Not
        looked at where a group chooses.

    Raises
    ------
    ProblemError
        Listing every fault of the arrays.

    Notes
    -----
    Arrays are copied and read-only. Checks that need the rest of the problem are made by
    `AllocationProblem`.
    """

    groups: NDArray[np.bool_]
    demand: NDArray[np.float64]
    owner: NDArray[np.int64]
    edge_item: NDArray[np.int64]
    edge_column: NDArray[np.int64]
    edge_rate: NDArray[np.float64]
    lower: NDArray[np.int64] | None
    upper: NDArray[np.float64] | None
    spares: NDArray[np.int64] | None
    unserved_cost: NDArray[np.float64] | None
    most_different: NDArray[np.int64] | None
    lower_total: NDArray[np.int64] | None
    upper_total: NDArray[np.float64] | None
    elsewhere: NDArray[np.bool_] | None

    def __init__(
        self,
        groups: ArrayLike,
        *,
        demand: ArrayLike,
        owner: ArrayLike,
        edge_item: ArrayLike,
        edge_column: ArrayLike,
        edge_rate: ArrayLike,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        spares: ArrayLike | None = None,
        unserved_cost: ArrayLike | None = None,
        most_different: ArrayLike | None = None,
        lower_total: ArrayLike | None = None,
        upper_total: ArrayLike | None = None,
        elsewhere: ArrayLike | None = None,
    ) -> None:
        given = {
            "groups": groups,
            "demand": demand,
            "owner": owner,
            "edge_item": edge_item,
            "edge_column": edge_column,
            "edge_rate": edge_rate,
            "lower": lower,
            "upper": upper,
            "spares": spares,
            "unserved_cost": unserved_cost,
            "most_different": most_different,
            "lower_total": lower_total,
            "upper_total": upper_total,
            "elsewhere": elsewhere,
        }
        faults: list[str] = []
        values = {
            name: read_only_vector(f"split.{name}", given[name], dtype, faults)
            for name, dtype in _TYPES.items()
        }
        for name in ("groups", "demand", "owner", "edge_item", "edge_column", "edge_rate"):
            if given[name] is None:
                faults.append(f"split.{name}: is missing")
        if not faults:
            _check_values(values, faults)
        refuse_faults("a split part", faults)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.demand)

    @property
    def edges(self) -> int:
        """Number of edges."""
        return len(self.edge_rate)

    def arrays(self) -> Iterator[tuple[str, NDArray[Any] | None]]:
        """Yield each array with its name; None for those that were left to their default."""
        for entry in fields(self):
            yield entry.name, getattr(self, entry.name)

    def drops(
        self, group: NDArray[np.int64], unserved: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        """Return (n,), which columns drop a group that splits."""
        dropping = np.zeros(len(group), dtype=np.bool_)
        for flagged in (unserved, self.elsewhere):
            if flagged is not None:
                dropping |= flagged
        return dropping & self.groups[group]

    def faults(
        self,
        cost: NDArray[np.float64],
        group: NDArray[np.int64],
        unserved: NDArray[np.bool_] | None,
    ) -> list[str]:
        """Return what contradicts the rest of the problem, whose arrays are sound."""
        n, groups = len(cost), int(group.max()) + 1 if len(group) else 0
        found: list[str] = []
        sizes = {"groups": groups, "most_different": groups, "lower_total": groups,
                 "upper_total": groups, "lower": n, "upper": n, "spares": n,
                 "elsewhere": n}  # fmt: skip
        for name, size in sizes.items():
            array = getattr(self, name)
            if array is not None and len(array) != size:
                found.append(f"split.{name}: {len(array)} entries, {size} are wanted")
        if found:
            return found
        report_bad(found, "split.owner", self.owner >= groups, self.owner,
                   f"must be a group below {groups}")  # fmt: skip
        column = self.edge_column
        report_bad(found, "split.edge_column", column >= n, column, f"must be below {n}")
        if found:
            return found
        splits = self.groups[group]
        report_bad(found, "split.owner", ~self.groups[self.owner], self.owner,
                   "must be a group that splits")  # fmt: skip
        report_bad(found, "split.edge_column", ~splits[column], column,
                   "must be a column of a group that splits")  # fmt: skip
        if unserved is not None:
            report_bad(found, "split.edge_column", unserved[column], column,
                       "must not be a column that means unserved")  # fmt: skip
            splits &= ~unserved
        if self.elsewhere is not None:
            report_bad(found, "split.edge_column", self.elsewhere[column], column,
                       "must not be a column that drops its group")  # fmt: skip
            splits &= ~self.elsewhere
        unlimited = np.ones(n, dtype=bool) if self.upper is None else np.isinf(self.upper)
        report_bad(found, "cost", splits & unlimited & (cost < 0), cost,
                   "must be >= 0 where split.upper sets no limit")  # fmt: skip
        return found

    def __eq__(self, other: object) -> bool:
        """Equal when every array is equal."""
        if not isinstance(other, Split):
            return NotImplemented
        return all(
            (mine is None and theirs is None)
            or (mine is not None and theirs is not None and np.array_equal(mine, theirs))
            for (_, mine), (_, theirs) in zip(self.arrays(), other.arrays(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """One line: sizes."""
        return (
            f"Split({int(self.groups.sum())} of {len(self.groups)} groups, {self.items} items, "
            f"{self.edges} edges)"
        )


def no_split(groups: int) -> Split:
    """Return the split part of a problem whose groups all choose."""
    none: list[float] = []
    return Split(
        np.zeros(groups, dtype=np.bool_), demand=none, owner=none, edge_item=none,
        edge_column=none, edge_rate=none,
    )  # fmt: skip


def _check_values(values: dict[str, NDArray[Any] | None], faults: list[str]) -> None:
    sizes = {
        "owner": ("demand", values["demand"]),
        "unserved_cost": ("demand", values["demand"]),
        "edge_item": ("edge_rate", values["edge_rate"]),
        "edge_column": ("edge_rate", values["edge_rate"]),
    }
    for name, (like, other) in sizes.items():
        array = values[name]
        if array is not None and other is not None and len(array) != len(other):
            faults.append(f"split.{name}: {len(array)} entries, but {like} has {len(other)}")
    for name in ("demand", "edge_rate"):
        array = values[name]
        if array is not None:
            positive = array > 0 if name == "edge_rate" else array >= 0
            wanted = "must be finite and " + ("> 0" if name == "edge_rate" else ">= 0")
            report_bad(faults, f"split.{name}", ~(np.isfinite(array) & positive), array, wanted)
    for name, least in (("owner", 0), ("edge_item", 0), ("edge_column", 0), ("lower", 0),
                        ("spares", 0), ("most_different", 1), ("unserved_cost", 0),
                        ("lower_total", 0)):  # fmt: skip
        array = values[name]
        if array is not None:
            report_bad(faults, f"split.{name}", ~(array >= least), array, f"must be >= {least}")
    if not faults:
        _check_pairs(values, faults)


def _check_pairs(values: dict[str, NDArray[Any] | None], faults: list[str]) -> None:
    demand, item, column = values["demand"], values["edge_item"], values["edge_column"]
    assert demand is not None
    assert item is not None
    assert column is not None
    report_bad(faults, "split.edge_item", item >= len(demand), item,
               f"must be below {len(demand)}")  # fmt: skip
    pairs, counts = np.unique(np.stack([item, column]), axis=1, return_counts=True)
    twice = pairs[:, counts > 1].T.tolist()
    if twice:
        shown = ", ".join(f"({i}, {k})" for i, k in twice[:SHOWN])
        faults.append(f"split: item and column of an edge given twice: {shown}")
    for least, most in (("lower", "upper"), ("lower_total", "upper_total")):
        _check_range(least, values[least], most, values[most], faults)


def _check_range(
    least: str,
    lower: NDArray[Any] | None,
    most: str,
    upper: NDArray[Any] | None,
    faults: list[str],
) -> None:
    if upper is None:
        return
    whole = np.isinf(upper) | (upper == np.floor(upper))
    report_bad(faults, f"split.{most}", ~(whole & (upper >= 0)), upper,
               "must be a whole number >= 0, or inf: unlimited")  # fmt: skip
    if lower is not None and len(lower) == len(upper):
        report_bad(faults, f"split.{most}", upper < lower, upper, f"must be at least split.{least}")
