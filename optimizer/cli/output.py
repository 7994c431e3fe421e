"""Where results go: data to standard output or a file, words for people to standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from optimizer.cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["require_writable", "show", "tell", "write_data", "writing_to"]

# Columns of a table that is not shown on a terminal.
_PLAIN_WIDTH = 160


def show(view: RenderableType) -> None:
    """Print a view on standard output; colours and width as the terminal has them."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else _PLAIN_WIDTH
    Console(width=width, highlight=False, markup=False, emoji=False).print(view)


def tell(message: str) -> None:
    """Print words for people on standard error."""
    typer.echo(message, err=True)


def write_data(text: str, path: Path | None) -> None:
    """Write a document to a file, or to standard output without one (or with `-`).

    A file that cannot be written is the user's to mend: exit code 2.
    """
    if path is None or str(path) == "-":
        typer.echo(text, nl=not text.endswith("\n"))
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        tell(f"fleetopt: cannot write {path}: {error.strerror}; give another path to -o")
        raise typer.Exit(ExitCode.USAGE) from error


@contextmanager
def writing_to(path: Path, option: str) -> Iterator[None]:
    """Tell of a place that cannot be written to, naming its option; exit code 2."""
    try:
        yield
    except OSError as error:
        tell(f"fleetopt: cannot write {path}: {error.strerror}; give another path to {option}")
        raise typer.Exit(ExitCode.USAGE) from error


def require_writable(path: Path | None, option: str) -> None:
    """Refuse a file that cannot be written before the work whose result it is for; exit code 2.

    What is there stays as it is. Without a path, or with `-`, there is nothing to refuse.
    """
    if path is None or str(path) == "-":
        return
    is_new = not path.exists()
    if is_new or path.is_file() or path.is_dir():
        with writing_to(path, option):
            path.open("ab").close()
            if is_new:
                path.unlink()
