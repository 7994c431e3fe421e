"""The page that takes a widespread estimation sheet claim by claim, with our own figures.

python -m benchmarks.reference_sheet             # print the page
python -m benchmarks.reference_sheet --write     # write docs/background/reference-sheet.md
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from optimizer.capacity import EngineSettings
from optimizer.capacity.sheets import (
    PLANNED_LOADS,
    Pricing,
    Sheet,
    SheetCase,
    batch_sheet,
    break_even_sheet,
    concurrency_sheet,
    cost_sheet,
    kv_sheet,
    memory_sheet,
    planning_sheet,
    reference_case,
    roofline_sheet,
    scaling_sheet,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "background" / "reference-sheet.md"
COMMAND = "python -m benchmarks.reference_sheet --write"
CLAIMED_TOKENS_PER_S = 50_000.0

INTRODUCTION = f"""# An estimation sheet, claim by claim

Sheets like this one go around: Llama-2-70B in int8 on one H100 of 80 GB. Some of its figures are
right, some are bounds taken for forecasts, some contradict each other. Ours stand beside them; each
command shows its arithmetic. *Found* and *predicted* figures come from [capacity](capacity.md) and
[iteration times](iteration-times.md), whose pages say how far they are off: a standard deviation of
12 % for such a model. `{COMMAND}` makes this page, and a test compares.
"""
LEGEND = """holds: right as it stands. bound: right as a limit that nothing passes, not as forecast.
in part: see the right column. no: the arithmetic says otherwise, or another line of the sheet.
"""

Verdict = Literal["holds", "bound", "in part", "no"]


@dataclass(frozen=True)
class Claim:
    """What the sheet says, whether it holds, and what does."""

    words: str
    verdict: Verdict
    instead: str


@dataclass(frozen=True)
class Part:
    """Claims of one section, and the commands that show the arithmetic."""

    title: str
    commands: tuple[str, ...]
    claims: tuple[Claim, ...]


def page() -> str:
    """Return the whole page."""
    case = reference_case()
    parts = [
        memory_part(case),
        concurrency_part(case),
        roofline_part(case),
        batch_part(case),
        objectives_part(case),
        scaling_part(case),
        cost_part(case),
        *planning_parts(case),
    ]
    return "\n".join([INTRODUCTION, LEGEND, *map(written, parts)])


def written(part: Part) -> str:
    """Return a section as Markdown."""
    shown = ", ".join(f"`fleetopt capacity sheet {command}`" for command in part.commands)
    rows = [f"| {one.words} | {one.verdict} | {one.instead} |" for one in part.claims]
    table = "\n".join(["| the sheet says | | what holds |", "| --- | --- | --- |", *rows])
    return f"## {part.title}\n\n{shown}\n\n{table}\n"


def value(sheet: Sheet, name: str) -> float:
    """Figure of a line."""
    found = sheet.value(name)
    assert found is not None
    return found


def column(sheet: Sheet, title: str, heading: str) -> list[float]:
    """Figures of a column, nan where there is none."""
    table = sheet.table(title)
    place = table.columns.index(heading)
    cells = [row[place] for row in table.rows]
    return [float(cell) if isinstance(cell, int | float) else float("nan") for cell in cells]


def slashed(values: list[float], form: str = ",.0f") -> str:
    """Figures with slashes between."""
    return "/".join(f"{one:{form}}" for one in values)


def memory_part(case: SheetCase) -> Part:
    memory, kv = memory_sheet(case), kv_sheet(case)
    billions = case.model.num_parameters / 1e9
    found = value(memory, "pool found")
    wider = reference_case(settings=EngineSettings(utilization=0.92))
    return Part(
        "Memory",
        ("memory", "kv"),
        (
            Claim(
                "weights 70 GB in int8",
                "holds",
                f"{billions:.2f}e9 parameters; with scales, and embeddings in 16 bits, "
                f"{case.model.model_memory_gb('int8'):.1f} GB",
            ),
            Claim(
                "80 - 70 - 2 - 2 = 6 GB for the KV cache",
                "in part",
                f"a program finds {value(memory, 'memory found'):.2f} GiB, of which vLLM uses 90 "
                "%: "
                f"{value(memory, 'used by the engine'):.2f} - "
                f"{value(memory, 'weights found'):.2f} - "
                f"{value(memory, 'activation peak'):.2f} - "
                f"{value(memory, 'outside of the framework'):.2f} = {found:.2f} GiB "
                f"({found * 2**30 / 1e9:.2f} GB); {wider.budget.kv_pool_gb:.2f} GB at 92 %",
            ),
            Claim(
                "327,680 bytes per token",
                "holds",
                "80 layers x 8 heads x 128 x 2 (keys and values) x 2 bytes: 320 KiB, not 320 kB",
            ),
            Claim(
                "6 GB / 320 kB = 18,750 tokens",
                "no",
                f"6e9 / 327,680 = {value(kv, 'pool, GB = 1e9 bytes'):,.0f}; 6 GiB hold "
                f"{value(kv, 'pool, GB = 2^30 bytes'):,.0f}; {value(kv, 'pool, units mixed'):,.0f} "
                "mixes decimal with binary units; vLLM's own pool holds "
                f"{case.budget.kv_tokens:,}",
            ),
            Claim(
                "a block of 16 tokens takes 5.12 MB; 1,172 blocks",
                "no",
                f"16 x 327,680 = {value(kv, 'block'):.2f} MB = 5 MiB; 6e9 bytes are "
                f"{int(6e9 // (16 * 327_680)):,} blocks",
            ),
        ),
    )


def concurrency_part(case: SheetCase) -> Part:
    sheet, title = concurrency_sheet(case), "Whole requests at once"
    readings = {
        name: slashed(column(sheet, title, name))
        for name in ("GB = 1e9 bytes", "GB = 2^30 bytes", "units mixed")
    }
    logged = slashed(column(sheet, title, "as the engine logs it"), ".1f")
    met = slashed(column(sheet, title, "met half-way through"), ".1f")
    long = case.kv.at(131_072, 1).per_request_kv_cache_bytes / 1e9
    shared = concurrency_sheet(case, [2048], 512)
    alone = column(sheet, title, "while decoding")[2]
    more = column(shared, title, "while decoding")[0]
    return Part(
        "Requests at once",
        ("concurrency",),
        (
            Claim(
                "36/18/9/4/2 requests of 512/1024/2048/4096/8192 tokens",
                "in part",
                f"with units mixed {readings['units mixed']}; in GB {readings['GB = 1e9 bytes']}, "
                "in "
                f"GiB {readings['GB = 2^30 bytes']}; in the pool found {logged} while all are at "
                f"their full length, {met} of half prompt, half answer on average. Llama-2 ends at "
                "4,096 tokens",
            ),
            Claim(
                "more than 100 concurrent requests per GPU",
                "no",
                f"100 requests leave {case.budget.kv_tokens / 100:.0f} tokens each, prompt and "
                "answer",
            ),
            Claim(
                "contexts of 128K tokens and more",
                "no",
                f"131,072 x 327,680 bytes = {long:.1f} GB for one request, against a pool of 6",
            ),
            Claim(
                "prefix caching adds 30 to 50 %",
                "in part",
                f"it depends on what is shared: of 2,048 tokens 512 shared, {alone:.1f} become "
                f"{more:.1f} requests ({more / alone - 1:+.0%})",
            ),
        ),
    )


def roofline_part(case: SheetCase) -> Part:
    sheet, short = roofline_sheet(case), roofline_sheet(case, 500)
    bound, predicted = (
        value(sheet, name) for name in ("decode bound at batch 1", "predicted decode at batch 1")
    )
    return Part(
        "Roofline",
        ("roofline",),
        (
            Claim(
                "ridge at 1,979 / 3.35 = 591 operations per byte; decode has 2",
                "holds",
                "int8 has the throughput of fp8 on this card; the ridge is at a batch of "
                f"{value(sheet, 'batch at the ridge'):.0f}",
            ),
            Claim(
                "20.9 ms per token, 48 tokens/s, at batch 1",
                "bound",
                f"70 GB / 3.35 TB/s = {bound:.1f} ms; predicted {predicted:.1f} ms, "
                f"{1e3 / predicted:.0f} tokens/s: the card reaches "
                f"{float(case.replica.efficiencies.weight_bandwidth):.0%} of its bandwidth, "
                "and kernels and engine take time",
            ),
            Claim(
                "prefill of 1,000 tokens: 2 x 70e9 x 1,000 x 6 operations, 425 ms",
                "no",
                f"2 x parameters x tokens = {value(sheet, 'operations by hand'):.0f} TFLOP has "
                "attention's projections and feed-forward in it; scores and values are "
                f"{_attention_share(case, 1000):.1%} of all. "
                f"Bound {value(sheet, 'prefill bound'):.0f} ms, predicted "
                f"{value(sheet, 'predicted prefill'):.0f} ms",
            ),
            Claim(
                "100 to 150 ms with flash attention",
                "in part",
                "near the prediction, for another reason: attention is 1 % of the operations, so "
                "how it is computed cannot save three quarters",
            ),
            Claim(
                "prefill of 500 tokens in 75 ms",
                "holds",
                f"predicted {value(short, 'predicted prefill'):.0f} ms",
            ),
        ),
    )


def _attention_share(case: SheetCase, tokens: int) -> float:
    """Scores and values among the operations of a prompt."""
    rest = tokens * case.work.prefill_flops_per_token
    head = case.work.decode_flops_per_token - case.work.prefill_flops_per_token
    return 1 - (rest + head) / case.work.prefill_flops(tokens)


def batch_part(case: SheetCase) -> Part:
    sheet = batch_sheet(case)
    predicted = column(sheet, "By batch", "predicted ms")
    cache = column(sheet, "By batch", "KV GB")
    return Part(
        "Throughput against batch",
        ("batch",),
        (
            Claim(
                "21/21/21/22/24/28 ms at batch 1/4/8/16/32/64",
                "bound",
                f"comes out as {slashed(column(sheet, 'By batch', 'rounded down'))} with 1,200 "
                "tokens "
                f"of context each, rounded down; predicted {slashed(predicted, '.1f')}",
            ),
            Claim(
                "48/190/381/727/1,333/2,286 tokens/s",
                "bound",
                "batch over those times; predicted "
                f"{slashed(column(sheet, 'By batch', 'tokens/s predicted'))}, without prefills",
            ),
            Claim(
                "batch 64",
                "no",
                f"64 sequences of 1,200 tokens are {cache[-1]:.1f} GB of cache, 16 are "
                f"{cache[3]:.1f}; the sheet's own pool of 6 GB holds "
                f"{int(value(sheet, 'sequences in the pool by hand'))}, the pool found "
                f"{int(value(sheet, 'sequences in the pool found'))}",
            ),
            Claim(
                "50,000 tokens/s steadily, at batch 8, prefill and decode mixed",
                "no",
                f"its own row for batch 8 says 381; {_most_words(case)}",
            ),
        ),
    )


def _most_words(case: SheetCase) -> str:
    sheet = cost_sheet(case)
    rate = value(sheet, "throughput predicted")
    most = value(sheet, "requests in flight")
    return (
        f"predicted {rate:.0f} output tokens/s with the {most:.0f} requests of 500 + 100 tokens "
        f"that fit, {6 * rate:,.0f} with prompt tokens counted"
    )


def objectives_part(case: SheetCase) -> Part:
    one = case.decode_ms(1, 550)
    ttft = case.first_token_ms(500)
    return Part(
        "Objectives",
        ("roofline", "scaling"),
        (
            Claim(
                "ITL p50 below 20 ms, more than 50 tokens/s per request",
                "no",
                "20.9 ms and 48 tokens/s are its own bound for a single request on one card; "
                f"predicted {one:.1f} ms, and {_with_two(case)} on two cards",
            ),
            Claim(
                "end to end below 2 s at 100 output tokens",
                "no",
                f"100 x 20 ms leave nothing for the first token; predicted on an idle card "
                f"{ttft / 1e3:.2f} + 99 x {one / 1e3:.4f} = {(ttft + 99 * one) / 1e3:.2f} s",
            ),
            Claim(
                "TTFT p50 below 100 ms, p99 below 200 ms",
                "in part",
                f"predicted {ttft:.0f} ms for 500 tokens on an idle card, the front end's 28 ms "
                "included; queueing comes on top",
            ),
            Claim(
                "100 requests/s and 50,000 output tokens/s",
                "no",
                "at 100 output tokens, 100 requests/s are 10,000 tokens/s; 50,000 are 500 "
                "requests/s",
            ),
        ),
    )


def _with_two(case: SheetCase) -> str:
    two = case.spread(2)
    assert two is not None
    return f"{two.decode_ms(1, 550):.1f} ms"


def scaling_part(case: SheetCase) -> Part:
    sheet, title = scaling_sheet(case), "By tensor parallelism"
    ttft = column(sheet, title, "TTFT ms")
    equal = column(sheet, title, "tokens/s per card, batch 8")
    full = column(sheet, title, "per card, full")
    held = column(sheet, title, "requests at once")
    changes = "/".join(f"{one / ttft[0] - 1:+.0%}" for one in ttft[1:])
    shares, yields = (
        "/".join(f"{one / values[0]:.0%}" for one in values[1:]) for values in (equal, full)
    )
    return Part(
        "Scaling",
        ("scaling",),
        (
            Claim(
                "TTFT -20/-35/-45 % with 2/4/8 cards",
                "in part",
                f"predicted {changes} for prompts of 500 tokens",
            ),
            Claim(
                "throughput per GPU 95/90/85 % with 2/4/8 cards",
                "no",
                f"at batch 8 predicted {shares}; with each replica full {yields}, because more "
                "than "
                f"one card's weights free memory: {slashed(held)} requests at once on 1/2/4/8 "
                "cards "
                "(at most 1,024 sequences)",
            ),
            Claim(
                "50K/200K/800K/3.2M tokens/s with 1/4/16/64 instances",
                "in part",
                "proportional, yes; predicted "
                f"{slashed(column(sheet, 'By instances', 'tokens/s'))}",
            ),
        ),
    )


def cost_part(case: SheetCase) -> Part:
    cost = cost_sheet(case, Pricing(claimed_tokens_per_s=CLAIMED_TOKENS_PER_S))
    even = break_even_sheet(case)
    own = value(cost, "per million tokens predicted")
    api = value(even, "API, per million tokens of answers")
    replicas = column(even, "By volume a month", "replicas")
    money = column(even, "By volume a month", "own USD")
    bills = column(even, "By volume a month", "API USD")
    carried = CLAIMED_TOKENS_PER_S * 3600 * 720 * 0.8 / 1e9
    return Part(
        "Cost",
        ("cost --claimed-tokens-per-s 50000", "break-even"),
        (
            Claim(
                "3.50 USD/h at 50,000 tokens/s, 80 % busy: 0.024 USD per million tokens",
                "no",
                f"right division, wrong throughput: predicted {own:.2f} USD per million output "
                f"tokens, prompts included, or "
                f"{value(cost, 'per million tokens of prompt and answer'):.2f} per million tokens "
                "of "
                "prompt and answer",
            ),
            Claim(
                "GPT-4o at 2.50 USD per million output tokens; 60 to 600 times cheaper",
                "no",
                "2.50 is the price of input tokens, output is 10.00; a million output tokens with "
                f"five million of prompts costs {api:.2f}, {api / own:.0f} times the predicted "
                "cost",
            ),
            Claim(
                "2,520 USD a month whatever the volume, 25,200 at 100e9 tokens",
                "no",
                "3.50 x 720 h = 2,520 is one card; at 50,000 tokens/s it would carry "
                f"{carried:.0f}e9 "
                "tokens, so that even the last row contradicts the claim. Predicted: "
                f"{value(even, 'tokens it carries a month'):.2f}e9 output tokens a month per card, "
                f"{slashed(replicas)} cards and {slashed(money)} USD for 1/10/100e9, against an "
                f"API's {slashed(bills)}",
            ),
            Claim(
                "break-even at 1e9 tokens a month",
                "no",
                f"2,520 / {api:.2f} per million: {value(even, 'break-even'):.2f}e9 output tokens "
                "with "
                "their prompts, if the card is kept busy and people are free",
            ),
        ),
    )


def planning_parts(case: SheetCase) -> list[Part]:
    sheets = {name: planning_sheet(case, load) for name, load in PLANNED_LOADS.items()}
    chat, code, rag = (sheets[name] for name in ("chatbot", "code-assistant", "rag"))
    return [
        Part("Support chatbot", ("plan chatbot",), _chatbot(chat)),
        Part("Code assistant", ("plan code-assistant",), _code_assistant(code)),
        Part("Retrieval-augmented answers", ("plan rag",), _rag(rag)),
    ]


def _cards(sheet: Sheet) -> str:
    """Accelerators by degree, and the fewest."""
    title = "By accelerators of a replica"
    cards, degrees = column(sheet, title, "accelerators"), column(sheet, title, "TP")
    fewest = min(cards)
    best = degrees[cards.index(fewest)]
    return (
        f"{slashed(cards)} cards in replicas of {slashed(degrees)}; fewest {fewest:.0f}, in "
        "replicas "
        f"of {best:.0f}"
    )


def _chatbot(sheet: Sheet) -> tuple[Claim, ...]:
    return (
        Claim(
            "600e6 tokens a day, 6,944 a second, 20,832 at a peak of 3",
            "holds",
            f"prompts and answers added up; at the peak "
            f"{value(sheet, 'prompt tokens at the peak'):,.0f} of prompts and "
            f"{value(sheet, 'answer tokens at the peak'):,.0f} of answers a second, which cost "
            "differently",
        ),
        Claim(
            "one H100, 42 % busy",
            "no",
            f"prefill alone takes {value(sheet, 'accelerators at full throughput'):.1f} cards at "
            "full "
            f"throughput, {value(sheet, 'accelerators at predicted times'):.1f} as predicted; with "
            f"answers {_cards(sheet)}",
        ),
    )


def _code_assistant(sheet: Sheet) -> tuple[Claim, ...]:
    return (
        Claim(
            "278K prompt tokens/s and 6,944 output tokens/s in the peak hour",
            "holds",
            f"{value(sheet, 'peak rate'):.1f} requests/s x 2,000 and x 50 tokens",
        ),
        Claim(
            "278K / 50K: 6 H100, 9 with headroom",
            "no",
            f"prefill alone is {value(sheet, 'prefill operations') / 1e3:.1f} PFLOPS: "
            f"{value(sheet, 'accelerators at full throughput'):.1f} cards at full throughput, "
            f"{value(sheet, 'accelerators at predicted times'):.0f} as predicted; with answers "
            f"{_cards(sheet)}",
        ),
    )


def _rag(sheet: Sheet) -> tuple[Claim, ...]:
    flight = value(sheet, "requests in flight")
    return (
        Claim(
            "133K prompt tokens/s and 8,333 output tokens/s",
            "holds",
            f"{value(sheet, 'peak rate'):.2f} requests/s x 8,000 and x 500 tokens",
        ),
        Claim(
            "contexts of 8,000 tokens",
            "no",
            "Llama-2-70B ends at 4,096; the figures are for a model of its size that does not",
        ),
        Claim(
            "prefill in 400 ms",
            "no",
            f"bound {1e3 * value(sheet, 'accelerators at full throughput') / (1000 / 60):.0f} ms, "
            "predicted "
            f"{1e3 * value(sheet, 'accelerators at predicted times') / (1000 / 60):,.0f} ms, on "
            "one "
            "card",
        ),
        Claim(
            "1,000 / 60 = 17 concurrent requests",
            "no",
            f"16.7 is arrivals a second; by Little's law 16.7/s x "
            f"{value(sheet, 'latency of a request'):.1f} s = {flight:.0f} requests are in flight "
            "on "
            f"replicas of one card, {value(sheet, 'KV cache in flight'):.0f} GB of cache",
        ),
        Claim(
            "17 / 2: 9 GPUs; 2 nodes of 8 with 8 instances",
            "no",
            f"prefill alone takes {value(sheet, 'accelerators at full throughput'):.1f} cards at "
            "full "
            f"throughput; with answers {_cards(sheet)}",
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reference_sheet", description=__doc__
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    if parser.parse_args().write:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        print(page())


if __name__ == "__main__":
    main()
