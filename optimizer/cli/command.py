"""The entry point: builds the command, and turns errors into messages and exit codes."""

from __future__ import annotations

import io
import logging
import os
import sys
from typing import Annotated

import typer

from optimizer.cli import (
    all_plugins,
    capacity,
    compare,
    control,
    dashboard,
    diff,
    explain,
    export,
    horizon,
    import_,
    init,
    kv,
    operator,
    pareto,
    queue_models,
    report,
    schema,
    serve,
    simulate,
    size,
    solve,
    solvers,
    sweep,
    tune,
    validate,
    whatif,
)
from optimizer.cli.asked_part import asked_part
from optimizer.cli.exit_codes import ExitCode

__all__ = ["app", "main"]

app = typer.Typer(
    name="fleetopt",
    help="Decide which accelerators serve which LLMs: a whole fleet at once, at least cost, "
    "with a proof.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 plan found, 1 internal error, 2 usage, 3 spec invalid, 4 proven "
    "infeasible, 5 no solution within the limit, 6 plug-in or extra missing, 130 interrupted.",
)
app.command("init")(init.init)
app.command("validate")(validate.validate)
app.command("solve")(solve.solve)
app.command("explain")(explain.explain)
app.command("whatif")(whatif.whatif)
app.command("pareto")(pareto.pareto)
app.command("horizon")(horizon.horizon)
app.command("diff")(diff.diff)
app.command("export")(export.export)
app.command("simulate")(simulate.simulate)
app.command("serve")(serve.serve)
app.command("report")(report.report)
app.command("dashboard")(dashboard.dashboard)
app.command("size")(size.size)
app.command("compare")(compare.compare)
app.command("sweep")(sweep.sweep)
app.command("solvers")(solvers.solvers)
app.command("queue-models")(queue_models.queue_models)
app.command("plugins")(all_plugins.plugins)
app.command("tune")(tune.tune)
app.command("schema")(schema.schema)
app.add_typer(capacity.app, name="capacity")
app.add_typer(control.app, name="control")
app.add_typer(import_.app, name="import")
app.add_typer(kv.app, name="kv")
app.add_typer(operator.app, name="operator")


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(f"fleetopt {installed_version('fleetopt')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def main() -> None:
    """Run the command; never shows a traceback for a user's own mistake."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may be beyond the encoding
    _show_log()
    # Completion asks for the options of any verb.
    whole = "_FLEETOPT_COMPLETE" in os.environ
    try:
        (app if whole else asked_part(app, sys.argv[1:]))()
    except SystemExit as end:
        if _is_interrupt(end):
            _fail("interrupted", ExitCode.INTERRUPTED)
        raise
    except Exception as error:
        code = _exit_code(error)
        if code is not ExitCode.INTERNAL:
            _fail(str(error), code)
        if os.environ.get("FLEETOPT_DEBUG"):
            raise
        _fail(
            f"internal error: {type(error).__name__}: {error}\n"
            f"This is a fault of fleetopt; please report it with the traceback that "
            f"FLEETOPT_DEBUG=1 shows.",
            ExitCode.INTERNAL,
        )


def _is_interrupt(end: BaseException | None) -> bool:
    """Whether it goes back to Ctrl-C, which typer turns into a silent end."""
    while end is not None:
        if isinstance(end, KeyboardInterrupt):
            return True
        end = end.__cause__ or end.__context__
    return False


def _show_log() -> None:
    """Show on standard error what the mathematics has to say, such as that it is compiling."""
    shown = logging.StreamHandler()
    shown.setFormatter(logging.Formatter("fleetopt: %(message)s"))
    for package in ("queue_models", "optimizer"):
        logger = logging.getLogger(package)
        # In place of an earlier call's, whose standard error may be closed.
        logger.handlers = [shown]
        logger.setLevel(logging.INFO)


def _exit_code(error: Exception) -> ExitCode:
    """Classify by module-light imports: the failing command has loaded these already."""
    import queue_models as queues
    import solvers as solving
    from optimizer.errors import (
        CombinationError,
        FleetError,
        InfeasibleError,
        PluginError,
        SpecError,
    )

    if isinstance(error, SpecError | CombinationError):
        return ExitCode.SPEC_INVALID
    if isinstance(error, InfeasibleError):
        return ExitCode.INFEASIBLE
    if isinstance(
        error,
        PluginError
        | solving.BrokenPluginError
        | solving.MissingExtraError
        | queues.BrokenPluginError
        | queues.MissingExtraError,
    ):
        return ExitCode.PLUGIN
    if isinstance(error, solving.SolverBackendError):
        return ExitCode.INTERNAL
    if isinstance(error, solving.SolverError | queues.QueueModelError | FleetError):
        return ExitCode.USAGE
    return ExitCode.INTERNAL


def _fail(message: str, code: ExitCode) -> None:
    print(f"fleetopt: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(int(code))
