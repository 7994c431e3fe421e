"""The profiling database: history, versions, concurrency, crashes, interpolation, CSV."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from optimizer.errors import SpecError
from optimizer.kv.profiles import (
    SCHEMA_VERSION,
    DeviceProfile,
    PrefillTime,
    ProfileDatabase,
    ProfiledPrefill,
    read_profiles,
    write_profiles,
)
from optimizer.kv.profiles.schema import APPLICATION_ID, MIGRATIONS
from tests.conftest import REPOSITORY


def point(tokens: int, ms: float, **other: str) -> PrefillTime:
    """A prefill of one model on one accelerator."""
    given = {"model": "llama", "accelerator": "H100", **other}
    return PrefillTime(context_tokens=tokens, prefill_ms=ms, **given)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database may be."""
    return tmp_path / "profiles.db"


def test_what_is_changed_stays_as_history(path: Path) -> None:
    """The same again is no change; other figures supersede, with dates."""
    with ProfileDatabase(path, create=True) as database:
        assert database.record([point(1024, 50.0), point(2048, 110.0)]) == 2
        assert database.record([point(1024, 50.0), point(2048, 100.0, source="new")]) == 1
        now = database.prefills()
        assert [(p.context_tokens, p.prefill_ms, p.source) for p in now] == [
            (1024, 50.0, ""),
            (2048, 100.0, "new"),
        ]
        old = [p for p in database.prefills(history=True) if p.superseded_at]
        assert [(p.context_tokens, p.prefill_ms) for p in old] == [(2048, 110.0)]
        assert old[0].superseded_at == now[1].recorded_at


def test_records_are_written_all_or_none(path: Path) -> None:
    """An error on the way leaves what was there."""

    def records() -> object:
        yield point(1, 1.0)
        raise KeyError

    with ProfileDatabase(path, create=True) as database:
        with pytest.raises(KeyError):
            database.record(records())  # type: ignore[arg-type]
        assert database.prefills() == []
        assert database.record([point(1, 1.0)]) == 1


def test_it_keeps_a_log_and_waits_for_the_disk(path: Path) -> None:
    """Write-ahead logging, full synchronisation, our mark, the present schema."""
    with ProfileDatabase(path, create=True) as database:
        pragma = {
            name: database._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "application_id", "user_version")
        }
    assert pragma == {
        "journal_mode": "wal",
        "synchronous": 2,
        "application_id": APPLICATION_ID,
        "user_version": SCHEMA_VERSION,
    }


def test_a_newer_schema_is_refused_and_not_touched(path: Path) -> None:
    """Not one byte, no file beside it; the message says what to do."""
    with ProfileDatabase(path, create=True) as database:
        database.record([point(1, 1.0)])
        database._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = hashlib.sha256(path.read_bytes()).hexdigest(), sorted(path.parent.iterdir())
    message = f"schema {SCHEMA_VERSION + 1}; this fleetopt knows up to {SCHEMA_VERSION}"
    for create in (False, True):
        with pytest.raises(SpecError, match=message):
            ProfileDatabase(path, create=create)
    assert (hashlib.sha256(path.read_bytes()).hexdigest(), sorted(path.parent.iterdir())) == before


def test_a_newer_schema_in_the_log_alone_is_refused(path: Path) -> None:
    """Another process has it open and has not brought the change to the file."""
    with closing(ProfileDatabase(path, create=True)) as database:
        database._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 3}")
        before = path.read_bytes()
        with pytest.raises(SpecError, match=f"schema {SCHEMA_VERSION + 3}"):
            ProfileDatabase(path)
        assert path.read_bytes() == before


