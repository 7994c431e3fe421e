"""The public instances, where they are beside the checkout."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from solvers import solve
from solvers.instances import inst_text, instances, load_instance, parse_inst


@pytest.fixture
def mmkp(shared_data: Path) -> Path:
    """The folder of public instances."""
    folder = shared_data / "mmkp"
    if not folder.is_dir():
        pytest.skip("the public MMKP instances are not beside this checkout")
    return folder


def test_every_public_instance_has_the_listed_size(mmkp: Path) -> None:
    """Groups, items and rows of the 43 files equal the table that came with them."""
    with (mmkp / "reference_values.csv").open(newline="") as stream:
        listed = {row["instance"]: row for row in csv.DictReader(stream)}
    found = instances(str(mmkp / "*" / "I*"))
    assert len(found) == 43
    for instance in found:
        problem, row = load_instance(instance), listed[instance.name]
        assert (problem.groups, problem.columns, problem.rows) == (
            int(row["groups"]),
            int(row["items"]),
            int(row["dims"]),
        )
        assert parse_inst(inst_text(problem)) == problem


def test_the_small_optima_are_those_of_the_literature(mmkp: Path) -> None:
    """I01 and I02 are proven optimal at 173 and 364."""
    for name, profit in (("I01", 173.0), ("I02", 364.0)):
        (instance,) = instances(str(mmkp / "khan_I01-I13" / name))
        assert solve(load_instance(instance), "milp").primal_bound == -profit


def test_the_test_sets_hold_their_problems(mmkp: Path) -> None:
    """Ten problems of 30 groups and ten of 100, ten items and rows each, all whole numbers."""
    found = instances(str(mmkp / "hiremath_hill" / "*.gz"))
    sizes = [(p.groups, p.columns, p.rows) for p in map(load_instance, found[9:11])]
    assert len(found) == 20
    assert sizes == [(100, 1000, 10), (30, 300, 10)]
    assert (np.mod(load_instance(found[0]).usage.values, 1) == 0).all()
