"""Prefix reuse: replays against references, the bound, tiers, policies, the live index."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from optimizer.errors import SpecError
from optimizer.kv import QuadraticPrefill
from optimizer.kv.reuse import (
    BlockTrace,
    CacheRules,
    EvictionPolicy,
    PrefixIndex,
    Replay,
    TracedRequest,
    WriteMode,
    belady_hits,
    read_trace,
    replay,
    with_prefix_hit_rate,
)

CONVERSATION = "mooncake_conversation_0-40min.jsonl"
SYNTHETIC = "mooncake_synthetic_0-11min.jsonl"
ALL = list(EvictionPolicy)


def trace_of(*prompts: str, gap_s: float = 1.0) -> BlockTrace:
    """A trace of one-token blocks, a letter each, behind what stands before it."""
    return BlockTrace.of_requests(
        (
            TracedRequest(
                time_s=gap_s * k, input_tokens=len(word), output_tokens=1, blocks=list(word)
            )
            for k, word in enumerate(prompts)
        ),
        block_tokens=1,
    )


def random_trace(seed: int, requests: int = 300) -> BlockTrace:
    """Conversations that go on, and some that do not."""
    generator = np.random.default_rng(seed)
    talks = [""] * 12
    prompts = list[str]()
    for _ in range(requests):
        k = int(generator.integers(len(talks)))
        if generator.random() < 0.2:
            talks[k] = ""
        more = (chr(97 + int(generator.integers(26))) for _ in range(int(generator.integers(1, 6))))
        talks[k] = (talks[k] or "S") + "".join(more)
        prompts.append(talks[k])
    return trace_of(*prompts)


def hits_of(done: Replay) -> list[int]:
    """Hit blocks per request, all tiers."""
    return [int(count) for count in done.hit_blocks.sum(axis=1)]


def reference(shared_data: Path, policy: str) -> list[dict[str, str]]:
    """Rows of the shared reference of one policy."""
    with (shared_data / "traces" / "prefix_reference.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["policy"] == policy]


def test_without_a_limit_hits_are_those_of_the_reference_exactly(shared_data: Path) -> None:
    """Hit blocks and hit tokens of both traces, block for block."""
    rows = reference(shared_data, "none")
    assert rows
    for row in rows:
        trace = read_trace(str(shared_data / "traces" / row["trace"]))
        done = replay(trace, trace.node_count)
        assert trace.prompt_references == int(row["total_blocks"])
        assert int(done.hit_blocks.sum()) == int(row["hit_blocks"])
        assert int(done.hit_tokens.sum()) == int(row["hit_tokens"])
        assert int(belady_hits(trace, trace.node_count).sum()) == int(row["hit_blocks"])


@pytest.mark.parametrize(
    ("name", "policy", "points"),
    [("lru_rev", EvictionPolicy.LRU, 0.0), ("lfu", EvictionPolicy.LFU, 0.0015)],
)
def test_finite_lru_and_lfu_are_those_of_the_reference(
    shared_data: Path, name: str, policy: EvictionPolicy, points: float
) -> None:
    """LRU to the block; LFU, whose order of equals is not the reference's, within 0.15 points."""
    traces = {n: read_trace(str(shared_data / "traces" / n)) for n in (CONVERSATION, SYNTHETIC)}
    for row in reference(shared_data, name):
        done = replay(traces[row["trace"]], int(row["capacity_blocks"]), CacheRules(policy=policy))
        assert done.block_hit_rate == pytest.approx(
            float(row["block_hit_rate"]), abs=points + 5.1e-7
        )


def test_the_default_reaches_52_percent_of_the_bound(shared_data: Path) -> None:
    """6,000 blocks on the conversation slice; LRU reaches 40 %."""
    trace = read_trace(str(shared_data / "traces" / CONVERSATION))
    bound = belady_hits(trace, 6000).sum()
    shares = {
        policy: replay(trace, 6000, CacheRules(policy=policy)).hit_blocks.sum() / bound
        for policy in ALL
    }
    assert shares[CacheRules().policy] >= 0.52
    assert shares[CacheRules().policy] == max(shares.values())
    assert shares[EvictionPolicy.LRU] == pytest.approx(0.40, abs=0.005)


