"""The array problem: choose one candidate per group within shared capacities, at least cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.array_input import SHOWN, read_matrix, read_only_vector, refuse_faults, report_bad
from solvers.chance import Chance
from solvers.links import Links
from solvers.sparse_columns import SparseColumns
from solvers.split import Split

__all__ = ["CAPACITY_TOLERANCE", "AllocationProblem"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# A row is kept when its usage is at most capacity * (1 + CAPACITY_TOLERANCE): decimal fractions
# such as 0.1 + 0.2 <= 0.3 hold in the caller's eyes and fail in the last bit of binary arithmetic.
CAPACITY_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False, repr=False, init=False)
class AllocationProblem:
    """Multiple-choice multidimensional knapsack problem (MMKP), minimised.

    Choose exactly one column of every group; the summed usage of each row must not exceed its
    capacity; the summed cost is minimised.

    Parameters
    ----------
    cost
        (n,), finite, any sign; minimised.
    usage
        (m, n), numpy array or any scipy sparse form, finite and >= 0.
    capacity
        (m,), >= 0; `inf` means unlimited.
    group
        (n,), group of each column, 0 <= group < G, in any order; every group has a column.
    priority
        (G,), optional: positive integers, 1 the most important. Makes the objective
        lexicographic: first the weight of unserved groups of priority 1, then of priority 2, ...,
        then the cost. Needs `unserved`.
    unserved
        (n,), optional: which columns mean "this group is not served".
    weight
        (G,), optional: what leaving a group unserved counts for in its priority's stage, > 0;
        1 by default, so that stages count groups.
    parts
        (n,), optional: number of equal parts each column is made of (replicas of one candidate),
        >= 1. Solvers with `Feature.PARTIAL` may be asked to take fewer of them.
    split
        Optional: groups whose load is divided over whole numbers of units of several of their
        columns, see `Split`; for them "exactly one column" does not hold.
    links
        Optional: signed rows, and further columns z with a cost, see `Links`.
    chance
        Optional: capacity rows whose usage is uncertain, see `Chance`.

    Raises
    ------
    ProblemError
        Listing every fault of the arrays.

    Notes
    -----
    Arrays are copied and read-only. With `split`, x holds counts: 0 or 1 in the groups that choose.
    `groups` is G = max(group) + 1.
    """

    cost: FloatArray
    usage: SparseColumns
    capacity: FloatArray
    group: IntArray
    priority: IntArray | None = field(default=None)
    unserved: BoolArray | None = field(default=None)
    weight: FloatArray | None = field(default=None)
    parts: IntArray | None = field(default=None)
    split: Split | None = field(default=None)
    links: Links | None = field(default=None)
    chance: Chance | None = field(default=None)

    def __init__(
        self,
        cost: ArrayLike,
        usage: object,
        capacity: ArrayLike,
        group: ArrayLike,
        *,
        priority: ArrayLike | None = None,
        unserved: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        parts: ArrayLike | None = None,
        split: Split | None = None,
        links: Links | None = None,
        chance: Chance | None = None,
    ) -> None:
        faults: list[str] = []
        values: dict[str, Any] = {
            "cost": read_only_vector("cost", cost, np.float64, faults),
            "usage": read_matrix("usage", usage, faults),
            "capacity": read_only_vector("capacity", capacity, np.float64, faults),
            "group": read_only_vector("group", group, np.int64, faults),
            "priority": read_only_vector("priority", priority, np.int64, faults),
            "unserved": read_only_vector("unserved", unserved, np.bool_, faults),
            "weight": read_only_vector("weight", weight, np.float64, faults),
            "parts": read_only_vector("parts", parts, np.int64, faults),
        }
        if not faults:
            _check_values(values, faults)
        if not faults and split is not None:
            faults += split.faults(values["cost"], values["group"], values["unserved"])
        if not faults and links is not None:
            faults += links.faults(len(values["cost"]), values["group"], split, values["unserved"])
        if not faults and chance is not None:
            counted = split is not None or links is not None
            faults += chance.faults(len(values["cost"]), len(values["capacity"]), counted=counted)
        refuse_faults("an allocation problem", faults)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "split", split)
        object.__setattr__(self, "links", links)
        object.__setattr__(self, "chance", chance)

    @property
    def columns(self) -> int:
        """Number of columns n."""
        return len(self.cost)

    @property
    def rows(self) -> int:
        """Number of capacity rows m."""
        return len(self.capacity)

    @cached_property
    def groups(self) -> int:
        """Number of groups G."""
        return int(self.group.max()) + 1 if self.columns else 0

    def __repr__(self) -> str:
        """One line: sizes and features."""
        extras = [
            name
            for name in ("priority", "unserved", "weight", "parts", "split", "links", "chance")
            if getattr(self, name) is not None
        ]
        tail = f", {'+'.join(extras)}" if extras else ""
        return (
            f"AllocationProblem({self.columns} columns, {self.groups} groups, "
            f"{self.rows} rows, {len(self.usage.values)} entries{tail})"
        )

    def __eq__(self, other: object) -> bool:
        """Equal when every array is equal."""
        if not isinstance(other, AllocationProblem):
            return NotImplemented
        return (
            self.usage.shape == other.usage.shape
            and self.split == other.split
            and self.links == other.links
            and self.chance == other.chance
            and all(
                _same(mine, theirs)
                for mine, theirs in zip(self._arrays(), other._arrays(), strict=True)
            )
        )

    __hash__ = None  # type: ignore[assignment]

    def _arrays(self) -> tuple[NDArray[Any] | None, ...]:
        matrix = self.usage
        return (
            self.cost,
            matrix.indptr,
            matrix.rows,
            matrix.values,
            self.capacity,
            self.group,
            self.priority,
            self.unserved,
            self.weight,
            self.parts,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the arrays alone."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the arrays."""
        for name, value in state.items():
            object.__setattr__(self, name, value)


