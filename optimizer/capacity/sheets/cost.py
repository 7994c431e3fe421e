"""Sheets `cost` and `break-even`: money per token of one's own accelerators, and of an API."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.capacity.errors import (
    CapacityError,
    require_count,
    require_fraction,
    require_positive,
)
from optimizer.capacity.sheets.case import SheetCase
from optimizer.capacity.sheets.sheet import Cell, Line, Section, Sheet, SheetTable, spelled

__all__ = ["VOLUMES", "Pricing", "break_even_sheet", "cost_sheet"]

VOLUMES = (1e9, 10e9, 100e9)
_HOURS_PER_MONTH = 720
_MILLION = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Pricing:
    """What is reckoned with.

    Parameters
    ----------
    utilization
        Part of its throughput that is used on average, in (0, 1].
    input_tokens, output_tokens
        Of a request.
    claimed_tokens_per_s
        Throughput that somebody claims for one replica, to be reckoned beside the predicted one;
        None: nobody.
    api_input_usd, api_output_usd
        Prices of an API per million tokens of prompt and of answer.

    Raises
    ------
    CapacityError
        If a figure is out of its range; names it.
    """

    utilization: float = 0.8
    input_tokens: int = 500
    output_tokens: int = 100
    claimed_tokens_per_s: float | None = None
    api_input_usd: float = 2.50
    api_output_usd: float = 10.00

    def __post_init__(self) -> None:
        require_fraction("utilization", self.utilization)
        require_count("input_tokens", self.input_tokens)
        require_count("output_tokens", self.output_tokens)
        if self.claimed_tokens_per_s is not None:
            require_positive("claimed_tokens_per_s", self.claimed_tokens_per_s)
        require_positive("api_input_usd", self.api_input_usd)
        require_positive("api_output_usd", self.api_output_usd)

    @property
    def tokens_per_answer_token(self) -> float:
        """All tokens of a request per token of its answer."""
        return (self.input_tokens + self.output_tokens) / self.output_tokens

    @property
    def api_usd_per_million_output(self) -> float:
        """Price of an API per million tokens of answer, their prompts included."""
        per_answer = self.input_tokens / self.output_tokens
        return self.api_output_usd + per_answer * self.api_input_usd


def cost_sheet(case: SheetCase, pricing: Pricing | None = None) -> Sheet:
    """Cost per million tokens: of a claim, of the predicted throughput, and by batch."""
    price = pricing or Pricing()
    sections = []
    if price.claimed_tokens_per_s is not None:
        sections.append(
            Section(
                title="As claimed",
                lines=_per_million(case, price, price.claimed_tokens_per_s, "claimed"),
            )
        )
    most = _most(case, price)
    loop = case.under_load(most, price.input_tokens, price.output_tokens)
    rate = float(loop.output_tokens_per_s)
    sections.append(
        Section(
            title=f"As predicted, with {most} requests in flight",
            lines=(
                Line(
                    name="requests in flight",
                    arithmetic=f"of {price.input_tokens + price.output_tokens / 2:g} tokens on "
                    f"average, in a pool of {case.budget.kv_tokens:,}",
                    value=float(most),
                    unit="requests",
                ),
                *_per_million(case, price, rate, "predicted"),
                Line(
                    name="per million tokens of prompt and answer",
                    arithmetic=f"/ ({price.input_tokens:,} + {price.output_tokens:,}) x "
                    f"{price.output_tokens:,}",
                    value=_usd(case, price, rate) / price.tokens_per_answer_token,
                    unit="USD",
                    note="a claim per token should say of which tokens",
                ),
            ),
        )
    )
    sections.append(_by_batch(case, price, most))
    title = f"Cost per million tokens: {case.title}"
    return Sheet(name="cost", title=title, sections=tuple(sections))


def _most(case: SheetCase, price: Pricing) -> int:
    most = case.most_requests(price.input_tokens, price.output_tokens)
    if not most:
        raise CapacityError(
            "tensor_parallel",
            case.tensor_parallel,
            f"{case.title}: the pool holds no request of that length; take more accelerators",
        )
    return most


def _usd(case: SheetCase, price: Pricing, tokens_per_s: float) -> float:
    per_hour = tokens_per_s * 3600 * price.utilization
    return case.usd_per_hour / per_hour * _MILLION


def _per_million(
    case: SheetCase, price: Pricing, tokens_per_s: float, whose: str
) -> tuple[Line, ...]:
    per_hour = tokens_per_s * 3600 * price.utilization
    money = case.usd_per_hour
    return (
        Line(
            name=f"throughput {whose}",
            arithmetic="tokens of answers, per replica",
            value=tokens_per_s,
            unit="tokens/s",
        ),
        Line(
            name=f"tokens an hour {whose}",
            arithmetic=f"{spelled(tokens_per_s)} x 3600 x {price.utilization:g}",
            value=per_hour / _MILLION,
            unit="million",
        ),
        Line(
            name=f"per million tokens {whose}",
            arithmetic=f"{money:g} USD/h / {spelled(per_hour / _MILLION)}",
            value=money / per_hour * _MILLION,
            unit="USD",
        ),
    )


def _by_batch(case: SheetCase, price: Pricing, most: int) -> Section:
    batches = sorted({*(2**k for k in range(most.bit_length())), most})
    rows: list[tuple[Cell, ...]] = []
    for batch in batches:
        loop = case.under_load(batch, price.input_tokens, price.output_tokens)
        rate = float(loop.output_tokens_per_s)
        rows.append((batch, float(loop.tpot_ms), rate, _usd(case, price, rate)))
    return Section(
        title="By requests in flight",
        table=SheetTable(
            columns=("requests", "ms per token", "tokens/s", "USD per million"), rows=tuple(rows)
        ),
        notes=("Answers are streamed; prompts are processed in between, and paid with them.",),
    )


def break_even_sheet(
    case: SheetCase, pricing: Pricing | None = None, volumes: Sequence[float] = VOLUMES
) -> Sheet:
    """Monthly cost of one's own replicas against an API, by volume of answers' tokens.

    Raises
    ------
    CapacityError
        If a volume is out of its range, or the pool holds no request.
    """
    price = pricing or Pricing()
    if not volumes:
        raise CapacityError("volumes", list(volumes), "must not be empty")
    for volume in volumes:
        require_positive("volumes", volume)
    rate = float(
        case.under_load(
            _most(case, price), price.input_tokens, price.output_tokens
        ).output_tokens_per_s
    )
    carried = rate * 3600 * _HOURS_PER_MONTH * price.utilization
    monthly = case.usd_per_hour * _HOURS_PER_MONTH
    own = monthly / carried * _MILLION
    lines = (
        Line(
            name="a replica a month",
            arithmetic=f"{case.usd_per_hour:g} USD/h x {_HOURS_PER_MONTH} h",
            value=monthly,
            unit="USD",
        ),
        Line(
            name="tokens it carries a month",
            arithmetic=f"{spelled(rate)} tokens/s x 3600 x {_HOURS_PER_MONTH} x "
            f"{price.utilization:g}",
            value=carried / 1e9,
            unit="e9 tokens of answers",
        ),
        Line(
            name="own, per million tokens of answers",
            arithmetic=f"{spelled(monthly)} / {spelled(carried / _MILLION)}",
            value=own,
            unit="USD",
            note="at that utilisation; prompts included",
        ),
        Line(
            name="API, per million tokens of answers",
            arithmetic=f"{price.api_output_usd:g} + {price.input_tokens:,} / "
            f"{price.output_tokens:,} x {price.api_input_usd:g} for their prompts",
            value=price.api_usd_per_million_output,
            unit="USD",
        ),
        *_even(price, monthly, own),
    )
    return Sheet(
        name="break-even",
        title=f"Break-even against an API: {case.title}",
        sections=(
            Section(title="Own replicas and the API", lines=lines),
            Section(
                title="By volume a month",
                table=SheetTable(
                    columns=(
                        "tokens of answers",
                        "of prompts",
                        "replicas",
                        "own USD",
                        "API USD",
                        "own / API",
                    ),
                    rows=tuple(_volume_row(price, v, carried, monthly) for v in volumes),
                ),
                notes=("Own cost grows with the replicas a volume needs; people are extra.",),
            ),
        ),
    )


def _even(price: Pricing, monthly: float, own: float) -> tuple[Line, ...]:
    api = price.api_usd_per_million_output
    if own > api:
        return (
            Line(
                name="break-even",
                arithmetic=f"never: {own:.4g} USD of one's own against {api:.4g}",
                value=None,
                unit="e9 tokens of answers",
            ),
        )
    return (
        Line(
            name="break-even",
            arithmetic=f"{spelled(monthly)} USD / {api:g} USD per million",
            value=monthly / api / 1e3,
            unit="e9 tokens of answers",
            note="the first replica pays from there on",
        ),
    )


def _volume_row(price: Pricing, volume: float, carried: float, monthly: float) -> tuple[Cell, ...]:
    replicas = math.ceil(volume / carried)
    own = replicas * monthly
    api = volume / _MILLION * price.api_usd_per_million_output
    prompts = volume * price.input_tokens / price.output_tokens
    return (volume, prompts, replicas, own, api, f"{own / api:.0%}")