def test_the_default_is_the_best_over_the_halves_of_the_traces(shared_data: Path) -> None:
    """In total by far; on no half, at no capacity, is another better by more than 0.7 points."""
    total = dict.fromkeys(ALL, 0.0)
    for name, length in ((CONVERSATION, 2400.0), (SYNTHETIC, 660.0)):
        for half in (0, 1):
            trace = read_trace(
                str(shared_data / "traces" / name),
                from_s=half * length / 2,
                to_s=(half + 1) * length / 2,
            )
            for capacity in (2000, 6000, 20000):
                rates = {
                    policy: replay(trace, capacity, CacheRules(policy=policy)).block_hit_rate
                    for policy in ALL
                }
                assert rates[CacheRules().policy] >= max(rates.values()) - 0.007
                total = {policy: total[policy] + rates[policy] for policy in ALL}
    others = (total[policy] for policy in ALL if policy is not CacheRules().policy)
    assert total[CacheRules().policy] > 1.05 * max(others)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("policy", ALL)
def test_no_policy_beats_the_bound(policy: EvictionPolicy, seed: int) -> None:
    """Whatever the capacity, hits are at most Belady's; with room for all they are equal."""
    trace = random_trace(seed)
    for capacity in (3, 10, 40, trace.node_count):
        hits = replay(trace, capacity, CacheRules(policy=policy)).hit_blocks.sum()
        assert hits <= belady_hits(trace, capacity).sum()
    assert hits == belady_hits(trace, trace.node_count).sum()


def test_belady_by_hand() -> None:
    """Two blocks of room: A and AB are kept for what returns, C is not stored."""
    trace = trace_of("AB", "C", "AB", "C")
    assert list(belady_hits(trace, 2)) == [0, 0, 2, 0]
    assert list(belady_hits(trace, 3)) == [0, 0, 2, 1]
    assert list(belady_hits(trace, 0)) == [0, 0, 0, 0]


def test_belady_is_the_best_of_all_stores_of_prefixes() -> None:
    """Against exhaustive search over what to keep after each request."""
    for seed in range(6):
        trace = random_trace(seed, requests=7)
        for capacity in (2, 4):
            assert int(belady_hits(trace, capacity).sum()) == best_by_search(trace, capacity)


def best_by_search(trace: BlockTrace, capacity: int) -> int:
    """Most hits over all sequences of stored sets, pruned to prefix-closed ones."""
    from itertools import combinations

    paths = [trace.nodes[a:b] for a, b in zip(trace.offsets, trace.offsets[1:], strict=False)]
    states: dict[frozenset[int], int] = {frozenset(): 0}
    for path in paths:
        following: dict[frozenset[int], int] = {}
        for held, hits in states.items():
            found = 0
            while found < len(path) and int(path[found]) in held:
                found += 1
            offered = held | {int(node) for node in path}
            for size in range(min(capacity, len(offered)) + 1):
                for kept in map(frozenset, combinations(sorted(offered), size)):
                    if all(trace.parents[n] < 0 or trace.parents[n] in kept for n in kept):
                        following[kept] = max(following.get(kept, 0), hits + found)
        states = following
    return max(states.values())


@pytest.mark.parametrize("policy", ALL)
@pytest.mark.parametrize("write", list(WriteMode))
@pytest.mark.parametrize("lookahead", [0, 3])
def test_what_is_stored_are_prefixes_within_the_capacity(
    policy: EvictionPolicy, write: WriteMode, lookahead: int
) -> None:
    """After a replay on three tiers no block is stored without the block before it."""
    from optimizer.kv.reuse.replay import new_cache
    from optimizer.kv.reuse.replay_loop import replay_requests

    trace = random_trace(3)
    tiers = np.array([6, 9, 14])
    state, model = new_cache(trace.node_count, tiers, policy)
    state.nodes.parent = trace.parents
    hits = np.zeros((len(trace), 3), dtype=np.int64)
    moved = np.zeros_like(hits)
    replay_requests(
        state, model, policy.code, write is WriteMode.BACK, 1, lookahead, trace.offsets,
        trace.nodes, trace.prompt_blocks, trace.times_s, trace.input_tokens,
        trace.output_tokens, trace.block_tokens, hits, moved,
    )  # fmt: skip
    resident = np.asarray(state.slots.resident)
    assert list(state.tiers.blocks) == list(resident.sum(axis=1))
    assert np.all(resident.sum(axis=1) <= tiers)
    stored = resident.any(axis=0)
    heads = trace.parents < 0
    assert np.all(heads[stored] | stored[trace.parents[stored]])
    if write is WriteMode.BACK:
        assert np.all(resident.sum(axis=0) <= 1)
    assert moved.any() == (lookahead > 0)


