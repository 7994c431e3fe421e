"""Profiles in an SQLite file: safe for several readers and writers, and against a crash.

Write-ahead logging lets readers go on while one writes; `synchronous = FULL` brings every commit to
the disk before it returns, so that what was committed survives the process and the machine.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from optimizer.errors import Fault, SpecError
from optimizer.kv.profiles.records import DeviceProfile, PrefillTime
from optimizer.kv.profiles.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION

__all__ = ["ProfileDatabase"]

# How long one waits for another's write.
_PATIENCE_S = 30.0
# SQLite's file format: a header of 100 bytes, the schema's version and the mark within.
_HEADER_BYTES, _MAGIC = 100, b"SQLite format 3\0"
_KEYS: dict[type, tuple[str, ...]] = {
    PrefillTime: ("model", "accelerator", "context_tokens"),
    DeviceProfile: ("device", "model", "accelerator", "context_tokens"),
}
_TABLES = {PrefillTime: "prefill", DeviceProfile: "device"}

Record = PrefillTime | DeviceProfile


class ProfileDatabase:
    """An open profiling database; a context manager. One thread at a time.

    Parameters
    ----------
    path
        The file.
    create
        Whether to make it where there is none.

    Raises
    ------
    SpecError
        If there is none, if it is something else, or if a newer version of fleetopt wrote it: then
        it is not touched. An older one is brought to the present schema in one transaction.
    """

    def __init__(self, path: str | Path, *, create: bool = False) -> None:
        self.path = Path(path)
        if self.path.exists():
            _refuse_foreign(self.path)
        elif not create:
            message = "there is no such file; `fleetopt kv profiles import` makes one"
            raise SpecError([Fault(message, source=str(path))])
        try:
            self._connection = sqlite3.connect(self.path, timeout=_PATIENCE_S, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._migrate()
        except sqlite3.Error as error:
            raise _failure(self.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def record(self, records: Iterable[Record]) -> int:
        """Write records, all or none; return how many were new or other than what was there.

        A record that is there with the same figures and source stays; one with others is
        superseded, and kept as history.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._writing():
            return sum(self._replace(record, now) for record in records)

    def prefills(
        self, model: str | None = None, accelerator: str | None = None, *, history: bool = False
    ) -> list[PrefillTime]:
        """Return prefill times by model, accelerator, context; with `history` former ones too."""
        wanted = {"model": model, "accelerator": accelerator}
        return [PrefillTime(**row) for row in self._rows(PrefillTime, wanted, history=history)]

    def devices(self, device: str | None = None, *, history: bool = False) -> list[DeviceProfile]:
        """Return profiles of devices by name; with `history` former ones too."""
        rows = self._rows(DeviceProfile, {"device": device}, history=history)
        return [DeviceProfile(**row) for row in rows]

    def _replace(self, record: Record, now: str) -> bool:
        kind = type(record)
        table, keys = _TABLES[kind], _KEYS[kind]
        figures = [
            field.name
            for field in fields(record)
            if field.name not in (*keys, "recorded_at", "superseded_at")
        ]
        where = " AND ".join(f"{key} = :{key}" for key in keys) + " AND superseded_at IS NULL"
        values = {name: getattr(record, name) for name in (*keys, *figures)} | {"now": now}
        old = self._connection.execute(
            f"SELECT {', '.join(figures)} FROM {table} WHERE {where}", values
        ).fetchone()
        if old is not None and all(old[k] == values[name] for k, name in enumerate(figures)):
            return False
        if old is not None:
            self._connection.execute(
                f"UPDATE {table} SET superseded_at = :now WHERE {where}", values
            )
        columns = (*keys, *figures)
        self._connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}, recorded_at) "
            f"VALUES ({', '.join(f':{name}' for name in columns)}, :now)",
            values,
        )
        return True

    def _rows(
        self, kind: type[Record], wanted: dict[str, str | None], *, history: bool
    ) -> Iterator[dict[str, Any]]:
        given = {name: value for name, value in wanted.items() if value is not None}
        clauses = [f"{name} = :{name}" for name in given]
        if not history:
            clauses.append("superseded_at IS NULL")
        where = f" WHERE {' AND '.join(clauses)}" if clauses else ""
        names = [field.name for field in fields(kind)]
        order = ", ".join((*_KEYS[kind], "id"))
        query = f"SELECT {', '.join(names)} FROM {_TABLES[kind]}{where} ORDER BY {order}"
        try:
            for row in self._connection.execute(query, given):
                yield dict(zip(names, row, strict=True))
        except sqlite3.Error as error:
            raise _failure(self.path, error) from error

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Write in one transaction that takes the lock at once: two writers wait, none fails."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise _failure(self.path, error) from error

    def _migrate(self) -> None:
        if self._version() == SCHEMA_VERSION:
            return
        with self._writing():
            # Another process may have been quicker.
            for statements in MIGRATIONS[self._version() :]:
                for statement in statements.split(";"):
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])


def _refuse_foreign(path: Path) -> None:
    """Look at the file without writing to it, and refuse what is not ours to change."""
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        raise SpecError([Fault(f"cannot be read: {error.strerror}", source=str(path))]) from error
    if not header:
        return  # made, but not written to
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        raise SpecError([Fault("is no SQLite file", source=str(path))])
    version, mark = (int.from_bytes(header[at : at + 4], "big") for at in (60, 68))
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        # What was committed last may not have come to the file yet.
        version, mark = _look_up(path)
    if version == 0 and mark == 0 and log.exists():
        return  # another process is about to make it
    if mark != APPLICATION_ID:
        raise SpecError([Fault("is an SQLite file, but no profiling database", source=str(path))])
    if version > SCHEMA_VERSION:
        message = (
            f"has schema {version}; this fleetopt knows up to {SCHEMA_VERSION}. It was left as it "
            "is: use the newer fleetopt, or export from there and import here"
        )
        raise SpecError([Fault(message, source=str(path))])


def _look_up(path: Path) -> tuple[int, int]:
    """Read version and mark through the log, without the right to write."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as look:
            version = int(look.execute("PRAGMA user_version").fetchone()[0])
            return version, int(look.execute("PRAGMA application_id").fetchone()[0])
    except sqlite3.Error as error:
        raise _failure(path, error) from error


def _failure(path: Path, error: sqlite3.Error) -> SpecError:
    return SpecError([Fault(f"cannot be used as a profiling database: {error}", source=str(path))])
