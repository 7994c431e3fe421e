"""Reading the catalogue's files."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from optimizer.catalog import table


@dataclass(frozen=True)
class Row:
    name: str
    size: int | None
    share: float
    on: bool


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(table, "files", lambda _package: tmp_path)

    def write_and_load(text: str):
        (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
        return table.load_table("rows.csv", Row)

    return write_and_load


def test_cells_have_their_fields_types(load):
    """Cells become what the field says; an empty one is None where None is allowed."""
    rows = load("name,size,share,on\na,,1,true\nb,3,0.5,false\n")
    assert dict(rows) == {"a": Row("a", None, 1.0, True), "b": Row("b", 3, 0.5, False)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,size\na,1\n", "columns are"),
        ("name,size,share,on\na,1,1,true\na,2,1,true\n", "comes twice"),
        ("name,size,share,on\na,x,1,true\n", "invalid literal"),
        ("name,size,share,on\na,1,,true\n", "could not convert"),
    ],
)
def test_faulty_files_are_refused(load, text: str, message: str):
    """Wrong columns, names twice and cells of another type do not load."""
    with pytest.raises(ValueError, match=message):
        load(text)


def test_tables_are_read_only(load):
    """What was loaded cannot be changed."""
    with pytest.raises(TypeError):
        load("name,size,share,on\na,,1,true\n")["b"] = Row("b", 1, 1.0, True)


def test_importing_reads_no_file_and_only_the_standard_library():
    """The import is light: no numpy, no pydantic, no data file until an entry is asked for."""
    code = (
        "import sys, optimizer.catalog.accelerators as a\n"
        "assert a._table.cache_info().currsize == 0\n"
        "print(sorted({'numpy', 'pandas', 'pydantic', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