def _same(mine: NDArray[Any] | None, theirs: NDArray[Any] | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return bool(np.array_equal(mine, theirs))


def _check_values(values: dict[str, Any], faults: list[str]) -> None:
    cost, usage, capacity, group = (values[k] for k in ("cost", "usage", "capacity", "group"))
    n, m = len(cost), len(capacity)
    if usage.shape != (m, n):
        faults.append(f"usage: shape {usage.shape}, but capacity and cost say ({m}, {n})")
    if len(group) != n:
        faults.append(f"group: {len(group)} entries for {n} columns")
    report_bad(faults, "cost", ~np.isfinite(cost), cost, "must be finite")
    report_bad(faults, "usage", ~(np.isfinite(usage.values) & (usage.values >= 0)), usage.values,
            "must be finite and >= 0")  # fmt: skip
    report_bad(faults, "capacity", ~(capacity >= 0), capacity, "must be >= 0 (inf: unlimited)")
    report_bad(faults, "group", group < 0, group, "must be >= 0")
    groups = int(group.max()) + 1 if len(group) else 0
    if groups > max(n, 1):
        faults.append(
            f"group: the largest is {groups - 1}, but {n} columns fill at most {n} groups"
        )
        return
    empty = np.setdiff1d(np.arange(groups), group)
    if empty.size:
        faults.append(f"group: no column belongs to group(s) {empty[:SHOWN].tolist()}")
    _check_options(values, n, groups, faults)


def _check_options(values: dict[str, Any], n: int, groups: int, faults: list[str]) -> None:
    sizes = {"priority": groups, "weight": groups, "unserved": n, "parts": n}
    for name, size in sizes.items():
        if values[name] is not None and len(values[name]) != size:
            faults.append(f"{name}: {len(values[name])} entries, {size} are wanted")
    if values["priority"] is not None:
        if values["unserved"] is None:
            faults.append("priority: needs `unserved`, which columns mean unserved")
        report_bad(faults, "priority", values["priority"] < 1, values["priority"], "must be >= 1")
    if values["weight"] is not None:
        bad = ~(np.isfinite(values["weight"]) & (values["weight"] > 0))
        report_bad(faults, "weight", bad, values["weight"], "must be finite and > 0")
    if values["parts"] is not None:
        report_bad(faults, "parts", values["parts"] < 1, values["parts"], "must be >= 1")
