"""Dataclasses of options as parameters of commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from optimizer.cli.option_groups import with_option_groups


@dataclass(frozen=True, kw_only=True)
class Size:
    """Two options."""

    width: Annotated[int, typer.Option("--width", help="How wide.")] = 1
    height: Annotated[float | None, typer.Option("--height")] = None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["x"], "x Size(width=1, height=None) False"),
        (["x", "--width", "3", "--height", "2", "--loud"], "x Size(width=3, height=2.0) True"),
    ],
)
def test_fields_are_options_and_arrive_together(arguments: list[str], expected: str) -> None:
    """Around them, the command's own parameters are as they were."""
    app = typer.Typer()

    @app.command()
    @with_option_groups
    def command(
        name: str, *, size: Size, loud: Annotated[bool, typer.Option("--loud")] = False
    ) -> None:
        """Do nothing but tell."""
        typer.echo(f"{name} {size} {loud}")

    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.strip() == expected
    shown = CliRunner().invoke(app, ["--help"], terminal_width=100).output
    assert "--width" in shown
    assert "Do nothing but tell" in shown
