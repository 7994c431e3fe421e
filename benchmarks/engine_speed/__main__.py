"""CPU time of the engine: requests, blocks, scheduling, swapping, Python face, text, memory.

    python -m benchmarks.engine_speed [--requests 400000] [--once]

Prompts of 512 and outputs of 128 tokens, 8 requests/s per replica, Poisson, 256 places, a budget
of 8192 tokens, iteration time 8 + 0.03 n + 0.03 p + 5e-5 kv ms. "All features" has blocks of 16
tokens, block tables, prefix cache, eviction and preemption; "lean" has none of these. Times are CPU
seconds of one thread after compilation and a warm-up, measuring included.
"""

from __future__ import annotations

import argparse
import math
import resource
import time

from optimizer.engine import (
    Arrivals,
    ConstantRate,
    DrawnWorkload,
    EngineConfig,
    KvAccounting,
    LiveFleet,
    OnlineEngine,
    Preemption,
    simulate_replicas,
)
from optimizer.engine.batch import advance_all
from optimizer.engine.block_pool import release, remember, take
from optimizer.engine.compilation import borrowed, compiled
from optimizer.engine.completion import end_iteration
from optimizer.engine.language import (
    Generation,
    LanguageModel,
    SamplingParams,
    built_in_model,
)
from optimizer.engine.randomness import mixed
from optimizer.engine.schedule import begin_iteration
from optimizer.engine.state import NONE, EngineState, new_state
from optimizer.engine.time_law import time_law
from queue_models import IterationTiming, Lengths, Metric, Statistic

TIMING = IterationTiming(8.0, 0.03, 0.03, 5e-5)
BLOCKS_OF_A_TABLE = 64
_REQUESTS = 400_000


def requests_per_s(accounting: KvAccounting, replicas: int, requests: int) -> float:
    """Requests simulated per CPU second, the generation of the load and statistics included."""
    config = EngineConfig(kv_accounting=accounting, num_blocks=8192)
    workload = DrawnWorkload(
        Arrivals(ConstantRate(8.0 * replicas)), Lengths.fixed(512), Lengths.fixed(128)
    )
    began = time.process_time()
    run = simulate_replicas(
        config,
        TIMING,
        workload,
        (Statistic(Metric.TTFT), Statistic(Metric.TTFT, 99.0)),
        replicas=replicas,
        least_requests=requests,
        most_requests=requests,
    )
    return run.requests / (time.process_time() - began)


def scheduling_us(running: int, iterations: int) -> tuple[float, float, float, float]:
    """Time per iteration with so many decoding [us]: in compiled code, called from Python, with an
    object for every token, and with every token in arrays.

    Their blocks are full at different times, as those of requests that came one by one.
    """
    config = EngineConfig(num_blocks=65_536, max_num_seqs=running, max_num_batched_tokens=65_536)
    engine = OnlineEngine(config, IterationTiming(10.0, 0.0, 0.0))
    for place in range(running):
        engine.submit(64 + place % 16, 2 * iterations + 100)
    engine.advance(20.0)
    began = time.process_time()
    told = engine.advance(20.0 + 10.0 * 200)
    face = 1e6 * (time.process_time() - began) / 200
    assert len(told) == 200 * running
    state, rules = engine.state, config.rules()
    replica, law = state.replicas[0], time_law(IterationTiming(10.0, 0.0, 0.0))
    end_iteration(state, rules, 0)
    began = time.process_time()
    for _ in range(200):
        begin_iteration(state, rules, law, 0)
        end_iteration(state, rules, 0)
    called = 1e6 * (time.process_time() - began) / 200
    before, until = int(replica.iterations), float(replica.now) + 10.0 * iterations
    began = time.process_time()
    advance_all(state, rules, law, until)
    core = 1e6 * (time.process_time() - began) / (int(replica.iterations) - before)
    return core, called, face, _told_us(config, running)


