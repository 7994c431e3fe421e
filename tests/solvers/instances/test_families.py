"""The generated families: what they draw, and that they draw it again."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from solvers import AllocationProblem, ProblemError, check
from solvers.instances import FAMILIES, family_parameters, generate

# Of 20 groups with seed 7. All numbers in them are whole, so that a last bit of a logarithm that
# another processor rounds otherwise does not change them.
DIGESTS = {
    "classical": "e70b68f9e1051af0",
    "correlated": "09d0ecf1b756dfdc",
    "fleet": "bb6115b3fc215183",
    "lumpy": "de5650c06ad17f2d",
    "many-rows": "33dd9ddf508e1b48",
    "two-resource": "50509a3106ede37e",
}
SIZES = {  # columns, rows
    "classical": (200, 10),
    "correlated": (200, 10),
    "fleet": (260, 10),
    "lumpy": (260, 10),
    "many-rows": (260, 200),
    "two-resource": (260, 11),
}


def digest(problem: AllocationProblem) -> str:
    """Hash of all numbers."""
    usage = problem.usage
    content = hashlib.sha256()
    for array in (problem.cost, problem.capacity, problem.group, usage.indptr, usage.rows):
        content.update(array.astype("<f8").tobytes())
    content.update(usage.values.astype("<f8").tobytes())
    return content.hexdigest()[:16]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_draws_what_it_always_drew(family: str) -> None:
    """Results measured on an instance stay comparable: its numbers never change."""
    problem = generate(family, 20, seed=7)
    assert digest(problem) == DIGESTS[family]
    assert (problem.columns, problem.rows) == SIZES[family]
    assert problem.groups == 20


@pytest.mark.parametrize("family", FAMILIES)
def test_another_seed_draws_other_numbers(family: str) -> None:
    """Seeds count."""
    assert generate(family, 20, seed=1) != generate(family, 20, seed=2)


@pytest.mark.parametrize("family", ["fleet", "lumpy"])
@pytest.mark.parametrize(("groups", "seed"), [(1, 0), (50, 3), (400, 11)])
def test_fleets_are_those_of_the_reference_generator(
    shared_data: Path, family: str, groups: int, seed: int
) -> None:
    """Byte for byte what ../shared/tools/fleet_mmkp.py draws."""
    source = shared_data.parent / "tools" / "fleet_mmkp.py"
    if not source.exists():
        pytest.skip("the reference generator (../shared/tools) is not beside this checkout")
    spec = importlib.util.spec_from_file_location("fleet_mmkp", source)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    cost, usage, capacity, group = tool.generate(groups, family, seed)
    mine = generate(family, groups, seed=seed)
    theirs = AllocationProblem(cost, usage, capacity, group)
    assert mine.cost.tobytes() == np.asarray(cost, dtype=np.float64).tobytes()
    assert mine.usage.values.tobytes() == theirs.usage.values.tobytes()
    assert mine == theirs


@pytest.mark.parametrize("family", ["fleet", "lumpy", "many-rows", "two-resource"])
def test_a_fleet_can_always_leave_everyone_unserved(family: str) -> None:
    """The last column of each service uses nothing, and costs more than its cheapest option."""
    problem = generate(family, 30, seed=2)
    x = np.zeros((30, 13), dtype=np.int64)
    x[:, -1] = 1
    assert check(problem, x.ravel()).feasible
    cost = problem.cost.reshape(30, 13)
    assert (cost[:, -1] > cost[:, :-1].min(axis=1)).all()


@pytest.mark.parametrize("family", ["fleet", "lumpy", "many-rows", "two-resource"])
def test_the_cheapest_choices_of_a_fleet_do_not_fit(family: str) -> None:
    """Capacity is scarce: the choice is a choice."""
    problem = generate(family, 300, seed=2)
    x = np.zeros((300, 13), dtype=np.int64)
    x[np.arange(300), problem.cost.reshape(300, 13).argmin(axis=1)] = 1
    assert not check(problem, x.ravel()).feasible


def test_many_rows_uses_a_pool_and_its_zones_power() -> None:
    """Every option has two entries: zone and type, and that zone's power."""
    problem = generate("many-rows", 40, seed=5)
    usage = problem.usage.take(np.flatnonzero(np.diff(problem.usage.indptr)))
    assert (np.diff(usage.indptr) == 2).all()
    pool, power = usage.rows.reshape(-1, 2).T
    assert (pool < 180).all()
    assert (power - 180 == pool // 9).all()


def test_two_resource_options_take_a_type_and_some_storage() -> None:
    """One entry in the ten types; about half the options have one in the storage row too."""
    dense = generate("two-resource", 100, seed=5).usage.to_dense().reshape(11, 100, 13)
    options = dense[:, :, :-1]
    assert ((options[:10] > 0).sum(axis=0) == 1).all()
    assert 0.4 < (options[10] > 0).mean() < 0.6


def test_classical_capacities_are_five_per_group() -> None:
    """As in Khan's instances, or what the hidden selection uses."""
    problem = generate("classical", 200, seed=1, items=5, rows=3)
    assert problem.usage.shape == (3, 1000)
    assert (problem.capacity >= 1000).all()
    assert (problem.capacity < 1200).all()


def test_strong_correlation_keeps_consumption_near_profit() -> None:
    """Within 10 of the profit in every row; groups share their profits."""
    problem = generate("correlated", 12, seed=3, items=6, rows=4)
    profit = -problem.cost
    distance = np.abs(problem.usage.to_dense() - profit)
    assert 0 < distance.max() <= 10
    assert (profit.reshape(12, 6) == profit[:6]).all()


def test_weak_and_no_correlation_spread_further() -> None:
    """Within 100 of the profit; without correlation anywhere; independent groups differ."""
    weak = generate("correlated", 12, correlation="weak", classes="independent")
    none = generate("correlated", 12, correlation="none")
    apart = np.abs(weak.usage.to_dense() + weak.cost).max()
    assert 10 < apart <= 100
    assert np.abs(none.usage.to_dense() + none.cost).max() > 100
    assert len(np.unique(weak.cost)) > 10


@pytest.mark.parametrize(
    ("family", "arguments", "message"),
    [
        ("flete", {"groups": 3}, "unknown family 'flete'; did you mean 'fleet'"),
        ("fleet", {"groups": 0}, "fleet: groups = 0: a whole number >= 1"),
        ("fleet", {"groups": 3, "items": 4}, "has no parameter items; it has: seed$"),
        ("classical", {"groups": 3, "rows": 0}, "classical: rows = 0: a whole number >= 1"),
        ("classical", {"groups": 3, "seed": -1}, "seed = -1: 0 to 2147483647"),
        ("correlated", {"groups": 3, "correlation": "big"}, "'big': none or weak or strong"),
        ("correlated", {"groups": 3, "classes": "odd"}, "'odd': similar or independent"),
    ],
)
def test_wrong_arguments_are_refused(family: str, arguments: dict[str, int], message: str) -> None:
    """The message names the family, the parameter and what is wanted."""
    with pytest.raises(ProblemError, match=message):
        generate(family, **arguments)


def test_the_parameters_of_a_family_are_listed_with_defaults() -> None:
    """For those who write specs."""
    assert family_parameters("classical") == {"items": 10, "rows": 10}
    assert family_parameters("fleet") == {}
