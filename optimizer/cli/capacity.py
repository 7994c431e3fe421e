"""`fleetopt capacity`: what a model needs and what an accelerator holds; no measurements needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli import capacity_sheet
from optimizer.cli.capacity_fit import fit
from optimizer.cli.capacity_measure import measure
from optimizer.cli.capacity_memory import memory
from optimizer.cli.capacity_options import (
    BatchSize,
    ContextLength,
    EngineName,
    KVDtype,
    Model,
    Precision,
    Utilization,
    engine_settings,
    print_json,
    read_model,
    whole_numbers,
)
from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json
from optimizer.cli.output import show, tell

if TYPE_CHECKING:
    from optimizer.capacity import KVCacheDetail, ModelArchitecture

__all__ = ["app"]

_SCHEMA_VERSION = 1
_GB = 10**9

app = typer.Typer(
    help="Weights, KV cache, memory, concurrency and accelerators for a model; laws of its speed.",
    no_args_is_help=True,
)


@app.callback()
def _capacity() -> None:
    """Weights, KV cache, memory, concurrency and accelerators for a model; laws of its speed."""


app.command("fit")(fit)
app.command("measure")(measure)
app.command("memory")(memory)
app.add_typer(capacity_sheet.app, name="sheet")


@app.command("model")
def model(source: Model, *, precision: Precision = "auto", as_json: Json = False) -> None:
    """Show parameters, weights, attention and feasible parallelism of a model.

    For example:

      fleetopt capacity model meta-llama/Llama-3.1-70B --precision fp8

      fleetopt capacity model ./config.json --json
    """
    found = read_model(source)
    if as_json:
        print_json(_model_document(found, precision))
        return
    from optimizer.report.capacity_text import model_view

    show(model_view(found, precision))


@app.command("kv")
def kv(
    source: Model,
    *,
    context_length: ContextLength = 4096,
    batch_size: BatchSize = 1,
    kv_dtype: KVDtype = "auto",
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Show all contexts up to the model's longest.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw the sweep (.svg, .png).", show_default=False
        ),
    ] = None,
    budget_gb: Annotated[
        float | None,
        typer.Option(
            "--budget-gb",
            help="Bytes for the cache [1e9]: advises a format and the longest context.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the KV cache of a model: per token, layer, head, request and batch.

    For example:

      fleetopt capacity kv google/gemma-3-27b-it --context-length 32768 --batch-size 8

      fleetopt capacity kv meta-llama/Llama-3.1-8B --sweep --plot kv.svg --budget-gb 20
    """
    if plot is not None:
        from optimizer.report.matplotlib_figure import require_matplotlib

        require_matplotlib()
    found = read_model(source, kv_dtype)
    detail = found.get_kv_cache_detail(context_length, batch_size)
    details = _sweep(found, detail) if sweep or plot is not None else []
    advice = None if budget_gb is None else _advice(found, detail, budget_gb)
    if plot is not None:
        _draw(found, details, plot, budget_gb)
    if as_json:
        document = {"schema_version": _SCHEMA_VERSION, **detail.to_document()}
        if sweep:
            document["sweep"] = [entry.to_document() for entry in details]
        if advice is not None:
            document["advice"] = advice
        print_json(document)
        return
    from optimizer.report.capacity_text import kv_view, sweep_view

    show(kv_view(detail))
    if sweep:
        typer.echo()
        show(sweep_view(details))
    if advice is not None:
        typer.echo(f"\nformat: {advice['reason']}")
        typer.echo(
            f"longest context as {detail.kv_data_type}: {advice['longest_context']:,} tokens"
        )


