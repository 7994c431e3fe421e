"""Sheet `scaling`: more accelerators per replica, and more replicas."""

from __future__ import annotations

from collections.abc import Sequence

from optimizer.capacity.errors import CapacityError, require_count
from optimizer.capacity.sheets.case import SheetCase
from optimizer.capacity.sheets.sheet import Cell, Section, Sheet, SheetTable

__all__ = ["DEGREES", "INSTANCES", "scaling_sheet"]

DEGREES = (1, 2, 4, 8)
INSTANCES = (1, 4, 16, 64)
_EQUAL_BATCH = 8


def scaling_sheet(
    case: SheetCase,
    degrees: Sequence[int] = DEGREES,
    instances: Sequence[int] = INSTANCES,
    *,
    input_tokens: int = 500,
    output_tokens: int = 100,
) -> Sheet:
    """Predicted latency and throughput by degree of tensor parallelism and by instances.

    Raises
    ------
    CapacityError
        If a figure is out of its range; names it.
    """
    if not degrees or not instances:
        raise CapacityError("degrees", list(degrees), "degrees and instances must not be empty")
    for name, values in (("degrees", degrees), ("instances", instances)):
        for value in values:
            require_count(name, value)
    prompt = require_count("input_tokens", input_tokens)
    answer = require_count("output_tokens", output_tokens)
    rate = _tokens_per_s(case, prompt, answer)
    return Sheet(
        name="scaling",
        title=f"Scaling: {case.title}, prompts of {prompt:,} and answers of {answer:,} tokens",
        sections=(
            Section(
                title="By tensor parallelism",
                table=SheetTable(
                    columns=(
                        "TP",
                        "memory GB",
                        "tokens in the pool",
                        "requests at once",
                        "TTFT ms",
                        "TTFT against the first",
                        "decode ms, batch 1",
                        f"tokens/s per card, batch {_EQUAL_BATCH}",
                        "tokens/s, full",
                        "per card, full",
                    ),
                    rows=tuple(_degree_rows(case, degrees, prompt, answer)),
                ),
                notes=(
                    "At an equal batch a card yields less the more share the work: all-reduces, "
                    "and kernels that do not shrink. Full, it may yield more: weights take a "
                    "smaller part of each card, and the batch grows with the pool.",
                ),
            ),
            Section(
                title="By instances",
                table=SheetTable(
                    columns=("instances", "tokens/s", "USD/h"),
                    rows=tuple((n, n * rate, _price(case, n)) for n in instances),
                ),
                notes=(
                    "Instances share nothing, so throughput and cost are in proportion; replicas "
                    "of one service need a router, and queue less together than apart.",
                ),
            ),
        ),
    )


def _degree_rows(
    case: SheetCase, degrees: Sequence[int], prompt: int, answer: int
) -> list[tuple[Cell, ...]]:
    rows: list[tuple[Cell, ...]] = []
    first: float | None = None
    for degree in degrees:
        spread = case.spread(degree)
        if spread is None:
            rows.append((degree, *[None] * 9))
            continue
        latency = spread.first_token_ms(prompt)
        first = latency if first is None else first
        full = _tokens_per_s(spread, prompt, answer)
        equal = spread.under_load(_EQUAL_BATCH, prompt, answer).output_tokens_per_s
        rows.append(
            (
                degree,
                spread.nominal_memory_gb,
                spread.budget.kv_tokens,
                spread.most_requests(prompt, answer),
                latency,
                f"{latency / first - 1:+.0%}",
                spread.decode_ms(1, prompt),
                float(equal) / degree,
                full,
                full / degree,
            )
        )
    return rows


def _tokens_per_s(case: SheetCase, prompt: int, answer: int) -> float:
    """Output tokens with as many requests as the pool holds; 0 where it holds none."""
    most = case.most_requests(prompt, answer)
    return float(case.under_load(most, prompt, answer).output_tokens_per_s) if most else 0.0


def _price(case: SheetCase, instances: int) -> float | None:
    price = case.facts.usd_per_hour
    return None if price is None else price * case.tensor_parallel * instances