def test_an_older_schema_is_brought_up_with_its_rows(path: Path) -> None:
    """Version 1 had prefill times alone."""
    with closing(sqlite3.connect(path)) as old:
        old.executescript(MIGRATIONS[0])
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute("PRAGMA user_version = 1")
        old.execute(
            "INSERT INTO prefill (model, accelerator, context_tokens, prefill_ms)"
            " VALUES ('llama', 'H100', 100, 5)"
        )
        old.commit()
    with ProfileDatabase(path) as database:
        assert database.prefills() == [point(100, 5.0)]
        assert database.record([point(100, 6.0), DeviceProfile(device="d", bandwidth_gb_s=1)]) == 2
        assert len(database.prefills(history=True)) == 2
        assert database._version() == SCHEMA_VERSION


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"model,accelerator\n", "no SQLite file"), (b"x" * 5000, "no SQLite file")],
)
def test_other_files_are_refused_and_not_touched(path: Path, content: bytes, message: str) -> None:
    """Text, or a database of something else."""
    path.write_bytes(content)
    with pytest.raises(SpecError, match=message):
        ProfileDatabase(path, create=True)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_refused(path: Path) -> None:
    """It has tables, but not our mark."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (x)")
        other.commit()
    with pytest.raises(SpecError, match="no profiling database"):
        ProfileDatabase(path, create=True)
    with pytest.raises(SpecError, match="no such file"):
        ProfileDatabase(path.with_name("none.db"))
    with pytest.raises(SpecError, match="profiling database"):
        ProfileDatabase(path.with_name("no") / "folder.db", create=True)


def test_readers_and_writers_do_not_disturb_each_other(path: Path) -> None:
    """Four write, four read at the same time: nothing is lost, no reader sees half a record."""
    ProfileDatabase(path, create=True).close()

    def write(worker: int) -> int:
        with ProfileDatabase(path) as database:
            return sum(
                database.record(
                    [point(k, 1.0 + k, model=f"m{worker}") for k in (2 * n + 1, 2 * n + 2)]
                )
                for n in range(15)
            )

    def read(_: int) -> bool:
        with ProfileDatabase(path) as database:
            return all(len(database.prefills()) % 2 == 0 for _ in range(40))

    with ThreadPoolExecutor(8) as pool:
        written, whole = pool.map(write, range(4)), pool.map(read, range(4))
        assert list(written) == [30] * 4
        assert all(whole)
    with ProfileDatabase(path) as database:
        assert len(database.prefills()) == 120


def killed_writes(path: Path, times: int) -> None:
    """Kill a writer at random, again and again; what it told of is there."""
    pause = random.Random(7)
    told = -1
    for _ in range(times):
        writer = subprocess.Popen(
            [sys.executable, "-m", "tests.optimizer.kv.profile_writer", str(path), str(told + 1)],
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
        )
        assert writer.stdout is not None
        wanted = pause.randrange(1, 60)
        lines = [writer.stdout.readline() for _ in range(wanted)]
        # The writer is anywhere in its next write now; let it come to different places.
        subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
        writer.kill()
        lines += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        numbers = [int(line) for line in lines if line.endswith(b"\n")]
        assert numbers == list(range(told + 1, told + 1 + len(numbers)))
        told = numbers[-1]
        with ProfileDatabase(path) as database:
            (health,) = database._connection.execute("PRAGMA integrity_check").fetchall()
            assert health == ("ok",)
            stored = [int(r.prefill_ms) - 1 for r in database.prefills(history=True)]
        assert sorted(stored)[: told + 1] == list(range(told + 1))
        # One more may have been committed whose telling was cut off.
        assert len(stored) in (told + 1, told + 2)
        told = len(stored) - 1


def test_a_writer_killed_at_random_loses_nothing_committed(path: Path) -> None:
    """Five times; a hundred in the slow tests."""
    killed_writes(path, 5)


@pytest.mark.slow
def test_a_writer_killed_a_hundred_times_loses_nothing_committed(path: Path) -> None:
    """No corruption, every row that was told of."""
    killed_writes(path, 100)


def test_between_points_times_are_interpolated_and_not_beyond() -> None:
    """100 tokens 10 ms, 300 tokens 50 ms: 200 tokens 30 ms; 0 tokens nothing; 301 refused."""
    profile = ProfiledPrefill.of_records([point(300, 50.0), point(100, 10.0)])
    assert profile.valid_tokens == (100, 300)
    assert np.allclose(profile.time([0, 100, 200, 300]).ms, [0, 10, 30, 50])
    for outside in (99, 301, float("nan"), -1):
        with pytest.raises(SpecError, match="holds from 100 to 300 tokens"):
            profile.time(outside)
    with pytest.raises(SpecError, match="must be one"):
        ProfiledPrefill.of_records([point(1, 1.0), point(2, 2.0, model="other")])


def test_a_law_is_found_again_from_its_points() -> None:
    """a t + b t² exactly; of a single point the straight line; of a falling one no negative b."""
    t = np.array([512, 2048, 8192, 32768])
    profile = ProfiledPrefill.of_records([point(int(n), 0.1 * n + 2e-6 * n * n) for n in t])
    law, error = profile.law()
    assert float(np.asarray(law.ms_per_token)) == pytest.approx(0.1)
    assert float(np.asarray(law.ms_per_token2)) == pytest.approx(2e-6)
    assert error < 1e-9
    single, _ = ProfiledPrefill.of_records([point(100, 10.0)]).law()
    assert float(single.time(50).ms) == pytest.approx(5.0)
    concave, error = ProfiledPrefill.of_records([point(100, 20.0), point(400, 40.0)]).law()
    assert float(np.asarray(concave.ms_per_token2)) == 0
    assert 0.2 < error < 0.5


def test_csv_goes_in_and_comes_out(path: Path, tmp_path: Path) -> None:
    """With seconds or milliseconds; former rows of an export are left out."""
    csv = tmp_path / "in.csv"
    csv.write_text("model,accelerator,context_tokens,prefill_s,source\nllama,H100,1024,0.05,rig\n")
    (record,) = read_profiles(str(csv))
    assert record == point(1024, 50.0, source="rig")
    with ProfileDatabase(path, create=True) as database:
        database.record([record, replace(record, prefill_ms=40.0)])
        csv.write_text(write_profiles(database.prefills(history=True)))
    assert [r.prefill_ms for r in read_profiles(str(csv)) if isinstance(r, PrefillTime)] == [40.0]
    csv.write_text("device,bandwidth_gb_s,latency_ms\nnvme,4.8,0.1\n")
    assert read_profiles(str(csv)) == [
        DeviceProfile(device="nvme", bandwidth_gb_s=4.8, latency_ms=0.1)
    ]


HEAD = "model,accelerator,context_tokens,prefill_ms\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the column"),
        (HEAD, "has no profile"),
        ("model,accelerator,context_tokens,prefil_ms\nm,a,1,1\n", "'prefil_ms'"),
        (HEAD + "m,a,1,nan\n", "p.csv:2: prefill_ms = nan"),
        (HEAD + "m,a,1,-5\n", "p.csv:2: prefill_ms = -5"),
        (HEAD + "m,a,1,1\nm,a,0,1\n", "p.csv:3: context_tokens = 0"),
        (HEAD + "m,a,1.5,1\n", "whole number"),
        (HEAD + "m,a,many,1\n", "must be a number"),
        (HEAD + ",a,1,1\n", "must not be empty"),
        (HEAD + "m,a,1\n", "another number of cells"),
        (HEAD + "m,a,1,1,9\n", "another number of cells"),
    ],
)
def test_wrong_csv_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """Where, what came, what is wanted."""
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(SpecError, match=message):
        read_profiles(str(tmp_path / "p.csv"))