@app.command("recommend")
def recommend(
    source: Model,
    *,
    context_length: ContextLength = 4096,
    batch_size: BatchSize = 1,
    rank_by: Annotated[
        str, typer.Option("--rank-by", help="cost, price, throughput or latency.")
    ] = "cost",
    accelerators: Annotated[
        list[str] | None,
        typer.Option(
            "--accelerator", "-a", help="Only this one; may be repeated.", show_default=False
        ),
    ] = None,
    output_tokens: Annotated[
        int | None,
        typer.Option(
            "--output-tokens",
            help="Tokens of the answer; by default half of the context length.",
            show_default=False,
        ),
    ] = None,
    tensor_parallel: Annotated[
        str, typer.Option("--tensor-parallel", "-t", help="Degrees, with commas.")
    ] = "1,2,4,8",
    pipeline_parallel: Annotated[
        str,
        typer.Option(
            "--pipeline-parallel", "-p", help="Stages, for accelerators that are too small else."
        ),
    ] = "2,4,8",
    precision: Precision = "auto",
    kv_dtype: KVDtype = "auto",
    max_itl_ms: Annotated[
        float | None,
        typer.Option("--max-itl-ms", help="Reject slower tokens, mean.", show_default=False),
    ] = None,
    max_ttft_ms: Annotated[
        float | None,
        typer.Option("--max-ttft-ms", help="Reject later first tokens.", show_default=False),
    ] = None,
    engine: EngineName = "vllm",
    utilization: Utilization = 0.9,
    top: Annotated[int, typer.Option("--top", min=1, help="Lines of the table.")] = 10,
    as_json: Json = False,
) -> None:
    """Rank accelerators for a model by predicted times, and say why the others do not work.

    For example:

      fleetopt capacity recommend meta-llama/Llama-3.1-70B --context-length 8192 --batch-size 16

      fleetopt capacity recommend Qwen/Qwen3-32B --precision fp8,int4 --rank-by latency --json
    """
    from optimizer.capacity import find_gpu_recommendations

    found = find_gpu_recommendations(
        read_model(source, kv_dtype),
        context_length,
        batch_size,
        output_tokens=output_tokens,
        accelerators=accelerators or None,
        tensor_parallel=whole_numbers(tensor_parallel, "--tensor-parallel"),
        pipeline_parallel=whole_numbers(pipeline_parallel, "--pipeline-parallel"),
        precisions=[part.strip() for part in precision.split(",")],
        rank_by=rank_by,
        max_itl_ms=max_itl_ms,
        max_ttft_ms=max_ttft_ms,
        settings=engine_settings(engine, utilization, 8192, 1024),
    )
    if as_json:
        print_json(found.to_document())
    else:
        from optimizer.report.capacity_text import recommendation_view

        show(recommendation_view(found, top))
    if not found.ranked:
        tell("fleetopt: nothing works; the table says why each combination was rejected")
        raise typer.Exit(ExitCode.INFEASIBLE)


def _model_document(found: ModelArchitecture, precision: str) -> dict[str, Any]:
    detail = found.get_kv_cache_detail()
    return {
        "schema_version": _SCHEMA_VERSION,
        "model": found.model_id,
        "model_architecture": found.architecture.class_name,
        "num_parameters": found.num_parameters,
        "num_active_parameters": found.num_active_parameters,
        "parameters_by_role": dict(found.parameters_by_role),
        "precision": found.weights_in(precision).name,
        "model_memory_gb": found.model_memory_gb(precision),
        "model_memory_gib": found.model_memory_gib(precision),
        "attention_type": detail.attention_type.value,
        "layers": {layer.kind: layer.layers for layer in detail.layers},
        "max_context_tokens": found.max_context_tokens,
        "possible_tensor_parallel": found.possible_tensor_parallel(precision),
        "possible_expert_parallel": found.possible_expert_parallel(),
    }


def _sweep(found: ModelArchitecture, detail: KVCacheDetail) -> list[KVCacheDetail]:
    from optimizer.capacity import context_sweep, doubling_lengths

    return context_sweep(detail, doubling_lengths(found.max_context_tokens))


def _advice(found: ModelArchitecture, detail: KVCacheDetail, budget_gb: float) -> dict[str, Any]:
    from optimizer.capacity import best_context_len, recommend_kv_precision

    advised = recommend_kv_precision(
        found,
        budget_bytes=budget_gb * _GB,
        context_len=detail.context_len,
        batch_size=detail.batch_size,
    )
    return {
        "kv_dtype": advised.kv_dtype,
        "reason": advised.reason,
        "longest_context": best_context_len(
            detail,
            budget_gb * _GB,
            longest=found.max_context_tokens,
            batch_size=detail.batch_size,
        ),
    }


def _draw(
    found: ModelArchitecture,
    details: list[KVCacheDetail],
    path: Path,
    budget_gb: float | None,
) -> None:
    from optimizer.capacity import context_sweep, kv_cache_detail
    from optimizer.report.capacity_plots import draw_context_sweep

    sweeps = [details]
    if details[0].kv_data_type != "fp8":
        narrow = kv_cache_detail(
            found.architecture, kv_dtype="fp8", batch_size=details[0].batch_size
        )
        sweeps.append(context_sweep(narrow, [entry.context_len for entry in details]))
    try:
        draw_context_sweep(sweeps, path, budget_gb=budget_gb)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot write {path}: {error}", param_hint="--plot") from error
    tell(f"wrote {path}")
