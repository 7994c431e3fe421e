"""`fleetopt capacity sheet`: estimation sheets, each with its arithmetic line by line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optimizer.cli.capacity_options import whole_numbers
from optimizer.cli.option_groups import panel_option, with_option_groups
from optimizer.cli.sheet_options import CaseOptions, ShownAs, show_sheet

if TYPE_CHECKING:
    from optimizer.capacity.sheets import Pricing

__all__ = ["app"]

app = typer.Typer(
    help="Estimation sheets: every figure with its arithmetic, by hand and as predicted.",
    no_args_is_help=True,
)

InputTokens = Annotated[int, typer.Option("--input-tokens", help="Tokens of a prompt.")]
OutputTokens = Annotated[int, typer.Option("--output-tokens", help="Tokens of an answer.")]
Busy = Annotated[
    float, typer.Option("--busy", help="Part of the throughput that is used, in (0, 1].")
]


@app.callback()
def _sheets() -> None:
    """Estimation sheets: every figure with its arithmetic, by hand and as predicted."""


@app.command("memory")
@with_option_groups
def memory(*, case: CaseOptions, shown: ShownAs) -> None:
    """Show what an accelerator's memory is used for, by hand and as the engine divides it.

    For example:

      fleetopt capacity sheet memory

      fleetopt capacity sheet memory --model Qwen/Qwen3-32B --accelerator H200-SXM --json
    """
    from optimizer.capacity.sheets import memory_sheet

    show_sheet(memory_sheet(case.case()), shown)


@app.command("kv")
@with_option_groups
def kv(*, case: CaseOptions, shown: ShownAs) -> None:
    """Show bytes per token, and tokens in the pool by every reading of its size.

    For example:

      fleetopt capacity sheet kv

      fleetopt capacity sheet kv --model meta-llama/Llama-3.1-8B --pool-gb 20 --kv-dtype fp8
    """
    from optimizer.capacity.sheets import kv_sheet

    show_sheet(kv_sheet(case.case()), shown)


@app.command("concurrency")
@with_option_groups
def concurrency(
    *,
    contexts: Annotated[
        str, typer.Option("--context-lengths", help="Lengths of requests, with commas.")
    ] = "512,1024,2048,4096,8192",
    shared_prefix: Annotated[
        int, typer.Option("--shared-prefix", help="Tokens that all requests share at the start.")
    ] = 0,
    case: CaseOptions,
    shown: ShownAs,
) -> None:
    """Show how many requests fit at once, by their length and by every reading of the pool.

    For example:

      fleetopt capacity sheet concurrency

      fleetopt capacity sheet concurrency --context-lengths 1000,4000 --tensor-parallel 2
    """
    from optimizer.capacity.sheets import concurrency_sheet

    lengths = whole_numbers(contexts, "--context-lengths")
    show_sheet(concurrency_sheet(case.case(), lengths, shared_prefix), shown)


@app.command("roofline")
@with_option_groups
def roofline(
    *,
    prompt_tokens: Annotated[
        int, typer.Option("--prompt-tokens", help="Tokens of a prompt.")
    ] = 1000,
    case: CaseOptions,
    shown: ShownAs,
) -> None:
    """Show arithmetic intensity and the bounds of decode and prefill, beside predicted times.

    For example:

      fleetopt capacity sheet roofline

      fleetopt capacity sheet roofline --model Qwen/Qwen3-32B --accelerator L40S --precision fp8
    """
    from optimizer.capacity.sheets import roofline_sheet

    show_sheet(roofline_sheet(case.case(), prompt_tokens), shown)


@app.command("batch")
@with_option_groups
def batch(
    *,
    batches: Annotated[
        str, typer.Option("--batches", help="Sequences that decode together, with commas.")
    ] = "1,4,8,16,32,64",
    context_tokens: Annotated[
        int, typer.Option("--context-tokens", help="Tokens in the cache of each.")
    ] = 1200,
    case: CaseOptions,
    shown: ShownAs,
) -> None:
    """Show throughput against batch, and which batches the pool holds.

    For example:

      fleetopt capacity sheet batch

      fleetopt capacity sheet batch --batches 1,8,64,256 --tensor-parallel 4 --context-tokens 4000
    """
    from optimizer.capacity.sheets import batch_sheet

    sizes = whole_numbers(batches, "--batches")
    show_sheet(batch_sheet(case.case(), sizes, context_tokens), shown)


@app.command("scaling")
@with_option_groups
def scaling(
    *,
    degrees: Annotated[
        str, typer.Option("--degrees", help="Degrees of tensor parallelism, with commas.")
    ] = "1,2,4,8",
    instances: Annotated[
        str, typer.Option("--instances", help="Numbers of replicas, with commas.")
    ] = "1,4,16,64",
    input_tokens: InputTokens = 500,
    output_tokens: OutputTokens = 100,
    case: CaseOptions,
    shown: ShownAs,
) -> None:
    """Show what more accelerators per replica, and more replicas, bring.

    For example:

      fleetopt capacity sheet scaling

      fleetopt capacity sheet scaling --model openai/gpt-oss-120b --accelerator H200-SXM
    """
    from optimizer.capacity.sheets import scaling_sheet

    sheet = scaling_sheet(
        case.case(),
        whole_numbers(degrees, "--degrees"),
        whole_numbers(instances, "--instances"),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
    show_sheet(sheet, shown)


@app.command("cost")
@with_option_groups
def cost(
    *,
    claimed: Annotated[
        float | None,
        typer.Option(
            "--claimed-tokens-per-s", help="Throughput that somebody claims.", show_default=False
        ),
    ] = None,
    input_tokens: InputTokens = 500,
    output_tokens: OutputTokens = 100,
    busy: Busy = 0.8,
    case: CaseOptions,
    shown: ShownAs,
) -> None:
    """Show the cost of a million tokens: as claimed, as predicted, and by requests in flight.

    For example:

      fleetopt capacity sheet cost --claimed-tokens-per-s 50000

      fleetopt capacity sheet cost --model Qwen/Qwen3-32B --accelerator H200-SXM --json
    """
    from optimizer.capacity.sheets import cost_sheet

    pricing = replace(_pricing(input_tokens, output_tokens, busy), claimed_tokens_per_s=claimed)
    show_sheet(cost_sheet(case.case(), pricing), shown)


@app.command("break-even")
@with_option_groups
def break_even(
    *,
    volumes: Annotated[
        str, typer.Option("--volumes", help="Tokens of answers a month, with commas.")
    ] = "1000000000,10000000000,100000000000",
    api_input_usd: Annotated[
        float, typer.Option("--api-input-usd", help="Price per million tokens of prompts.")
    ] = 2.5,
    api_output_usd: Annotated[
        float, typer.Option("--api-output-usd", help="Price per million tokens of answers.")
    ] = 10.0,
    input_tokens: InputTokens = 500,
    output_tokens: OutputTokens = 100,
    busy: Busy = 0.8,
    case: CaseOptions,
    shown: ShownAs,
) -> None:
    """Show monthly cost of replicas of one's own against an API, by volume.

    For example:

      fleetopt capacity sheet break-even

      fleetopt capacity sheet break-even --api-input-usd 3 --api-output-usd 15 --volumes 500000000
    """
    from optimizer.capacity.sheets import break_even_sheet

    pricing = replace(
        _pricing(input_tokens, output_tokens, busy),
        api_input_usd=api_input_usd,
        api_output_usd=api_output_usd,
    )
    sheet = break_even_sheet(case.case(), pricing, whole_numbers(volumes, "--volumes"))
    show_sheet(sheet, shown)


def _pricing(input_tokens: int, output_tokens: int, busy: float) -> Pricing:
    from optimizer.capacity.sheets import Pricing

    return Pricing(input_tokens=input_tokens, output_tokens=output_tokens, utilization=busy)


_LOAD = "The load"


@app.command("plan")
@with_option_groups
def plan(
    example: Annotated[
        str, typer.Argument(help="chatbot, code-assistant or rag.", show_default=False)
    ],
    *,
    requests_per_s: Annotated[
        float | None, panel_option("--requests-per-s", "Mean arrival rate.", _LOAD)
    ] = None,
    peak: Annotated[float | None, panel_option("--peak", "Peak over mean.", _LOAD)] = None,
    input_tokens: Annotated[
        int | None, panel_option("--input-tokens", "Tokens of a prompt.", _LOAD)
    ] = None,
    output_tokens: Annotated[
        int | None, panel_option("--output-tokens", "Tokens of an answer.", _LOAD)
    ] = None,
    busy: Annotated[
        float | None,
        panel_option("--busy", "Part of the throughput that the peak may take, in (0, 1].", _LOAD),
    ] = None,
    case: CaseOptions,
    shown: ShownAs,
) -> None:
    """Plan accelerators for a load: arrivals, prefill work, replicas, requests in flight.

    Examples: chatbot (100,000 conversations a day), code-assistant (10,000 developers), rag (1,000
    queries a minute of 8,000 tokens); options change them.

    For example:

      fleetopt capacity sheet plan chatbot

      fleetopt capacity sheet plan rag --model Qwen/Qwen3-32B --precision fp8 --peak 2
    """
    from optimizer.capacity.errors import CapacityError
    from optimizer.capacity.sheets import PLANNED_LOADS, planning_sheet

    if example not in PLANNED_LOADS:
        known = ", ".join(PLANNED_LOADS)
        raise CapacityError("example", example, f"no such example; known: {known}")
    given = {
        "requests_per_s": requests_per_s,
        "peak": peak,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "utilization": busy,
    }
    changed: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
    if requests_per_s is not None:
        changed["arithmetic"] = "as given"
    load = replace(PLANNED_LOADS[example], **changed)
    show_sheet(planning_sheet(case.case(), load), shown)
