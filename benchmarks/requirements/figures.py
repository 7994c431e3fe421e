"""Figures of the requirements: computed by the performance model, simulated, or measured."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmarks.engine_speed.__main__ import TIMING, block_ns, scheduling_us, swap_stall_ms
from optimizer.capacity import EngineSettings, ModelArchitecture, ParallelLayout, kv_format
from optimizer.capacity.replica_estimate import (
    ReplicaEstimate,
    RequestSize,
    Unfit,
    estimate_replica,
    single_replica,
)
from optimizer.catalog import accelerator, model_configuration, storage_device
from optimizer.engine import (
    Arrivals,
    ConstantRate,
    DrawnWorkload,
    EngineConfig,
    Run,
    TraceWorkload,
    read_trace,
    simulate_replicas,
)
from optimizer.engine.simulated_pair import SimulatedPair
from optimizer.performance import Work, iteration_ms
from queue_models import (
    IterationTiming,
    Lengths,
    Metric,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
    get,
)

__all__ = ["CAPACITY", "MEASURED", "SIMULATED", "Figure", "read_figures", "write_figures"]

TRACES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "traces"

P99 = Statistic(Metric.TTFT, 99.0)
ITL = Statistic(Metric.ITL)
SMALL, LARGE = "meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-70B"
REQUEST = RequestSize(input_tokens=512, output_tokens=128)
# Model, precision, accelerator, tensor parallelism.
REPLICAS = (
    (SMALL, "bf16", "L4", 1),
    (SMALL, "bf16", "A100-80GB-SXM", 1),
    (SMALL, "bf16", "H100-SXM", 1),
    (LARGE, "fp8", "H100-SXM", 2),
    (LARGE, "fp8", "H100-SXM", 4),
    (LARGE, "fp8", "H100-SXM", 8),
    (LARGE, "bf16", "A100-80GB-SXM", 8),
    (LARGE, "bf16", "H100-SXM", 8),
    (LARGE, "fp8", "H200-SXM", 2),
    (LARGE, "fp8", "B200-SXM", 2),
)


@dataclass(frozen=True)
class Figure:
    """One figure of a requirement; `holds` is None where it is beside the point."""

    requirement: str
    setting: str
    figure: str
    value: float
    unit: str
    holds: bool | None = None


def estimated(
    model: str, precision: str, card: str, tensor: int, request: RequestSize = REQUEST
) -> ReplicaEstimate | Unfit:
    """Return what a replica can be expected to do."""
    return estimate_replica(
        ModelArchitecture(model_configuration(model)),
        accelerator(card),
        [request],
        tensor_parallel=tensor,
        precision=_served(precision),
    )


def _served(precision: str) -> str:
    return "bfloat16" if precision == "bf16" else precision


def named(model: str, precision: str, card: str, tensor: int) -> str:
    """Name a replica for people."""
    return f"{model.rpartition('/')[2]} {precision}, {tensor} x {card}"


def process_of(replica: ReplicaEstimate, request: RequestSize = REQUEST) -> ServiceProcess:
    """Return a replica and its requests in the words of the queue models."""
    law = replica.timing.timing
    return ServiceProcess(
        IterationTiming(*(np.ravel(getattr(law, f.name)) for f in fields(law))),
        Lengths.fixed(request.input_tokens),
        Lengths.fixed(request.output_tokens),
        np.array([replica.max_batch]),
        chunk_tokens=replica.chunk_tokens,
        kv_capacity_tokens=replica.kv_capacity_tokens,
    )


def latencies() -> Iterator[Figure]:
    """NFR-3, NFR-4: the largest rates at which they hold, and what a simulation says there."""
    model = get("iteration-level")
    for replica in REPLICAS:
        name, found = named(*replica), estimated(*replica)
        if isinstance(found, Unfit):
            continue
        process = process_of(found)
        ttft = Target(P99, np.array([200.0]))
        itl = Target(ITL, np.array([20.0]))
        idle = model.evaluate(process, np.array([1e-3]), [P99])
        yield Figure("NFR-3", name, "p99 of TTFT without load", float(idle.value(P99)[0]), "ms",
                     bool(idle.value(P99)[0] < 200.0))  # fmt: skip
        rate = float(model.max_rate(process, Targets((ttft,)))[0])
        yield Figure("NFR-3", name, "largest rate of a replica", rate, "requests/s", rate > 0)
        if rate > 0:
            p99 = _simulated(process, rate).statistics[P99].value
            yield Figure("NFR-3", name, "p99 of TTFT simulated there", p99, "ms")
        alone = 1e3 / float(idle.itl_ms[0])
        yield Figure("NFR-4", name, "of a request alone", alone, "tokens/s", alone > 50.0)
        both = float(model.max_rate(process, Targets((ttft, itl)))[0])
        yield Figure("NFR-4", name, "largest rate with both", both, "requests/s", both > 0)
        if both > 0:
            value = 1e3 / _simulated(process, both).statistics[ITL].value
            yield Figure("NFR-4", name, "tokens/s of a request simulated there", value, "tokens/s")


def _simulated(process: ServiceProcess, rate: float) -> Run:
    return SimulatedPair.of(process, rate, blocks=True).run(
        (P99, ITL), precision=0.03, least_requests=100_000, most_requests=400_000, seed=1
    )


def throughput() -> Iterator[Figure]:
    """NFR-5: tokens per second of a saturated replica, and cards for 50,000."""
    model = get("iteration-level")
    for replica in REPLICAS:
        if replica[0] != LARGE:
            continue
        name, found = named(*replica), estimated(*replica)
        if isinstance(found, Unfit):
            continue
        rate = float(model.max_rate(process_of(found), Targets())[0])
        for tokens, what in ((128, "output tokens"), (640, "prompt and output tokens")):
            cards = replica[3] * math.ceil(50_000 / (tokens * rate))
            per_s = tokens * rate
            yield Figure("NFR-5", name, f"{what} of a replica", per_s, "tokens/s", per_s > 50_000)
            yield Figure("NFR-5", name, f"cards for 50,000 {what}/s", cards, "cards")
        yield Figure("NFR-5", name, "largest batch", found.max_batch, "requests")


def fragmentation() -> Iterator[Figure]:
    """NFR-6: slots without a token in the blocks of running requests, simulated."""
    for prompt, output in ((64, 32), (128, 64), (512, 128), (2048, 256)):
        rate = 8.0 * 512 / max(prompt, 512)
        run = simulate_replicas(
            EngineConfig(num_blocks=16_384),
            TIMING,
            DrawnWorkload(
                Arrivals(ConstantRate(rate)), Lengths.geometric(prompt), Lengths.geometric(output)
            ),
            least_requests=50_000,
            most_requests=50_000,
        )
        share = 100.0 * run.usage.fragmentation
        yield Figure("NFR-6", f"prompts of {prompt}, outputs of {output} tokens, geometric; "
                     f"blocks of 16", "slots without a token", share, "%", share < 5.0)  # fmt: skip


def prefix_hits() -> Iterator[Figure]:
    """NFR-7: of two public traces, by the size of the cache; nothing where these are not here."""
    for file in ("mooncake_conversation_0-40min.jsonl", "mooncake_synthetic_0-11min.jsonl"):
        if not (TRACES / file).exists():
            return
        for tokens in (500_000, 2_000_000, 8_000_000, 100_000_000):
            run = simulate_replicas(
                EngineConfig(num_blocks=tokens // 16, max_model_len=1 << 20, max_num_seqs=512),
                IterationTiming(1.0, 0.0, 0.0005),
                TraceWorkload(read_trace(TRACES / file)),
                precision=0.5,
            )
            share = 100.0 * run.usage.prefix_hit_share
            setting = f"{file.split('_0-')[0]}, cache of {tokens:,} tokens"
            yield Figure("NFR-7", setting, "prompt tokens found", share, "%", share > 30.0)


def success() -> Iterator[Figure]:
    """NFR-8: a million requests at 95 % of what a replica can do, and what a crash takes."""
    found = estimated(SMALL, "bf16", "H100-SXM", 1)
    assert isinstance(found, ReplicaEstimate)
    process = process_of(found)
    rate = 0.95 * float(get("iteration-level").max_rate(process, Targets())[0])
    run = SimulatedPair.of(process, rate, blocks=True).run(
        (), precision=0.5, least_requests=1_000_000, most_requests=1_000_000, seed=1
    )
    served = 100.0 * (1.0 - run.refused_share)
    name = named(SMALL, "bf16", "H100-SXM", 1)
    yield Figure("NFR-8", f"{name}, at 95 % of its capacity", "completed of 1,000,000", served,
                 "%", served > 99.9)  # fmt: skip
    per_day = 86_400 * rate
    kept = 100.0 * (1.0 - (run.usage.running + 60.0 * rate) / per_day)
    yield Figure("NFR-8", f"{name}, one crash a day, back after 60 s, nobody retries",
                 "completed, of one replica", kept, "%", kept > 99.9)  # fmt: skip
    fleet = 100.0 * (1.0 - run.usage.running / per_day)
    yield Figure("NFR-8", f"{name}, one crash a day, others take what comes meanwhile",
                 "completed, of one replica", fleet, "%", fleet > 99.9)  # fmt: skip


def recovery() -> Iterator[Figure]:
    """NFR-9: time to read the weights again, by where they lie."""
    for model, precision, cards in ((SMALL, "bf16", 1), (LARGE, "bf16", 8), (LARGE, "fp8", 2)):
        architecture = ModelArchitecture(model_configuration(model))
        gigabytes = architecture.model_memory_gb(_served(precision))
        for device in ("cpu_dram_pcie5", "nvme_gen4", "aws_efs_elastic"):
            gb_s = storage_device(device).read_gb_s
            assert gb_s is not None
            # A card's way to host memory is its own; a disk or a network is shared by all cards.
            own = storage_device(device).kind == "cpu_dram"
            seconds = gigabytes / gb_s / (cards if own else 1)
            setting = f"{model.rpartition('/')[2]} {precision} on {cards} cards, from {device}"
            yield Figure("NFR-9", setting, "reading weights", seconds, "s", seconds < 60.0)


def concurrent() -> Iterator[Figure]:
    """NFR-11, NFR-12: requests that a card's KV cache holds at once."""
    for replica in ((SMALL, "bf16", "H100-SXM", 1), (SMALL, "bf16", "L4", 1),
                    (LARGE, "fp8", "H100-SXM", 1), (LARGE, "fp8", "H100-SXM", 2),
                    (LARGE, "bf16", "H100-SXM", 8), (LARGE, "fp8", "B200-SXM", 1)):  # fmt: skip
        for tokens in (640, 2048):
            request = RequestSize(input_tokens=0.8 * tokens, output_tokens=0.2 * tokens)
            found = estimated(*replica, request)
            held = 0.0 if isinstance(found, Unfit) else found.kv_capacity_tokens / tokens
            per_card = held / replica[3]
            yield Figure("NFR-11", named(*replica), f"of {tokens:,} tokens at once, per card",
                         per_card, "requests", per_card > 100.0)  # fmt: skip
        whole = RequestSize(input_tokens=130_000, output_tokens=1_072)
        found = estimated(*replica, whole)
        held = 0.0 if isinstance(found, Unfit) else found.kv_capacity_tokens / whole.tokens
        yield Figure("NFR-12", named(*replica), "of 131,072 tokens at once, per replica", held,
                     "requests", held >= 1.0)  # fmt: skip