def _told_us(config: EngineConfig, running: int) -> float:
    """Time per iteration of a live fleet that tells every token in arrays [us]."""
    fleet = LiveFleet(config, IterationTiming(10.0, 0.0, 0.0), tells_tokens=True)
    for place in range(running):
        fleet.submit(64 + place % 16, 10_000)
    fleet.advance(500.0)
    began = time.process_time()
    told = sum(fleet.advance(fleet.now_ms + 10.0).tokens.size for _ in range(500))
    assert told == 500 * running
    return 1e6 * (time.process_time() - began) / 500


@compiled
def _cycle_blocks(state: EngineState, rounds: int, blocks: int) -> None:
    state = borrowed(state)
    for turn in range(rounds):
        for place in range(blocks):
            block = take(state, 0)
            state.tables[0, place] = block
            remember(state, 0, block, mixed(turn, place) | 1)
        release(state, 0, 0, blocks)


def block_ns(rounds: int) -> float:
    """Time to allocate a block, evict what it held, cache it and free it [ns]."""
    state = new_state(EngineConfig(num_blocks=8192).rules(), 1, longest=4096)
    _cycle_blocks(state, 10, BLOCKS_OF_A_TABLE)
    began = time.process_time()
    _cycle_blocks(state, rounds, BLOCKS_OF_A_TABLE)
    return 1e9 * (time.process_time() - began) / (rounds * BLOCKS_OF_A_TABLE)


