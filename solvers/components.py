"""Components of a problem: groups that share no row, no item and no further column with others.

A zone whose services use nothing of other zones is one. Under strict priorities the best of the
whole is the best of each component, stage by stage; solved together, how many are left unserved
here or there is a choice that relaxations split into fractions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.links import Links
from solvers.problem import AllocationProblem, IntArray
from solvers.split import Split

__all__ = ["Component", "components"]

# Smaller components are solved together, and so are those beyond so many: a search takes a tenth of
# a second to begin.
_LEAST_GROUPS, _MOST_PARTS = 10, 50
# Which size each array of a split part has.
_BY_GROUP = ("groups", "most_different", "lower_total", "upper_total")
_BY_COLUMN = ("lower", "upper", "spares", "elsewhere")
_BY_ITEM = ("demand", "owner", "unserved_cost")
_BY_EDGE = ("edge_item", "edge_column", "edge_rate")


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """A problem of its own, and where its parts stand in the whole.

    Parameters
    ----------
    problem
        Of the component alone.
    columns, edges, z
        The whole problem's, in the component's order.
    """

    problem: AllocationProblem
    columns: IntArray
    edges: IntArray
    z: IntArray


def components(problem: AllocationProblem) -> list[Component]:
    """Take a problem apart, into one component, the whole, where everything hangs together."""
    label = _labels(problem)
    numbers, size = np.unique(label.groups, return_counts=True)
    large = numbers[size >= _LEAST_GROUPS]
    if len(large) > _MOST_PARTS:
        largest = np.argsort(-size, kind="stable")[: _MOST_PARTS - 1]
        large = np.sort(numbers[largest])
    small = len(large) < len(numbers)
    parts = len(large) + small
    if parts < 2:
        return [_whole(problem)]
    # Rows and further columns that hang on nothing go to the last.
    number = np.full(label.highest + 1, parts - 1)
    number[large] = np.arange(len(large))
    label = label.renumbered(number)
    return [_part(problem, label, mine) for mine in range(parts)]


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """The component of each group, row of usage, item, row of links, and further column."""

    groups: IntArray
    rows: IntArray
    items: IntArray
    link_rows: IntArray
    z: IntArray

    @property
    def highest(self) -> int:
        return max(int(array.max(initial=0)) for array in self._arrays())

    def renumbered(self, number: IntArray) -> _Labels:
        return _Labels(*(number[array] for array in self._arrays()))

    def _arrays(self) -> tuple[IntArray, ...]:
        return self.groups, self.rows, self.items, self.link_rows, self.z


def _labels(problem: AllocationProblem) -> _Labels:
    """Join what stands together: groups by rows, items and links."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    split, links, usage = problem.split, problem.links, problem.usage
    sizes = [problem.groups, problem.rows, 0 if split is None else split.items,
             0 if links is None else links.rows, 0 if links is None else links.columns]  # fmt: skip
    group_at, row_at, item_at, link_at, z_at, total = np.cumsum([0, *sizes]).tolist()
    limited = np.isfinite(problem.capacity)[usage.rows] & (usage.values > 0)
    pairs = [(row_at + usage.rows[limited], group_at + problem.group[usage.columns[limited]])]
    if split is not None:
        pairs.append((item_at + np.arange(split.items), group_at + split.owner))
        pairs.append((item_at + split.edge_item, group_at + problem.group[split.edge_column]))
    if links is not None:
        pairs.append((link_at + links.of_x.rows, group_at + problem.group[links.of_x.columns]))
        pairs.append((link_at + links.of_z.rows, z_at + links.of_z.columns))
        if links.of_rates is not None and split is not None:
            item = split.edge_item[links.of_rates.columns]
            pairs.append((link_at + links.of_rates.rows, item_at + item))
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(total, total))
    _, label = connected_components(graph, directed=False)
    return _Labels(*np.split(label.astype(np.int64), [row_at, item_at, link_at, z_at]))


def _whole(problem: AllocationProblem) -> Component:
    return Component(
        problem,
        np.arange(problem.columns),
        np.arange(0 if problem.split is None else problem.split.edges),
        np.arange(0 if problem.links is None else problem.links.columns),
    )


def _part(problem: AllocationProblem, label: _Labels, number: int) -> Component:
    groups = np.flatnonzero(label.groups == number)
    columns = np.flatnonzero(label.groups[problem.group] == number)
    rows = np.flatnonzero(label.rows == number)
    edges, z = np.zeros(0, dtype=np.int64), np.flatnonzero(label.z == number)
    split = links = None
    if problem.split is not None:
        items = np.flatnonzero(label.items == number)
        edges = np.flatnonzero(label.items[problem.split.edge_item] == number)
        split = _split_of(problem, groups, columns, items, edges)
    if problem.links is not None:
        links = _links_of(problem.links, np.flatnonzero(label.link_rows == number), columns,
                          z, None if split is None else edges)  # fmt: skip
    vectors: dict[str, Any] = {
        name: None if array is None else array[taken]
        for name, array, taken in (
            ("priority", problem.priority, groups), ("weight", problem.weight, groups),
            ("unserved", problem.unserved, columns), ("parts", problem.parts, columns),
        )
    }  # fmt: skip
    part = AllocationProblem(
        problem.cost[columns],
        problem.usage.take(columns).scaled_rows(rows, np.ones(len(rows))),
        problem.capacity[rows],
        _places(groups, problem.groups)[problem.group[columns]],
        split=split,
        links=links,
        **vectors,
    )
    return Component(part, columns, edges, z)


def _places(taken: IntArray, total: int) -> IntArray:
    """Return (total,), the place of each that is taken."""
    place = np.full(total, -1)
    place[taken] = np.arange(len(taken))
    return place


def _split_of(
    problem: AllocationProblem,
    groups: IntArray,
    columns: IntArray,
    items: IntArray,
    edges: IntArray,
) -> Split:
    split = problem.split
    assert split is not None
    taken = {**dict.fromkeys(_BY_GROUP, groups), **dict.fromkeys(_BY_COLUMN, columns),
             **dict.fromkeys(_BY_ITEM, items), **dict.fromkeys(_BY_EDGE, edges)}  # fmt: skip
    arrays: dict[str, Any] = {
        name: None if array is None else array[taken[name]] for name, array in split.arrays()
    }
    arrays["owner"] = _places(groups, problem.groups)[arrays["owner"]]
    arrays["edge_item"] = _places(items, split.items)[arrays["edge_item"]]
    arrays["edge_column"] = _places(columns, problem.columns)[arrays["edge_column"]]
    return Split(**arrays)


def _links_of(
    links: Links, rows: IntArray, columns: IntArray, z: IntArray, edges: IntArray | None
) -> Links:
    one = np.ones(len(rows))
    rates = links.of_rates
    return Links(
        links.row_lower[rows],
        links.row_upper[rows],
        links.of_x.take(columns).scaled_rows(rows, one),
        links.of_z.take(z).scaled_rows(rows, one),
        of_rates=None if rates is None or edges is None
        else rates.take(edges).scaled_rows(rows, one),
        **{name: getattr(links, name)[z] for name in ("cost", "lower", "upper", "integer")},
    )  # fmt: skip