def test_tiers_with_write_back_hold_as_much_as_one_of_their_sum() -> None:
    """Under LRU three tiers have the hits of one as large as all."""
    trace = random_trace(1)
    rules = CacheRules(policy=EvictionPolicy.LRU)
    assert hits_of(replay(trace, [5, 7, 11], rules)) == hits_of(replay(trace, 23, rules))


def test_write_through_has_the_hits_of_its_largest_tier() -> None:
    """Copies take room below; each copy written is counted."""
    trace = random_trace(1)
    rules = CacheRules(policy=EvictionPolicy.LRU, write=WriteMode.THROUGH)
    done = replay(trace, [5, 23], rules)
    assert hits_of(done) == hits_of(replay(trace, 23, rules))
    assert done.hit_blocks[:, 1].sum() > 0
    assert done.written_blocks[1] == replay(trace, 23, rules).written_blocks[0]


def test_prefetching_turns_hits_below_into_hits_on_top() -> None:
    """With a look ahead what waits is found in the fastest tier, and was read from the other."""
    trace = random_trace(2)
    plain = replay(trace, [12, 60], CacheRules(policy=EvictionPolicy.LRU))
    ahead = replay(trace, [12, 60], CacheRules(policy=EvictionPolicy.LRU, lookahead_requests=1))
    assert ahead.hit_blocks[:, 0].sum() > plain.hit_blocks[:, 0].sum()
    assert ahead.prefetched_blocks[:, 1].sum() > 0
    assert plain.prefetched_blocks.sum() == 0


def test_admission_from_the_second_reference_keeps_what_comes_once_out() -> None:
    """A stream of new prompts does not push out a prompt that returns."""
    prompts = [word for k in range(30) for word in ("ABC", f"Z{chr(200 + k)}{chr(300 + k)}")]
    trace = trace_of(*prompts)
    rules = CacheRules(policy=EvictionPolicy.LRU, admit_from=2)
    filtered = replay(trace, 4, rules).hit_blocks.sum()
    assert filtered > replay(trace, 4, CacheRules(policy=EvictionPolicy.LRU)).hit_blocks.sum()
    assert list(hits_of(replay(trace, 4, rules))[:6]) == [0, 0, 0, 0, 3, 1]


def test_leaves_leave_first() -> None:
    """Room for three: the tail of the older prompt goes, its head stays."""
    trace = trace_of("ABC", "AX", "ABC")
    assert hits_of(replay(trace, 3, CacheRules(policy=EvictionPolicy.LRU))) == [0, 1, 2]


def test_a_prompt_longer_than_the_cache_leaves_its_head() -> None:
    """The first blocks are stored, and are hits of the next one."""
    trace = trace_of("ABCDEF", "ABCDEF")
    for policy in ALL:
        assert hits_of(replay(trace, 4, CacheRules(policy=policy))) == [0, 4]


def test_gdsf_keeps_what_is_dear_to_compute() -> None:
    """With a quadratic prefill a late block outlives early ones that were used as often."""
    trace = trace_of("ABCDEFGH", "S", "T", "U", "V", "ABCDEFGH")
    law = QuadraticPrefill(ms_per_token=1.0, ms_per_token2=10.0)
    dear = replay(trace, 9, CacheRules(policy=EvictionPolicy.GDSF), prefill=law)
    assert hits_of(dear)[-1] == 8
    assert hits_of(replay(trace, 9, CacheRules(policy=EvictionPolicy.GDSF)))[-1] == 5


def test_answers_take_room_and_are_hit_where_they_are_known() -> None:
    """Behind a prompt its answer is stored; without hashes it is never found."""

    def trace(answer: str) -> BlockTrace:
        requests = [
            TracedRequest(
                time_s=0, input_tokens=2, output_tokens=2, blocks="AB", answer_blocks=answer
            ),
            TracedRequest(time_s=1, input_tokens=5, output_tokens=0, blocks="ABxyC"),
        ]
        return BlockTrace.of_requests(requests, 1, with_answers=True)

    assert hits_of(replay(trace("xy"), 10)) == [0, 4]
    assert hits_of(replay(trace(""), 10)) == [0, 2]
    assert trace("").node_count == 7
    assert list(belady_hits(trace("xy"), 10)) == [0, 4]


def test_hashes_of_a_blocks_own_tokens_do_as_well() -> None:
    """The same letter behind another prefix is another block."""
    assert hits_of(replay(trace_of("AB", "CB", "AB"), 10)) == [0, 0, 2]


