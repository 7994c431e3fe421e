"""From specs to instances."""

from __future__ import annotations

from pathlib import Path

import pytest

from solvers import AllocationProblem, ProblemError
from solvers.instances import generate, instances, load_instance
from tests.solvers.instances.layouts import HIREMATH_HILL, INST, KHAN, by_hand


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of each layout."""
    (tmp_path / "INST02.txt").write_text(INST)
    (tmp_path / "INST01.txt").write_text(INST)
    (tmp_path / "I 1").write_text(KHAN)
    (tmp_path / "TestSet.2.txt").write_text(HIREMATH_HILL)
    return tmp_path


def test_a_path_is_one_instance(folder: Path) -> None:
    """Named after the file, tabulated with its folder."""
    (instance,) = instances(str(folder / "INST01.txt"))
    assert instance.name == "INST01"
    assert instance.family == folder.name
    assert instance.maximise
    assert load_instance(instance) == by_hand()


def test_a_glob_is_its_files_in_order(folder: Path) -> None:
    """Sorted by name; equal files have equal fingerprints."""
    first, second = instances(str(folder / "INST*"))
    assert (first.name, second.name) == ("INST01", "INST02")
    assert first.fingerprint == second.fingerprint


def test_names_are_safe_in_shells(folder: Path) -> None:
    """A blank in a file's name is none in the instance's."""
    (instance,) = instances(str(folder / "I 1"))
    assert instance.name == "I-1"
    assert load_instance(instance).groups == 2


def test_a_test_set_is_an_instance_per_problem(folder: Path) -> None:
    """Each resolves again by its own source, and is told apart by its fingerprint."""
    first, second = instances(str(folder / "TestSet.2.txt"))
    assert (first.name, second.name) == ("TestSet.2-01", "TestSet.2-02")
    assert first.family == second.family == "TestSet.2"
    assert first.fingerprint != second.fingerprint
    assert instances(second.source) == (second,)
    assert load_instance(second) == AllocationProblem([-7, -8], [[2, 2]], [4], [0, 1])


def test_a_generated_spec_is_an_instance_per_seed() -> None:
    """Ranges and lists of seeds, 0 where none is given."""
    specs = instances("fleet:12:seed=0-2,5")
    assert [instance.name for instance in specs] == [
        f"fleet-12-seed{seed}" for seed in (0, 1, 2, 5)
    ]
    assert {instance.family for instance in specs} == {"fleet-12"}
    assert load_instance(specs[3]) == generate("fleet", 12, seed=5)
    assert instances("fleet:12") == specs[:1]
    assert not specs[0].maximise


def test_parameters_are_part_of_name_source_and_fingerprint() -> None:
    """The same instance, however it is written, is the same; another one is not."""
    (written,) = instances("classical:5:seed=1:items=4:rows=3")
    assert written.name == "classical-5-items4-rows3-seed1"
    assert written.maximise
    assert load_instance(written) == generate("classical", 5, seed=1, items=4, rows=3)
    assert instances(written.source) == (written,)
    (with_default,) = instances("classical:5:items=10:seed=1")
    (without,) = instances("classical:5:seed=1")
    assert with_default == without
    assert without.fingerprint != written.fingerprint
    (words,) = instances("correlated:5:classes=independent")
    assert words.name == "correlated-5-classesindependent-seed0"


def test_generated_arrays_equal_their_description() -> None:
    """Loading twice gives equal arrays."""
    (instance,) = instances("many-rows:6:seed=9")
    assert load_instance(instance) == load_instance(instance)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere/*.txt", r"nowhere/\*.txt: no such file, and no family .*fleet:1000:seed=3"),
        ("flete:10", "unknown family 'flete'; did you mean 'fleet'"),
        ("fleet:many", "a number of groups >= 1 is wanted after 'fleet:'"),
        ("fleet:0", "a number of groups >= 1"),
        ("fleet:10:3", "'3': name=value is wanted"),
        ("fleet:10:seed=x", "seed=x: seeds such as 3, 0-9 or 0,2,5"),
        ("fleet:10:seed=4-2", "seed=4-2: the range 4-2 is empty"),
        ("fleet:10:seed=99999999999", "seed = 99999999999: 0 to 2147483647"),
        ("fleet:10:items=3", "family 'fleet' has no parameter items"),
        ("classical:10:items=few", "items=few: a whole number is wanted"),
        ("correlated:10:classes=odd", "classes = 'odd': similar or independent"),
    ],
)
def test_a_spec_that_names_nothing_is_refused(spec: str, message: str) -> None:
    """The message says what is wrong and how specs are written."""
    with pytest.raises(ProblemError, match=message):
        instances(spec)


def test_a_folder_is_refused_with_what_to_write(folder: Path) -> None:
    """Name its files."""
    with pytest.raises(ProblemError, match=r"a folder; name its files, such as .*/\*'"):
        instances(str(folder))


def test_a_problem_that_a_set_has_not_is_refused(folder: Path) -> None:
    """The message says how many there are."""
    with pytest.raises(ProblemError, match=r"holds 2 problem\(s\)"):
        instances(f"{folder / 'TestSet.2.txt'}#3")


def test_a_file_that_has_gone_is_an_error(folder: Path) -> None:
    """Between listing and loading."""
    (instance,) = instances(str(folder / "INST01.txt"))
    (folder / "INST01.txt").unlink()
    with pytest.raises(ProblemError, match="cannot be read"):
        load_instance(instance)