def scaling() -> Iterator[Figure]:
    """NFR-13: a decode iteration of 64 requests, and a prompt of 2,048 tokens, on more cards."""
    for model, precision in ((SMALL, "bf16"), (LARGE, "fp8")):
        architecture = ModelArchitecture(model_configuration(model))
        times = {}
        for tensor in (1, 2, 4, 8):
            replica = single_replica(
                architecture,
                accelerator("H100-SXM"),
                architecture.weights_in(_served(precision)),
                kv_format("auto", architecture.architecture),
                ParallelLayout(tensor=tensor),
                EngineSettings(),
            )
            decode = Work(decode_tokens=64.0, context_tokens=640.0)
            prefill = Work(decode_tokens=0.0, context_tokens=0.0, prefill_tokens=2048.0,
                           prefill_context_tokens=1024.0, prompts=1.0)  # fmt: skip
            times[tensor] = [float(iteration_ms(replica, work)) for work in (decode, prefill)]
            names = ("decode of 64", "prompt of 2,048 tokens")
            for one, first, what in zip(times[tensor], times[1], names, strict=True):
                name = named(model, precision, "H100-SXM", tensor)
                share = 100.0 * first / one / tensor
                yield Figure("NFR-13", name, f"{what}: share of linear speed",
                             share, "%", share > 80.0 if tensor == 8 else None)  # fmt: skip


