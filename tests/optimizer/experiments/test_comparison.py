"""Comparisons end to end: processes, rows, resuming, failures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from optimizer.experiments import (
    Comparison,
    ExperimentError,
    RunRow,
    RunStatus,
    Settings,
    compare,
    read_comparison,
)
from solvers import UnknownSolverError
from solvers.instances import Instance, instances
from tests.solvers.instances.layouts import INST

QUICK = Settings(time_limit_s=5.0, warm_up=False)
TINY = "classical:3:items=2:rows=2"


@pytest.fixture
def by_hand(tmp_path: Path) -> Instance:
    """The instance whose best profit is 16."""
    path = tmp_path / "by-hand.txt"
    path.write_text(INST)
    return instances(str(path))[0]


def only_row(solver: str, settings: Settings = QUICK) -> RunRow:
    """The row of one solver on a tiny instance."""
    (row,) = compare(instances(TINY), [solver], settings=settings).rows
    return row


def test_each_run_is_a_row_with_value_bound_times_and_memory(by_hand: Instance) -> None:
    """Two solvers on an instance solved by hand, after a warm-up, in the order asked for."""
    comparison = compare([by_hand], ["greedy", "milp"], settings=Settings(time_limit_s=5.0))
    greedy, milp = comparison.rows
    assert comparison.complete
    assert (greedy.solver, milp.solver) == ("greedy", "milp")
    assert (milp.value, milp.bound, milp.gap) == (16.0, 16.0, 0.0)
    assert (milp.status, milp.termination) == (RunStatus.ANSWERED, "optimal")
    assert (milp.groups, milp.columns, milp.rows) == (2, 5, 2)
    assert greedy.value is not None
    assert greedy.value <= 16.0
    for row in comparison.rows:
        assert row.maximise
        assert row.cpu_s is not None
        assert row.process_cpu_s is not None
        assert row.total_s is not None
        assert row.warm_up_cpu_s is not None
        assert 0 < row.cpu_s + row.warm_up_cpu_s < row.process_cpu_s
        assert row.memory_before_mb is not None
        assert row.peak_memory_mb is not None
        assert 10 < row.memory_before_mb <= row.peak_memory_mb
        assert row.date.endswith("+00:00")
        assert row.environment in comparison.protocol.environments


def test_the_protocol_says_how_it_was_measured(by_hand: Instance) -> None:
    """Processor, versions, limits, the order of the solvers."""
    protocol = compare([by_hand], ["greedy"], settings=QUICK, jobs=2).protocol
    (environment,) = protocol.environments.values()
    assert protocol.solvers == ("greedy",)
    assert protocol.jobs == 2
    assert protocol.settings == QUICK
    assert environment["cpus"] == os.cpu_count()
    assert {"fleetopt", "numpy"} <= set(environment["packages"])


def test_a_run_that_is_there_is_not_made_again(by_hand: Instance, tmp_path: Path) -> None:
    """Only new solvers and seeds run; the rows of all that was asked for come back."""
    folder = tmp_path / "results"
    made: list[str] = []

    def note(row: RunRow, done: int, total: int) -> None:
        made.append(f"{row.solver} {row.seed} {done}/{total}")

    def run(solvers: list[str], seeds: list[int]) -> Comparison:
        return compare(
            [by_hand], solvers, seeds=seeds, settings=QUICK, directory=folder, progress=note
        )

    first = run(["greedy"], [0])
    again = run(["milp", "greedy"], [0])
    assert made == ["greedy 0 1/1", "milp 0 2/2"]
    assert again.rows[1] == first.rows[0]
    run(["greedy"], [0, 4])
    assert made[2:] == ["greedy 4 2/2"]
    stored = read_comparison(folder)
    assert [(row.solver, row.seed) for row in stored.rows] == [
        ("greedy", 0),
        ("greedy", 4),
        ("milp", 0),
    ]
    assert stored.protocol.solvers == ("greedy", "milp")


def test_results_under_other_settings_are_not_mixed(by_hand: Instance, tmp_path: Path) -> None:
    """Another limit needs another folder."""
    compare([by_hand], ["greedy"], settings=QUICK, directory=tmp_path / "results")
    with pytest.raises(
        ExperimentError, match=r"holds results under other settings.*another folder"
    ):
        compare([by_hand], ["greedy"], settings=Settings(), directory=tmp_path / "results")


@pytest.mark.usefixtures("guests")
def test_a_solver_that_does_not_stop_is_killed_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 1.5 times its limit and the grace; its row has the CPU time that it took."""
    monkeypatch.setenv("DEAF_PID_FILE", str(tmp_path / "pid"))
    row = only_row("deaf", Settings(time_limit_s=0.1, kill_grace_s=0.1, warm_up=False))
    assert row.status is RunStatus.KILLED
    assert "did not stop in time" in row.error
    assert row.value is None
    assert row.process_cpu_s is not None
    assert row.process_cpu_s > 0.1
    assert row.groups == 3
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.usefixtures("guests")
def test_an_interrupt_keeps_what_is_done_and_kills_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after the first of two runs: one row, on disk, and no process left behind."""
    monkeypatch.setenv("DEAF_PID_FILE", str(tmp_path / "pid"))

    def interrupt(row: RunRow, done: int, total: int) -> None:
        raise KeyboardInterrupt

    comparison = compare(
        instances(TINY),
        ["deaf", "after-deaf"],
        settings=QUICK,
        jobs=2,
        directory=tmp_path / "results",
        progress=interrupt,
    )
    assert not comparison.complete
    assert [row.solver for row in comparison.rows] == ["after-deaf"]
    assert read_comparison(tmp_path / "results").rows == comparison.rows
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.usefixtures("guests")
def test_a_solver_that_raises_is_a_row_with_its_words() -> None:
    """Kind and message of the exception."""
    row = only_row("raising")
    assert row.status is RunStatus.ERROR
    assert row.error == "RuntimeError: no licence found"
    assert row.total_s is not None


@pytest.mark.usefixtures("guests")
def test_a_solver_that_fails_to_warm_up_says_so() -> None:
    """The run is not made under other conditions than asked for."""
    row = only_row("raising", Settings(time_limit_s=5.0))
    assert row.status is RunStatus.ERROR
    assert row.error.startswith("while warming up: RuntimeError")


@pytest.mark.usefixtures("guests")
def test_a_process_that_dies_is_a_row_with_its_last_words() -> None:
    """Exit status and the end of its standard error."""
    row = only_row("dying")
    assert row.status is RunStatus.CRASHED
    assert row.error == "the process died with exit status 7: last words"


@pytest.mark.usefixtures("guests")
def test_a_result_that_the_checker_refuses_is_no_value() -> None:
    """A solver that reports a cost which its solution has not."""
    row = only_row("lying")
    assert row.status is RunStatus.WRONG
    assert "reports the cost -1000000.0, x costs -" in row.error
    assert row.value is None


@pytest.mark.usefixtures("guests")
def test_a_solver_without_a_limit_runs_and_may_print() -> None:
    """It is given no limit instead of refusing; what it prints does not reach the report."""
    (row,) = compare(instances("fleet:3"), ["last-columns"], settings=QUICK).rows
    assert (row.status, row.error) == (RunStatus.ANSWERED, "")
    assert (row.termination, row.limit) == ("feasible", "completed")


@pytest.mark.usefixtures("guests")
def test_a_solution_that_does_not_fit_is_no_value(by_hand: Instance) -> None:
    """The last columns of the instance by hand use 6 of 5."""
    (row,) = compare([by_hand], ["last-columns"], settings=QUICK).rows
    assert row.status is RunStatus.WRONG
    assert "row 0: usage 6 exceeds the capacity 5" in row.error
    assert row.value is None


def test_options_of_a_solver_are_part_of_its_name() -> None:
    """An unknown one is that run's error, and a solver of two options is two solvers."""
    rows = compare(instances(TINY), ["greedy", "greedy:nonsense=1"], settings=QUICK).rows
    assert [row.status for row in rows] == [RunStatus.ANSWERED, RunStatus.ERROR]
    assert "no option 'nonsense'" in rows[1].error


