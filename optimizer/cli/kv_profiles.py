"""`fleetopt kv profiles`: the database of measured prefill times and devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json
from optimizer.cli.kv_options import faults_by_option
from optimizer.cli.output import show, tell, write_data

if TYPE_CHECKING:
    from optimizer.kv.profiles import DeviceProfile, PrefillTime

__all__ = ["app"]

app = typer.Typer(
    help="Measured prefill times and devices, kept with their history in an SQLite file.",
    no_args_is_help=True,
)

Database = Annotated[Path, typer.Argument(metavar="DATABASE", help="The SQLite file.")]
Model = Annotated[str | None, typer.Option("--model", help="Of one model.", show_default=False)]
Accelerator = Annotated[
    str | None, typer.Option("--accelerator", help="On one accelerator.", show_default=False)
]
Devices = Annotated[bool, typer.Option("--devices", help="Devices instead of prefill times.")]
History = Annotated[bool, typer.Option("--history", help="Former values too.")]


@app.command("import")
def import_profiles(
    database: Database,
    csv: Annotated[str, typer.Argument(metavar="CSV", help="Profiles, or - for stdin.")],
) -> None:
    """Write profiles from CSV into a database, all or none; make it where there is none.

    Columns of prefill times: model, accelerator, context_tokens, prefill_ms (or prefill_s), source.
    Of devices: device, bandwidth_gb_s, latency_ms, and perhaps model, accelerator, context_tokens.
    What was there with other figures is kept as history.

    For example:

      fleetopt kv profiles import profiles.db prefill.csv

      fleetopt kv profiles import profiles.db devices.csv
    """
    with faults_by_option():
        from optimizer.kv.profiles import ProfileDatabase, read_profiles

        records = read_profiles(csv)
        with ProfileDatabase(database, create=True) as open_database:
            changed = open_database.record(records)
    tell(f"{database}: {changed} of {len(records)} new or changed")


@app.command("export")
def export_profiles(
    database: Database,
    *,
    devices: Devices = False,
    history: History = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")] = None,
) -> None:
    """Write the profiles of a database as CSV, as `import` reads them.

    For example:

      fleetopt kv profiles export profiles.db -o prefill.csv

      fleetopt kv profiles export profiles.db --devices --history
    """
    with faults_by_option():
        from optimizer.kv.profiles import write_profiles

        text = write_profiles(_records(database, None, None, devices=devices, history=history))
    write_data(text, output)


@app.command("show")
def show_profiles(
    database: Database,
    *,
    model: Model = None,
    accelerator: Accelerator = None,
    devices: Devices = False,
    history: History = False,
    as_json: Json = False,
) -> None:
    """Show profiles, the contexts they hold for, and how well a law a t + b t² describes them.

    For example:

      fleetopt kv profiles show profiles.db

      fleetopt kv profiles show profiles.db --model meta-llama/Llama-3.1-8B --history --json
    """
    with faults_by_option():
        from optimizer.kv.profiles.listing import list_profiles

        records = _records(database, model, accelerator, devices=devices, history=history)
        listing = list_profiles(records)
    if as_json:
        write_data(listing.model_dump_json(indent=2), None)
        return
    from optimizer.report.profiles_text import profiles_view

    show(profiles_view(listing))


@app.command("update")
def update_profile(
    database: Database,
    *,
    model: Annotated[str, typer.Option("--model", help="Hub id.", show_default=False)],
    accelerator: Annotated[
        str, typer.Option("--accelerator", help="As in `H100` or `2x A40`.", show_default=False)
    ],
    context_tokens: Annotated[
        int, typer.Option("--context-tokens", help="Length of the prompt.", show_default=False)
    ],
    prefill_s: Annotated[
        float, typer.Option("--prefill-s", help="Measured prefill.", show_default=False)
    ],
    source: Annotated[str, typer.Option("--source", help="Who measured, and how.")] = "",
) -> None:
    """Set one prefill time; what was there becomes history.

    For example:

      fleetopt kv profiles update profiles.db --model 01-ai/Yi-34B --accelerator A40 \
--context-tokens 4096 --prefill-s 3 --source "our rig, vLLM 0.11"

      fleetopt kv profiles update profiles.db --model m --accelerator H100 \
--context-tokens 8192 --prefill-s 0.4
    """
    with faults_by_option():
        from optimizer.kv.profiles import PrefillTime, ProfileDatabase
        from optimizer.kv.ranges import Range, refuse_outside

        wanted = {"prefill_s": Range("s", above=True, high=1e8)}
        refuse_outside({"prefill_s": prefill_s}, wanted)
        record = PrefillTime(
            model=model,
            accelerator=accelerator,
            context_tokens=context_tokens,
            prefill_ms=1e3 * prefill_s,
            source=source,
        )
        with ProfileDatabase(database, create=True) as open_database:
            changed = open_database.record([record])
    tell(f"{database}: {'set' if changed else 'it was so already'}")


def _records(
    database: Path, model: str | None, accelerator: str | None, *, devices: bool, history: bool
) -> list[PrefillTime] | list[DeviceProfile]:
    from optimizer.kv.profiles import ProfileDatabase

    if devices and (model is not None or accelerator is not None):
        raise typer.BadParameter("is of prefill times; leave out --devices", param_hint="--model")
    with ProfileDatabase(database) as open_database:
        found: list[PrefillTime] | list[DeviceProfile] = (
            open_database.devices(history=history)
            if devices
            else open_database.prefills(model, accelerator, history=history)
        )
    if not found:
        tell(f"fleetopt: {database} has no such profile")
        raise typer.Exit(ExitCode.SPEC_INVALID)
    return found
