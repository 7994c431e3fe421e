"""Arguments that the verbs of `fleetopt capacity` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from optimizer.capacity import EngineSettings, ModelArchitecture, RequestLengths

__all__ = [
    "BatchSize",
    "BatchedTokens",
    "ContextLength",
    "EngineName",
    "KVDtype",
    "MaxSequences",
    "Model",
    "Precision",
    "Utilization",
    "engine_settings",
    "print_json",
    "read_model",
    "request_mix",
    "whole_numbers",
]

# Prompt, answer and share of a kind of requests.
_KIND_FIGURES = 3

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Hub id in the catalogue, a config.json, a directory with one, or - for stdin.",
        show_default=False,
    ),
]
ContextLength = Annotated[
    int, typer.Option("--context-length", "-c", help="Tokens of a request, prompt and answer.")
]
BatchSize = Annotated[int, typer.Option("--batch-size", "-b", help="Requests at a time.")]
KVDtype = Annotated[
    str,
    typer.Option(
        "--kv-dtype", help="Format of the KV cache, such as fp8; auto is the checkpoint's."
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision", help="Format of the weights, such as fp8 or int4; auto: as they are."
    ),
]
EngineName = Annotated[
    str, typer.Option("--engine", help="vllm, sglang or tensorrt-llm: how memory is divided.")
]
Utilization = Annotated[
    float, typer.Option("--utilization", help="Part of the memory that the engine uses.")
]
BatchedTokens = Annotated[
    int, typer.Option("--max-num-batched-tokens", help="Tokens of an engine step.")
]
MaxSequences = Annotated[int, typer.Option("--max-num-seqs", help="Sequences of a batch.")]


def read_model(source: str, kv_dtype: str = "auto") -> ModelArchitecture:
    """Model of a hub id, a file, or the configuration on standard input."""
    from optimizer.capacity import ModelArchitecture

    if source != "-":
        return ModelArchitecture(source, kv_dtype=kv_dtype)
    import json
    import sys

    from optimizer.errors import Fault, SpecError

    try:
        document = json.load(sys.stdin)
    except ValueError as error:
        raise SpecError([Fault(message=f"is not JSON: {error}", source="<stdin>")]) from error
    if not isinstance(document, dict):
        raise SpecError([Fault(message="must be a JSON object", source="<stdin>")])
    return ModelArchitecture({"_name_or_path": "<stdin>", **document}, kv_dtype=kv_dtype)


def engine_settings(
    engine: str, utilization: float, batched_tokens: int, max_sequences: int
) -> EngineSettings:
    """Make the engine's settings of the options."""
    from optimizer.capacity import Engine, EngineSettings
    from optimizer.capacity.errors import CapacityError

    known = [name.value for name in Engine]
    if engine not in known:
        raise CapacityError("engine", engine, f"no such engine; known: {', '.join(known)}")
    return EngineSettings(
        engine=Engine(engine),
        utilization=utilization,
        max_num_batched_tokens=batched_tokens,
        max_num_seqs=max_sequences,
    )


def request_mix(text: str) -> list[RequestLengths]:
    """Kinds of requests of a list such as `500:100:3,4000:300`: prompt, answer, share."""
    from optimizer.capacity import RequestLengths

    kinds = []
    for part in text.split(","):
        figures = part.strip().split(":")
        try:
            lengths = [int(figure) for figure in figures[:2]]
            weight = float(figures[2]) if len(figures) == _KIND_FIGURES else 1.0
            prompt, answer = lengths
        except ValueError as error:
            wanted = "prompt:answer or prompt:answer:share, as in 500:100:3,4000:300"
            raise typer.BadParameter(f"'{part}': {wanted}", param_hint="--mix") from error
        kinds.append(RequestLengths(input_tokens=prompt, output_tokens=answer, weight=weight))
    return kinds


def whole_numbers(text: str, option: str) -> list[int]:
    """Whole numbers above 0 of a list with commas."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"'{text}': whole numbers above 0, as in 1,2,4", param_hint=option)
    return [int(part) for part in parts]


def print_json(document: dict[str, Any]) -> None:
    """Print a document on standard output, without what JSON lacks."""
    import json

    from optimizer.cli.output import write_data

    write_data(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), None)