def test_equal_instances_count_once_and_equal_names_are_refused(tmp_path: Path) -> None:
    """Two files of one name with other content cannot be told apart in tables."""
    (twice,) = {*instances(TINY), *instances(TINY)}
    assert len(compare([twice, twice], ["greedy"], settings=QUICK).rows) == 1
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text(INST)
    (tmp_path / "one.txt").write_text(INST.replace("5 7", "5 8"))
    both = instances(str(tmp_path / "**" / "one.txt"))
    with pytest.raises(ExperimentError, match=r"one\.txt would both be called 'one'"):
        compare(both, ["greedy"], settings=QUICK)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"solvers": []}, "no solvers: at least one"),
        ({"seeds": []}, "no seeds"),
        ({"seeds": [-1]}, "seed = -1: 0 to 2147483647"),
        ({"jobs": 0}, "jobs = 0"),
    ],
)
def test_what_cannot_be_run_is_refused_before_any_run(
    arguments: dict[str, object], message: str
) -> None:
    """Each message names the argument."""
    asked: dict[str, object] = {"instances": instances(TINY), "solvers": ["greedy"]}
    with pytest.raises(ExperimentError, match=message):
        compare(**(asked | arguments))  # type: ignore[arg-type]


def test_an_unknown_solver_is_refused_before_any_run() -> None:
    """With the nearest name, as everywhere."""
    with pytest.raises(UnknownSolverError, match="did you mean 'greedy'"):
        compare(instances(TINY), ["greedy", "gredy"], settings=QUICK)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    """The message says what makes them."""
    with pytest.raises(ExperimentError, match="no results of a comparison there"):
        read_comparison(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"time_limit_s": 0.0}, "time limit = 0.0: a number of seconds > 0"),
        ({"relative_gap": -1.0, "threads": 0}, "gap = -1.0: .*; threads = 0"),
        ({"kill_grace_s": float("inf")}, "grace = inf"),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, float], message: str) -> None:
    """All faults at once."""
    with pytest.raises(ExperimentError, match=message):
        Settings(**values)  # type: ignore[arg-type]