@pytest.mark.parametrize("policy", ALL)
def test_the_live_index_finds_what_the_replay_finds(policy: EvictionPolicy) -> None:
    """Request after request, also when it has to grow."""
    trace = random_trace(4, requests=600)
    rules = CacheRules(policy=policy)
    index = PrefixIndex([30, 40], rules, block_tokens=1)
    expected = replay(trace, [30, 40], rules).hit_blocks
    found = []
    for k in range(len(trace)):
        nodes = trace.nodes[trace.offsets[k] : trace.offsets[k + 1]]
        blocks = [(int(node),) for node in nodes]
        before = index.match(blocks)
        number, match = index.serve(blocks, now_s=trace.times_s[k], output_tokens=1)
        index.finish(number, now_s=trace.times_s[k])
        assert before == match
        found.append(match.by_tier)
    assert trace.node_count > 1024
    assert np.array_equal(found, expected)


def test_what_a_request_in_flight_holds_stays() -> None:
    """Until it is finished; then its answer is stored behind the prompt."""
    index = PrefixIndex([4], CacheRules(policy=EvictionPolicy.LRU), block_tokens=1)
    number, _ = index.serve("ABC", now_s=0)
    for k in range(5):
        index.finish(index.serve(f"X{k}", now_s=k)[0], now_s=k)
    assert index.match("ABC").blocks == 3
    index.finish(number, "d", now_s=6)
    assert index.match("ABCd").blocks == 4
    for k in range(5):
        index.finish(index.serve(f"Y{k}", now_s=10 + k)[0], now_s=10 + k)
    assert index.match("ABC").blocks < 3
    with pytest.raises(SpecError, match="no request in flight"):
        index.finish(number, now_s=20)


def test_without_numba_the_same_source_gives_the_same_hits() -> None:
    """In an interpreter where numba cannot be imported."""
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from tests.optimizer.kv.test_reuse import *\n"
        "from optimizer.kv.reuse.compilation import COMPILED\n"
        "assert not COMPILED\n"
        "t = random_trace(5, 100)\n"
        "print([int(replay(t, [20, 30], CacheRules(policy=p)).hit_blocks.sum()) for p in ALL],\n"
        "      int(belady_hits(t, 50).sum()))"
    )
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    trace = random_trace(5, 100)
    own = [int(replay(trace, [20, 30], CacheRules(policy=p)).hit_blocks.sum()) for p in ALL]
    assert run.stdout.strip() == f"{own} {int(belady_hits(trace, 50).sum())}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no request"),
        ("{", "t.jsonl:1: is not JSON"),
        ("[1]", "must be an object"),
        ('{"timestamp": 0, "input_length": 5}', "lacks hash_ids"),
        ('{"timestamp": 0, "input_length": -1, "hash_ids": []}', "input_length = -1: must be"),
        ('{"timestamp": NaN, "input_length": 1, "hash_ids": [1]}', "timestamp = nan"),
        ('{"timestamp": 0, "input_length": 1.5, "hash_ids": [1]}', "whole number of tokens"),
        ('{"timestamp": 0, "input_length": 1, "hash_ids": [[1]]}', "list of whole numbers"),
        ('{"timestamp": 0, "input_length": 1, "hash_ids": [1, 2, 3]}', "no power of two fits"),
    ],
)
def test_a_wrong_trace_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """Where, what came, what is wanted."""
    path = tmp_path / "t.jsonl"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        read_trace(str(path))


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    """And so is a part of a trace without requests."""
    with pytest.raises(SpecError, match="cannot be read"):
        read_trace(str(tmp_path / "none.jsonl"))
    path = tmp_path / "t.jsonl"
    path.write_text('{"timestamp": 0, "input_length": 1, "hash_ids": [1]}')
    with pytest.raises(SpecError, match="between 5 s and 9 s"):
        read_trace(str(path), from_s=5, to_s=9)


def test_the_hit_rate_goes_into_a_fleets_file_and_comments_stay(tmp_path: Path) -> None:
    """Only the service named gets it."""
    path = tmp_path / "fleet.yaml"
    path.write_text(
        "services:  # ours\n  - {name: chat, load: {arrival_rate_rps: 2}}\n"
        "  - name: batch\n    load:\n      arrival_rate_rps: 1  # quiet\n"
    )
    text = with_prefix_hit_rate(str(path), "batch", 0.43219)
    assert "# ours" in text
    assert "# quiet" in text
    assert text.count("prefix_hit_rate: 0.4322") == 1
    assert text.index("prefix_hit_rate") > text.index("batch")
    with pytest.raises(SpecError, match="no such service"):
        with_prefix_hit_rate(str(path), "chatt", 0.1)
