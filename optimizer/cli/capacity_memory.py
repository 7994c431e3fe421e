"""`fleetopt capacity memory`: how an engine divides the memory, and how many requests fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.capacity_options import (
    BatchedTokens,
    EngineName,
    KVDtype,
    MaxSequences,
    Model,
    Precision,
    Utilization,
    engine_settings,
    print_json,
    read_model,
    request_mix,
    whole_numbers,
)
from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.fleet_options import Json
from optimizer.cli.output import show

if TYPE_CHECKING:
    from optimizer.capacity import DeploymentMemory, MemoryBudget

__all__ = ["memory"]

_SCHEMA_VERSION = 1


def memory(
    source: Model,
    accelerator_name: Annotated[
        str, typer.Argument(metavar="ACCELERATOR", help="Name in the catalogue, as H100-SXM.")
    ],
    *,
    contexts: Annotated[
        str, typer.Option("--context-lengths", help="Lengths of requests, with commas.")
    ] = "512,1024,2048,4096,8192",
    tensor_parallel: Annotated[int, typer.Option("--tensor-parallel", "-t")] = 1,
    pipeline_parallel: Annotated[int, typer.Option("--pipeline-parallel", "-p")] = 1,
    precision: Precision = "auto",
    kv_dtype: KVDtype = "auto",
    shared_prefix: Annotated[
        int, typer.Option("--shared-prefix", help="Tokens that all requests share at the start.")
    ] = 0,
    mix: Annotated[
        str | None,
        typer.Option(
            "--mix",
            metavar="IN:OUT[:WEIGHT],...",
            help="Prompt and answer lengths of kinds of requests, and their shares.",
            show_default=False,
        ),
    ] = None,
    engine: EngineName = "vllm",
    utilization: Utilization = 0.9,
    batched_tokens: BatchedTokens = 8192,
    max_sequences: MaxSequences = 1024,
    as_json: Json = False,
) -> None:
    """Show how an engine divides an accelerator's memory, and how many requests fit.

    For example:

      fleetopt capacity memory meta-llama/Llama-3.1-8B H100-SXM --utilization 0.95

      fleetopt capacity memory openai/gpt-oss-120b H200-SXM --tensor-parallel 2 --json

      fleetopt capacity memory meta-llama/Llama-3.1-8B H100-SXM --mix 4000:300,500:100:3
    """
    from optimizer.capacity import deployment_memory

    found = deployment_memory(
        read_model(source, kv_dtype),
        accelerator_name,
        context_lengths=whole_numbers(contexts, "--context-lengths"),
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        precision=precision,
        kv_dtype=kv_dtype,
        shared_prefix_tokens=shared_prefix,
        settings=engine_settings(engine, utilization, batched_tokens, max_sequences),
    )
    budget = found.budget
    mixed = {} if mix is None else _mixed(budget, mix, shared_prefix)
    if as_json:
        document = _memory_document(found)
        print_json({**document, **({"mix": mixed} if mix is not None else {})})
    else:
        from optimizer.report.capacity_text import budget_view

        title = f"{found.model_id} on {found.accelerator}, {found.precision}"
        show(budget_view(title, budget, found.concurrency))
        for name, requests in mixed.items():
            typer.echo(f"requests of the mix while decoding, {name}: {requests:.1f}")
    if not budget.fits:
        raise typer.Exit(ExitCode.INFEASIBLE)


def _memory_document(found: DeploymentMemory) -> dict[str, Any]:
    from dataclasses import asdict

    budget = found.budget
    return {
        "schema_version": _SCHEMA_VERSION,
        "model": found.model_id,
        "accelerator": found.accelerator,
        "precision": found.precision,
        "fits": budget.fits,
        "kv_pool_gb": budget.kv_pool_gb,
        "kv_pool_gib": budget.kv_pool_gib,
        "kv_blocks": budget.blocks,
        "kv_tokens": budget.kv_tokens,
        "budget": asdict(budget),
        "concurrency": [asdict(entry) for entry in found.concurrency],
    }


def _mixed(budget: MemoryBudget, mix: str, shared_prefix: int) -> dict[str, float]:
    """Count requests of a mix of lengths that the pool holds, on average and nearly always."""
    from optimizer.capacity import concurrency_for_lengths

    kinds = request_mix(mix)
    if budget.layout is None or not budget.fits:
        return {}
    return {
        name: concurrency_for_lengths(
            budget.layout,
            budget.blocks,
            kinds,
            quantile=quantile,
            shared_prefix_tokens=shared_prefix,
        )
        for name, quantile in (("mean", None), ("p99", 0.99))
    }