def throughput_by_cards() -> Iterator[Figure]:
    """NFR-13: output tokens per second and card of a saturated replica, against that of two."""
    model = get("iteration-level")
    per_card = {}
    for tensor in (2, 4, 8):
        found = estimated(LARGE, "fp8", "H100-SXM", tensor)
        assert isinstance(found, ReplicaEstimate)
        per_card[tensor] = float(model.max_rate(process_of(found), Targets())[0]) / tensor
        share = 100.0 * per_card[tensor] / per_card[2]
        name = named(LARGE, "fp8", "H100-SXM", tensor)
        yield Figure("NFR-13", name, "most tokens/s per card, against two cards", share, "%",
                     share > 80.0 if tensor == 8 else None)  # fmt: skip


def blocks_and_scheduling() -> Iterator[Figure]:
    """NFR-1, NFR-2, NFR-10: measured."""
    nanoseconds = block_ns(20_000)
    yield Figure("NFR-1", "take, evict, cache and free a block", "CPU time", nanoseconds, "ns",
                 nanoseconds < 1000.0)  # fmt: skip
    core, called, told = scheduling_us(256, 20_000)
    for setting, value in (("in compiled code", core), ("called from Python", called),
                           ("with every token told", told)):  # fmt: skip
        yield Figure("NFR-2", f"256 running, {setting}", "CPU time of an iteration", value, "µs",
                     value < 100.0)  # fmt: skip
    swap_stall_ms(256, 8)
    for prompt, seats in ((2_000, 64), (128_000, 8)):
        stall, swaps = swap_stall_ms(prompt, seats)
        yield Figure("NFR-10", f"requests of {prompt:,} tokens, longest of {swaps} swaps",
                     "stall of the scheduler", stall, "ms", stall < 10.0)  # fmt: skip


CAPACITY: tuple[Callable[[], Iterator[Figure]], ...] = (
    concurrent,
    scaling,
    throughput_by_cards,
    recovery,
    throughput,
)
"""Figures of the performance and capacity models alone: equal at every run."""
SIMULATED = (latencies, fragmentation, success, prefix_hits)
"""Figures of seeded simulations; prefix hits need the public traces."""
MEASURED = (blocks_and_scheduling,)
"""Figures that depend on the machine."""


def write_figures(figures: Iterable[Figure], path: Path) -> None:
    """Write figures as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Figure)])
        for one in figures:
            holds = "" if one.holds is None else "yes" if one.holds else "no"
            writer.writerow([one.requirement, one.setting, one.figure, f"{one.value:.5g}",
                             one.unit, holds])  # fmt: skip


def read_figures(path: Path) -> list[Figure]:
    """Read them back."""
    with path.open(encoding="utf-8") as file:
        return [
            Figure(row["requirement"], row["setting"], row["figure"], float(row["value"]),
                   row["unit"], {"": None, "yes": True, "no": False}[row["holds"]])
            for row in csv.DictReader(file)
        ]  # fmt: skip