def main() -> None:
    """Measure as the command line asks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine_speed", description=__doc__)
    parser.add_argument("--requests", type=int, default=_REQUESTS, help="of every run")
    parser.add_argument("--once", action="store_true", help="small runs: shows that it works")
    arguments = parser.parse_args()
    _table(20_000 if arguments.once else arguments.requests, once=arguments.once)


def run(repeats: int) -> None:
    """Print the table; of small runs where one is asked for."""
    _table(20_000 if repeats == 1 else _REQUESTS, once=repeats == 1)


def _table(requests: int, *, once: bool) -> None:
    for accounting in KvAccounting:
        requests_per_s(accounting, 1, 5_000)
    print(f"{'':44}{'measured':>12}{'bar':>12}")
    for replicas in (1, 100):
        for accounting, words, bar in (
            (KvAccounting.BLOCKS, "all features", 60_000),
            (KvAccounting.RESERVED, "lean", 300_000),
        ):
            rate = requests_per_s(accounting, replicas, requests)
            what = f"{words}, {replicas} replica(s) [requests/CPU s]"
            print(f"{what:44}{rate:12,.0f}{bar:12,}")
            if replicas == 100:
                minutes = 86_400 * 8.0 * replicas / rate / 60.0
                print(f"{'  a day of them, 69 M requests [CPU min]':44}{minutes:12.1f}{20:12}")
    print(f"{'a block: take, evict, cache, free [ns]':44}{block_ns(20_000):12.1f}{1000:12,}")
    core, called, face, arrays = scheduling_us(256, 2_000 if once else 20_000)
    print(f"{'an iteration at 256 running, compiled [us]':44}{core:12.2f}{15:12}")
    print(f"{'  called from Python [us]':44}{called:12.1f}{100:12}")
    print(f"{'  with every token told in arrays [us]':44}{arrays:12.1f}{100:12}")
    print(f"{'  with an object per token told [us]':44}{face:12.1f}")
    share = 100 * fragmentation(requests)
    print(f"{'slots of blocks in use without a token [%]':44}{share:12.2f}{5:12}")
    swap_stall_ms(256, 8)
    for prompt, seats in ((2_000, 64), (128_000, 8)):
        stall, swaps = swap_stall_ms(prompt, seats)
        what = f"swapping out, {prompt:,} tokens, longest of {swaps} [ms]"
        print(f"{what:44}{stall:12.3f}{10:12}")
    for what, rate in text_rates(5_000 if once else 50_000).items():
        print(f"{f'text, {what} [tokens/CPU s]':44}{rate:12,.0f}{20_000:12,}")
    for order, temperature in ((3, 1.0), (3, 0.0), (2, 1.0)):
        share, together = acceptance(order, temperature, 10 if once else 100)
        what = f"  guesses of {order}-grams accepted, temperature {temperature:.0f} [%]"
        print(f"{what:44}{100 * share:12.0f}{'':12} ({together:.1f} tokens an iteration)")
    before = _peak_mb()
    requests_per_s(KvAccounting.BLOCKS, 1, 4 * requests)
    print(f"{'four times the requests [MB more]':44}{_peak_mb() - before:12.1f}")


def fragmentation(requests: int) -> float:
    """Share of the slots in the blocks of running requests that hold no token, at a steady load."""
    config = EngineConfig(num_blocks=8192)
    workload = DrawnWorkload(Arrivals(ConstantRate(8.0)), Lengths.fixed(512), Lengths.fixed(128))
    run = simulate_replicas(
        config,
        TIMING,
        workload,
        (Statistic(Metric.TTFT),),
        least_requests=requests,
        most_requests=requests,
    )
    return run.usage.fragmentation


def swap_stall_ms(prompt: int, seats: int) -> tuple[float, int]:
    """Longest time of the scheduler in which a copy begins, is on its way or ends [ms], called from
    Python, and how many requests were copied out; requests so long, which grow beyond the cache."""
    blocks = -(-prompt * seats // 16)
    config = EngineConfig(
        num_blocks=blocks,
        cpu_blocks=2 * blocks,
        preemption=Preemption.SWAP,
        prefix_caching=False,
        max_num_seqs=seats,
        max_num_batched_tokens=65_536,
        max_model_len=2 * prompt,
    )
    engine = OnlineEngine(config, TIMING)
    for place in range(seats):
        engine.submit(int(0.9 * prompt) + place, prompt // 4)
    longest, replica = 0, engine.state.replicas[0]
    while engine.next_event_ms() < math.inf:
        copies, began = replica.first_copy != NONE, time.thread_time_ns()
        engine.step()
        if copies or replica.first_copy != NONE:
            longest = max(longest, time.thread_time_ns() - began)
    return longest / 1e6, int(replica.swaps)


def text_rates(tokens: int) -> dict[str, float]:
    """Tokens of real text per CPU second: plain, with every sampling parameter, with drafts."""
    everything = SamplingParams(
        max_tokens=tokens,
        ignore_eos=True,
        temperature=0.7,
        top_p=0.9,
        top_k=50,
        min_p=0.01,
        repetition_penalty=1.1,
        presence_penalty=0.3,
        frequency_penalty=0.1,
        logit_bias={5: 1.0},
        stop=("no such text",),
    )
    plain = SamplingParams(max_tokens=tokens, ignore_eos=True)
    return {
        "plain": _text_rate(plain, speculate=False),
        "all parameters": _text_rate(everything, speculate=False),
        "with a draft model": _text_rate(plain, speculate=True),
    }


def _text_rate(params: SamplingParams, *, speculate: bool) -> float:
    model = built_in_model()
    prompt = model.tokenizer.encode("The")
    Generation(model, prompt, params, speculate=speculate).next()
    generation = Generation(model, prompt, params, speculate=speculate)
    began = time.process_time()
    while generation.finish_reason is None:
        generation.next()
    return len(generation.output) / (time.process_time() - began)


def acceptance(order: int, temperature: float, texts: int) -> tuple[float, float]:
    """Share of the guesses of an n-gram model that the built-in model accepts, and tokens that come
    out of an iteration with four drafts; over texts of 150 tokens."""
    built_in = built_in_model()
    draft = built_in.target.of_order(order)
    model = LanguageModel(built_in.tokenizer, built_in.target, draft)
    prompt = model.tokenizer.encode("The")
    accepted = steps = 0
    for seed in range(texts):
        params = SamplingParams(max_tokens=150, ignore_eos=True, seed=seed, temperature=temperature)
        generation = Generation(model, prompt, params, speculate=True)
        while generation.finish_reason is None:
            accepted += sum(emission.guessed for emission in generation.step(5))
            steps += 1
    return accepted / (150 * texts), 150 * texts / steps


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
