"""Options of commands that size a very large fleet block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from optimizer.cli.option_groups import panel_option

__all__ = ["BlockOptions"]

_PANEL = "Very large fleets"


@dataclass(frozen=True, kw_only=True)
class BlockOptions:
    """Who sizes a fleet, and in which parts."""

    engine: Annotated[
        str | None,
        panel_option(
            "--engine",
            "Size services in blocks: serial, local (a process per processor), local:PROCESSES, "
            "dask://HOST:PORT, ray://HOST:PORT or ray://auto.",
            _PANEL,
        ),
    ] = None
    blocks: Annotated[
        int | None,
        typer.Option(
            "--blocks",
            min=1,
            help="With --engine: how many blocks; one for every 200 services, and at least 8, "
            "unless said.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None
    block_limit: Annotated[
        float | None,
        panel_option(
            "--block-limit",
            "With --engine: seconds after which the sizing of a block is given up.",
            _PANEL,
            metavar="SECONDS",
        ),
    ] = None

    def check(self) -> None:
        """Refuse what means nothing.

        Raises
        ------
        typer.BadParameter
            If an option wants an engine and there is none, or a limit is no time.
        """
        for name, value in (("--blocks", self.blocks), ("--block-limit", self.block_limit)):
            if value is not None and self.engine is None:
                raise typer.BadParameter(f"{name} needs --engine, such as --engine local")
        if self.block_limit is not None and self.engine in ("serial", "local:1"):
            raise typer.BadParameter("--block-limit needs other processes, such as --engine local")
        if self.block_limit is not None and not 0 < self.block_limit < float("inf"):
            raise typer.BadParameter(
                f"--block-limit {self.block_limit:g}: must be greater than 0 seconds, and finite"
            )
