"""`fleetopt capacity fit`: measurements become the performance entry of a fleet file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.output import tell, write_data

if TYPE_CHECKING:
    from optimizer.performance.measurements import FittedTiming, MeasurementTable

__all__ = ["fit"]


def fit(
    measurements: Annotated[
        str, typer.Argument(metavar="CSV", help="Measurements, or - for stdin.")
    ],
    *,
    model: Annotated[
        str | None, typer.Option(help="Model's name in the fleet; by default the CSV's.")
    ] = None,
    accelerator: Annotated[
        str | None, typer.Option(help="Accelerator's name in the fleet; by default the CSV's.")
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(help="iteration, serving or benchmark; by default told by the columns."),
    ] = None,
    max_batch: Annotated[
        int | None, typer.Option(min=1, help="Most requests in service; by default as measured.")
    ] = None,
    instances: Annotated[int, typer.Option(min=1, help="Accelerators of one replica.")] = 1,
    residuals: Annotated[
        Path | None, typer.Option(help="Draw fitted against measured times (needs matplotlib).")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead.")] = False,
) -> None:
    """Fit a timing law on measurements, and write it as YAML with its confidence.

    Columns of single iterations: decode_tokens, prefill_tokens, kv_tokens, time_ms. Of a closed
    loop: concurrency, input_tokens, output_tokens, ttft_ms, tpot_ms. A column `benchmark` of
    synchronous and throughput beside the latter gives the law by phase.

    For example:

      fleetopt capacity fit measurements.csv --model llama-8b --accelerator H100

      fleetopt capacity fit serving.csv --residuals residuals.svg -o performance.yaml
    """
    from optimizer.performance.measurements import fit_measurements, performance_entry
    from optimizer.performance.measurements import read_measurements as read
    from optimizer.spec.dumping import write_yaml

    if measurements == "-":
        table = read("<stdin>", typer.get_text_stream("stdin").read())
    else:
        table = read(measurements)
    fitted = fit_measurements(table, form)
    entry = performance_entry(
        fitted,
        model=_named(table, "model", model),
        accelerator=_named(table, "accelerator", accelerator),
        source=Path(table.source).name,
        max_batch=max_batch,
        instances=instances,
    )
    fields = entry.model_dump(mode="json", exclude_defaults=True)
    document = _json(fitted, fields) if as_json else write_yaml({"performance": [fields]})
    write_data(document, output)
    _tell_confidence(fitted)
    if residuals is not None:
        from optimizer.report.residual_plot import draw_residuals

        draw_residuals(fitted, residuals)
        tell(f"residuals: {residuals}")


def _named(table: MeasurementTable, column: str, given: str | None) -> str:
    """Name that was given, or that all rows share."""
    name = given or table.only_value(column)
    if not name:
        reason = "differs between rows" if column in table.columns else "is not a column"
        tell(f"fleetopt: {table.source}: {column} {reason}; name it with --{column}")
        raise typer.Exit(ExitCode.USAGE)
    return name


def _json(fitted: FittedTiming, entry: dict[str, Any]) -> str:
    import json
    from dataclasses import asdict

    document = {
        "schema_version": 1,
        "form": fitted.form,
        "rows": fitted.rows,
        "r_squared": fitted.r_squared,
        "median_error": fitted.median_error,
        "coefficients": {name: asdict(value) for name, value in fitted.coefficients.items()},
        "observed_ms": fitted.observed_ms.tolist(),
        "fitted_ms": fitted.fitted_ms.tolist(),
        "notes": list(fitted.notes),
        "performance": [entry],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _tell_confidence(fitted: FittedTiming) -> None:
    for name, found in fitted.coefficients.items():
        interval = "" if found.low is None else f"  (95 %: {found.low:.4g} to {found.high:.4g})"
        tell(f"{name:22}{found.value:12.5g}{interval}")
    tell(f"{fitted.rows} rows, median error {fitted.median_error:.1%}, R2 {fitted.r_squared:.4f}")
    for note in fitted.notes:
        tell(f"note: {note}")
