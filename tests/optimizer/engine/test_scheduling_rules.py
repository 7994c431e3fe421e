"""Every rule on a case small enough to be followed by hand.

An iteration takes 10 ms and 1 ms per token. Blocks hold 4 tokens. A line of a trace is the time at
which an iteration ends and the tokens that it computes, by request.
"""

from __future__ import annotations

import math

import pytest

from optimizer.engine import (
    Ended,
    EngineConfig,
    Iteration,
    KvAccounting,
    OnlineEngine,
    Policy,
    Preemption,
    ReplicaRole,
    Router,
    RouterPolicy,
    Tokens,
)
from queue_models import IterationTiming

Trace = list[tuple[float, dict[int, int]]]


def _engine(**settings: object) -> OnlineEngine:
    given = {"block_size": 4, "num_blocks": 101, "max_num_batched_tokens": 64} | settings
    return OnlineEngine(EngineConfig(**given), IterationTiming(10, 1, 1), watch_iterations=True)


def _trace(engine: OnlineEngine, until: float = math.inf) -> tuple[Trace, dict[int, Ended]]:
    events = engine.advance(until)
    steps = [(e.end_ms, dict(e.scheduled)) for e in events if isinstance(e, Iteration)]
    return steps, {e.request: e for e in events if isinstance(e, Ended)}


def _table(engine: OnlineEngine, request: int) -> list[int]:
    state = engine.state
    slot = next(s for s in range(64) if state.requests[s].id == request)
    seat, held = state.requests[slot].seat, state.requests[slot].held
    return [int(block) for block in state.tables[seat, :held]]


def test_prompts_are_computed_in_chunks_beside_the_decodes() -> None:
    """With a budget of 8, prompt 0 (10 tokens) takes 8 and then 2; prompt 1 (9 tokens) gets the 6
    that are left, then 3 beside the decode of 0, which goes first."""
    engine = _engine(max_num_batched_tokens=8)
    engine.submit(10, 3)
    engine.submit(9, 1)
    trace, ended = _trace(engine)
    assert trace == [
        (18, {0: 8}),
        (36, {0: 2, 1: 6}),
        (50, {0: 1, 1: 3}),
        (61, {0: 1}),
    ]
    assert [ended[r].time_ms for r in (0, 1)] == [61, 50]


def test_without_chunks_a_prompt_waits_for_a_budget_that_holds_it() -> None:
    """Of a budget of 12, prompt 0 leaves 2: prompt 1 (8 tokens) waits, and prompt 2 behind it."""
    engine = _engine(max_num_batched_tokens=12, max_model_len=12, chunked_prefill=False)
    for prompt in (10, 8, 1):
        engine.submit(prompt, 1)
    trace, _ = _trace(engine)
    assert trace == [(20, {0: 10}), (39, {1: 8, 2: 1})]


def test_a_long_prompt_is_slowed_only_beside_others() -> None:
    """With a threshold of 5, prompt 0 computes 5 tokens an iteration while 1 is there, then all."""
    engine = _engine(long_prefill_token_threshold=5)
    engine.submit(20, 1)
    engine.submit(3, 2)
    trace, _ = _trace(engine)
    assert trace == [(18, {0: 5, 1: 3}), (34, {0: 5, 1: 1}), (54, {0: 10})]


def test_no_more_run_than_there_are_places() -> None:
    """With two places the third request starts in the iteration after the first one leaves."""
    engine = _engine(max_num_seqs=2)
    for output in (1, 3, 1):
        engine.submit(2, output)
    trace, _ = _trace(engine)
    assert trace == [(14, {0: 2, 1: 2}), (27, {1: 1, 2: 2}), (38, {1: 1})]


def test_the_last_admitted_is_preempted_and_computed_again() -> None:
    """Five blocks hold 7 tokens of each twice. At 36 ms both have 8 tokens and need a third block:
    0 takes the last one; 1, the last admitted, finds none and preempts itself. It waits until 0
    leaves at 80 ms, then computes its 7 prompt tokens and the 2 it had emitted again, at once."""
    engine = _engine(num_blocks=6, prefix_caching=False)
    engine.submit(7, 6)
    engine.submit(7, 6)
    trace, ended = _trace(engine)
    assert trace == [
        (24, {0: 7, 1: 7}),
        (36, {0: 1, 1: 1}),
        (47, {0: 1}),
        (58, {0: 1}),
        (69, {0: 1}),
        (80, {0: 1}),
        (99, {1: 9}),
        (110, {1: 1}),
        (121, {1: 1}),
        (132, {1: 1}),
    ]
    assert (ended[0].preemptions, ended[1].preemptions) == (0, 1)
    assert engine.state.replicas[0].free == 5


def test_nobody_is_admitted_in_an_iteration_that_preempts() -> None:
    """At 33 ms request 0 takes the block of 1, whose place and block would now hold request 2; it
    waits for the next iteration, and 1, back at the head, is admitted before it."""
    engine = _engine(num_blocks=4, prefix_caching=False, max_num_seqs=2)
    engine.submit(3, 6)  # needs a block for the third of its decodes
    engine.submit(3, 6)
    engine.submit(1, 1, arrival_ms=0)
    trace, _ = _trace(engine, 60.5)
    assert trace == [
        (16, {0: 3, 1: 3}),
        (28, {0: 1, 1: 1}),
        (39, {0: 1}),  # 0 takes the third block, 1 preempts itself
        (50, {0: 1}),  # 1 (5 tokens, two blocks) does not fit, and 2 waits behind it
        (61, {0: 1}),
    ]


def test_swapped_requests_come_back_with_what_they_had_computed() -> None:
    """As above, but request 1 is copied to the CPU: 8 tokens of 1 ms each on the link, from 36 to
    44 ms. Copied back from 80 to 88 ms while nothing else is there to compute, it goes on with one
    token, where it was."""
    engine = _engine(
        num_blocks=6,
        prefix_caching=False,
        preemption=Preemption.SWAP,
        cpu_blocks=2,
        kv_bytes_per_token=1e6,
        link_gb_per_s=1.0,
    )
    engine.submit(7, 6)
    engine.submit(7, 6)
    trace, ended = _trace(engine)
    assert trace[-5:] == [
        (80, {0: 1}),
        (99, {1: 1}),
        (110, {1: 1}),
        (121, {1: 1}),
        (132, {1: 1}),
    ]
    assert ended[1].preemptions == 1
    assert engine.state.replicas[0].swaps == 1
    assert (engine.state.replicas[0].free, engine.state.replicas[0].cpu_free) == (5, 2)


def test_copies_overlap_the_computation_and_whoever_needs_their_blocks_waits() -> None:
    """Of seven blocks three requests hold two each. At 44 ms request 0 takes the last one, and 2 is
    copied out, 8 tokens of 4 ms each, until 76 ms. Request 1, which needs a block too, waits for
    those that come free then; 0 goes on beside the copy and leaves at 66. Request 2 is copied back
    from 77 ms, when an iteration begins after the first copy, to 109, beside two decodes of 1."""
    engine = _engine(
        num_blocks=8,
        prefix_caching=False,
        preemption=Preemption.SWAP,
        cpu_blocks=2,
        kv_bytes_per_token=4e6,
        link_gb_per_s=1.0,
    )
    for output in (4, 4, 3):
        engine.submit(7, output)
    trace, ended = _trace(engine)
    assert trace == [
        (31, {0: 7, 1: 7, 2: 7}),
        (44, {0: 1, 1: 1, 2: 1}),
        (55, {0: 1}),
        (66, {0: 1}),
        (77, {1: 1}),
        (88, {1: 1}),
        (120, {2: 1}),
    ]
    assert [ended[r].preemptions for r in range(3)] == [0, 0, 1]
    assert (engine.state.replicas[0].free, engine.state.replicas[0].cpu_free) == (7, 2)


def test_a_request_can_be_swapped_twice_and_the_link_is_shared() -> None:
    """Without a free block, 0 and 1 both wait from 44 ms until 2 is copied out (16 ms). 2 comes
    back from 84 to 100 ms in the blocks that 1 leaves, joins at 106, when 0 needs a fourth block,
    and is copied out again before it has computed anything; back from 128, when 0 leaves, to 144,
    it computes what it has left."""
    engine = _engine(
        num_blocks=7,
        prefix_caching=False,
        preemption=Preemption.SWAP,
        cpu_blocks=9,
        kv_bytes_per_token=2e6,
        link_gb_per_s=1.0,
    )
    for output in (8, 4, 4):
        engine.submit(7, output)
    trace, ended = _trace(engine)
    assert trace[1:] == [
        (44, {0: 1, 1: 1, 2: 1}),
        (72, {0: 1, 1: 1}),
        (84, {0: 1, 1: 1}),
        (95, {0: 1}),
        (106, {0: 1}),
        (117, {0: 1}),
        (128, {0: 1}),
        (155, {2: 1}),
        (166, {2: 1}),
    ]
    assert [ended[r].preemptions for r in range(3)] == [0, 0, 2]
    assert engine.state.replicas[0].swaps == 2


def test_a_preempted_request_finds_its_own_blocks_again() -> None:
    """As in the first case of preemption, but with a prefix cache: 1 leaves two full blocks, which
    nobody takes before 80 ms. Then it finds its 8 tokens and computes the ninth alone."""
    engine = _engine(num_blocks=6)
    engine.submit(7, 6)
    engine.submit(7, 6)
    trace, ended = _trace(engine)
    assert trace[:3] == [(24, {0: 7, 1: 7}), (36, {0: 1, 1: 1}), (47, {0: 1})]
    assert trace[5:] == [(80, {0: 1}), (91, {1: 1}), (102, {1: 1}), (113, {1: 1}), (124, {1: 1})]
    # vLLM does not count the lookups of preempted requests.
    assert (ended[1].preemptions, ended[1].cached_tokens) == (1, 0)


def test_of_one_priority_the_one_that_came_last_is_preempted() -> None:
    """Six blocks are held by requests 0, 2 and 1, admitted in this order: 2 is of priority 1, the
    others of 2. At 42 ms request 0 needs a third block. It gets one of 1, which came after it; 2
    takes the other one at 54. When 0 leaves at 66, request 3 of priority 1 goes before 1, though it
    came last of all, and 1 computes its 8 tokens again."""
    engine = _engine(policy=Policy.PRIORITY, num_blocks=7, prefix_caching=False, max_num_seqs=3)
    for arrival, priority in ((0, 2), (1, 2), (2, 1)):
        engine.submit(7, 4, priority=priority, arrival_ms=arrival)
    engine.submit(3, 1, priority=1, arrival_ms=45)
    trace, ended = _trace(engine)
    assert trace == [
        (17, {0: 7}),
        (42, {0: 1, 2: 7, 1: 7}),
        (54, {0: 1, 2: 1}),
        (66, {0: 1, 2: 1}),
        (88, {2: 1, 3: 3, 1: 8}),
        (99, {1: 1}),
        (110, {1: 1}),
    ]
    assert [ended[r].preemptions for r in range(4)] == [0, 1, 0, 0]


def test_without_room_on_the_cpu_a_request_is_computed_again() -> None:
    """With one CPU block for the two of request 1 the trace is that of recomputation."""
    engine = _engine(num_blocks=6, prefix_caching=False, preemption=Preemption.SWAP, cpu_blocks=1)
    engine.submit(7, 6)
    engine.submit(7, 6)
    trace, _ = _trace(engine)
    assert (99, {1: 9}) in trace
    assert engine.state.replicas[0].swaps == 0


def test_priorities_decide_who_is_admitted_and_who_is_preempted() -> None:
    """One place: 2 (priority 1) goes before 1 (priority 2), which came first. With two places and
    three blocks, 1 of priority 1 takes the block of 0 of priority 2, admitted before it: the token
    that 0 was scheduled for is given back to the budget."""
    engine = _engine(policy=Policy.PRIORITY, max_num_seqs=1)
    for priority in (1, 2, 1):
        engine.submit(2, 1, priority=priority)
    assert _trace(engine)[0] == [(12, {0: 2}), (24, {2: 2}), (36, {1: 2})]

    engine = _engine(policy=Policy.PRIORITY, num_blocks=4, prefix_caching=False)
    engine.submit(5, 6, priority=2)
    engine.submit(4, 5, priority=1)
    trace, ended = _trace(engine)
    assert trace[:2] == [(19, {0: 5, 1: 4}), (30, {1: 1})]
    assert (ended[0].preemptions, ended[1].preemptions) == (1, 0)


def test_a_prefix_is_found_by_a_request_of_the_same_iteration() -> None:
    """Two prompts of 9 tokens with the first 8 in common: the second computes one token, and both
    tables begin with the same blocks, to which both refer."""
    engine = _engine()
    engine.submit(9, 2, keys=(7, 8), ends=(8, 99))
    engine.submit(9, 2, keys=(7, 9), ends=(8, 99))
    trace, _ = _trace(engine, 1.0)
    assert trace == [(20, {0: 9, 1: 1})]
    assert (_table(engine, 0), _table(engine, 1)) == ([1, 2, 3], [1, 2, 4])
    assert [int(engine.state.blocks[0, b].references) for b in (1, 2, 3, 4)] == [2, 2, 1, 1]
    _, ended = _trace(engine)
    assert [ended[r].cached_tokens for r in (0, 1)] == [0, 8]


def test_the_last_block_of_a_prompt_is_computed_even_if_it_is_cached() -> None:
    """The same 8 tokens again: the first block is found, the second one is computed into a block
    of its own, a twin under the same key. The first of the twins is what a third request of 9
    tokens finds."""
    engine = _engine()
    for prompt in (8, 8, 9):
        engine.submit(prompt, 2, keys=(7,), ends=(99,))
    trace, _ = _trace(engine, 1.0)
    assert trace == [(23, {0: 8, 1: 4, 2: 1})]
    assert [_table(engine, r) for r in range(3)] == [[1, 2], [1, 3], [1, 2, 4]]


def test_tails_are_evicted_before_heads_and_the_unhashed_before_all() -> None:
    """Of five blocks, 0 leaves behind 3 (not full, to the front), then 2 and 1 in this order
    behind 4 and 5. A prompt of 12 other tokens takes 3, 4 and 5; one token more takes 2, the tail
    of the cached prefix; its head is still found."""
    engine = _engine(num_blocks=6)
    engine.submit(9, 1, keys=(7,), ends=(99,))
    assert _trace(engine)[0] == [(19, {0: 9})]
    engine.submit(12, 2, arrival_ms=100, keys=(8,), ends=(99,))
    _trace(engine, 101)
    assert _table(engine, 1) == [3, 4, 5]
    _trace(engine, 123)
    assert _table(engine, 1) == [3, 4, 5, 2]
    _trace(engine)
    engine.submit(9, 1, keys=(7,), ends=(99,))
    _, ended = _trace(engine)
    assert ended[2].cached_tokens == 4


def test_what_a_block_holds_is_found_before_it_is_full_and_copied() -> None:
    """Every two tokens can be found. Request 0 leaves 6 tokens in two blocks. A prompt of 9 that
    begins with them finds the first block and, of the second, two tokens, which it copies to a
    block of its own: it computes three. A prompt of 6 that begins so finds one block only: of the
    second it may find one token, which is no multiple of two. Without the rule each finds 4."""
    for unit, first, copies in ((2, 3, 1), (4, 5, 0), (None, 5, 0)):
        engine = _engine(prefix_match_unit=unit)
        engine.submit(6, 1, keys=(7,), ends=(99,))
        assert _trace(engine)[0] == [(16, {0: 6})]
        engine.submit(9, 2, arrival_ms=100, keys=(7, 8), ends=(6, 99))
        engine.submit(6, 2, arrival_ms=100, keys=(7, 9), ends=(6, 99))
        trace, _ = _trace(engine, 101)
        assert trace == [(110 + first + 2, {1: first, 2: 2})]
        assert _table(engine, 1)[0] == _table(engine, 2)[0] == 1
        assert (2 in _table(engine, 1)) == (unit != 2)
        assert engine.state.replicas[0].copied_blocks == copies
        _, ended = _trace(engine)
        assert [ended[r].cached_tokens for r in (1, 2)] == [9 - first, 4]


@pytest.mark.parametrize(("output", "short", "long"), [(1, 2, 2), (2, 0, 3), (3, 0, 4)])
def test_a_block_is_found_by_all_that_it_holds(output: int, short: int, long: int) -> None:
    """A block in which 2, 3 or all 4 tokens are computed has the hash of these alone: a prompt of 3
    that has two in common finds it only if it holds two, one of 6 that has all finds all."""
    engine = _engine(prefix_match_unit=1)
    engine.submit(2, output, keys=(7,), ends=(99,))
    _trace(engine)
    engine.submit(3, 1, keys=(7, 8), ends=(2, 99))
    _, ended = _trace(engine)
    assert ended[1].cached_tokens == short
    engine.submit(6, 1, keys=(7,), ends=(99,))
    _, ended = _trace(engine)
    assert ended[2].cached_tokens == long


def test_a_prompt_does_not_wait_for_its_own_beginning() -> None:
    """Of four blocks the one with 2 tokens of a prompt of 15 is free like the others: to copy it
    would take a fifth one. The prompt takes all four and computes everything."""
    engine = _engine(num_blocks=5, prefix_match_unit=2)
    engine.submit(2, 1, keys=(7,), ends=(99,))
    _trace(engine)
    engine.submit(15, 1, keys=(7,), ends=(99,))
    trace, ended = _trace(engine)
    assert (trace, ended[1].cached_tokens) == ([(37, {1: 15})], 0)
    engine.submit(11, 1, keys=(7, 8), ends=(2, 99))
    _, ended = _trace(engine)
    assert ended[2].cached_tokens == 0  # what was computed lies in full blocks now


def test_the_whole_prompt_must_have_room_before_its_first_chunk() -> None:
    """Prompt 0 holds three of five blocks; prompt 1 (12 tokens) needs three. Its first chunk of 4
    would fit, but it is not admitted before 0 leaves at 42 ms, unless the rule is switched off."""
    for whole, end in ((True, 64.0), (False, 24.0)):
        engine = _engine(num_blocks=6, max_num_batched_tokens=14, reserve_full_isl=whole)
        engine.submit(10, 3)
        engine.submit(12, 1)
        trace, _ = _trace(engine)
        assert next(time for time, computed in trace if 1 in computed) == end


def test_a_watermark_keeps_blocks_free_beside_others_only() -> None:
    """Of 9 blocks a fifth of 10 stays free: 0 (7 blocks) starts alone whatever is free, and 1 (one
    block) does not start beside it, for it would leave one."""
    engine = _engine(num_blocks=10, watermark=0.2)
    engine.submit(28, 1)
    engine.submit(2, 1)
    assert _trace(engine)[0] == [(38, {0: 28}), (50, {1: 2})]


def test_children_of_a_fork_copy_the_block_they_write_to() -> None:
    """Request 0 has 6 tokens in blocks 1 and 2 when it forks. Both go on in block 2: 0, which is
    first, writes to a copy (3); its child is then alone with 2. Block 1 stays shared."""
    engine = _engine()
    engine.submit(6, 4)
    assert engine.fork(0) is None  # it has not emitted
    engine.step()
    assert engine.fork(0) is None  # an iteration is in flight
    engine.step()
    assert engine.fork(0) == 1
    trace, ended = _trace(engine, 17)
    assert trace == [(28, {0: 1, 1: 1})]
    assert (_table(engine, 0), _table(engine, 1)) == ([1, 3], [1, 2])
    assert [int(engine.state.blocks[0, b].references) for b in (1, 2, 3)] == [2, 1, 1]
    trace, ended = _trace(engine)
    assert (ended[0].emitted, ended[1].emitted) == (4, 4)
    assert engine.state.replicas[0].copied_blocks == 1
    assert engine.state.replicas[0].free == 100


def test_accepted_drafts_come_out_together_and_rejected_ones_roll_back() -> None:
    """Two drafts a step, of which 2, 0 and 1 are accepted: 3, 1 and 2 tokens come out. The slots
    of rejected drafts stay allocated: 4 prompt tokens and the first token make 5; three scheduled
    and two beyond need three blocks."""
    outcome = iter([(1, False), (3, False), (1, False), (2, True)])
    engine = OnlineEngine(
        EngineConfig(block_size=4, num_blocks=101, draft_tokens=2),
        IterationTiming(10, 1, 1),
        sampler=lambda request, most: next(outcome),
        watch_iterations=True,
    )
    engine.submit(4, 100)
    events = engine.advance(15)
    assert _table(engine, 0) == [1, 2, 3]
    events += engine.advance(math.inf)
    assert [(e.time_ms, e.tokens) for e in events if isinstance(e, Tokens)] == [
        (14, 1),
        (27, 3),
        (40, 1),
        (53, 2),
    ]
    assert [dict(e.scheduled) for e in events if isinstance(e, Iteration)] == [
        {0: 4},
        {0: 3},
        {0: 3},
        {0: 3},
    ]
    assert engine.state.replicas[0].free == 100
    assert engine.state.replicas[0].accepted_drafts == 3


def test_rejected_drafts_are_computed_again_and_never_cached() -> None:
    """Two drafts a step, all rejected: every step computes three tokens from where the last one
    stood plus one. The blocks taken for them stay (two beyond are looked ahead), and a block is
    cached when tokens that are kept fill it: the first with the fourth token, the second with the
    eighth, though drafts were written there before."""
    engine = OnlineEngine(
        EngineConfig(block_size=4, num_blocks=101, draft_tokens=2),
        IterationTiming(10, 1, 1),
        sampler=lambda request, most: (1, False),
        watch_iterations=True,
    )
    engine.submit(3, 100)
    seen = []
    for until in (13, 26, 39, 52, 65, 78, 91):
        engine.advance(until)
        request = engine.state.requests[engine.state.running[0, 0]]
        cached = [bool(engine.state.blocks[0, b].key) for b in _table(engine, 0)]
        seen.append((int(request.computed), cached))
    assert seen == [
        (3, [False]),  # a first admission does not look ahead
        (6, [True, False]),  # 4 known: the first block is full
        (7, [True, False, False]),
        (8, [True, False, False]),  # of 8 tokens written only 6 are known
        (9, [True, False, False]),
        (10, [True, True, False]),
        (11, [True, True, False, False]),
    ]


def test_a_prefill_replica_holds_the_blocks_until_they_are_sent() -> None:
    """8 prompt tokens take 8 ms on the link after the first token at 18 ms. One of two blocks is
    free until 26 ms: a prompt of two blocks starts then."""
    engine = _engine(
        num_blocks=4,
        role=ReplicaRole.PREFILL,
        kv_bytes_per_token=1e6,
        link_gb_per_s=1.0,
        prefix_caching=False,
    )
    engine.submit(8, 1)
    engine.submit(8, 1)
    trace, ended = _trace(engine)
    assert trace == [(18, {0: 8}), (44, {1: 8})]
    assert [ended[r].time_ms for r in (0, 1)] == [26, 52]


def test_transfers_follow_one_another_beside_the_computation() -> None:
    """Prompts of 8 and 4 tokens end at 22 ms and are sent until 30 and 34; the third comes at 30,
    is computed meanwhile and sent from 44 to 48 ms. The decode replica gets the first one with its
    first token: the second token comes at 41 ms, computed on the blocks that were sent."""
    link = {"kv_bytes_per_token": 1e6, "link_gb_per_s": 1.0, "prefix_caching": False}
    engine = _engine(role=ReplicaRole.PREFILL, **link)
    engine.submit(8, 1)
    engine.submit(4, 1)
    engine.submit(4, 1, arrival_ms=30)
    trace, ended = _trace(engine)
    assert trace == [(22, {0: 8, 1: 4}), (44, {2: 4})]
    assert [ended[r].time_ms for r in range(3)] == [30, 34, 48]

    decode = _engine(role=ReplicaRole.DECODE)
    decode.submit(8, 2, given=8, arrival_ms=ended[0].time_ms)
    trace, ended = _trace(decode)
    assert trace == [(41, {0: 1})]
    assert (ended[0].time_ms, ended[0].emitted) == (41, 2)


def test_a_decode_replica_starts_with_the_second_token() -> None:
    """The prompt and its first token come with the request: it holds blocks for 9 tokens and
    computes one at once."""
    engine = _engine(role=ReplicaRole.DECODE)
    engine.submit(8, 3, given=8)
    trace, ended = _trace(engine)
    assert trace == [(11, {0: 1}), (22, {0: 1})]
    assert ended[0].emitted == 3


def test_who_cannot_make_its_deadline_is_dropped_when_its_turn_comes() -> None:
    """One place, taken until 12 ms. Prompt 1 needs 20 ms more and must be there by 30: dropped.
    Prompt 2 needs 12 ms more and is in time."""
    engine = _engine(max_num_seqs=1, drop_late=True)
    engine.submit(2, 1)
    engine.submit(10, 1, ttft_deadline_ms=30)
    engine.submit(2, 1, ttft_deadline_ms=30)
    trace, ended = _trace(engine)
    assert trace == [(12, {0: 2}), (24, {2: 2})]
    assert [ended[r].outcome for r in range(3)] == ["completed", "dropped", "completed"]


def test_a_full_queue_refuses_and_nothing_waits_for_what_can_never_fit() -> None:
    """One place and one to wait: the third is refused. A request of 401 tokens is too long for 100
    blocks of 4."""
    engine = _engine(max_num_seqs=1, max_waiting=1)
    for _ in range(3):
        engine.submit(2, 1)
    engine.submit(400, 1)
    _, ended = _trace(engine)
    assert [ended[r].outcome for r in range(4)] == [
        "completed",
        "completed",
        "refused",
        "too long",
    ]


@pytest.mark.parametrize("when", [0.5, 15.0, 40.0])
def test_an_aborted_request_frees_its_blocks(when: float) -> None:
    """Taken back while it is computed, decoded or waits, a request leaves nothing behind, and the
    other one goes on."""
    engine = _engine(max_num_seqs=1 if when == 40.0 else 8)
    engine.submit(5, 4)
    engine.submit(7, 9)
    engine.advance(when)
    engine.abort(1)
    _, ended = _trace(engine)
    assert (ended[0].outcome, ended[1].outcome) == ("completed", "aborted")
    replica = engine.state.replicas[0]
    assert (replica.free, replica.context, replica.tabled, replica.outstanding) == (100, 0, 0, 0)


def test_routers_send_requests_where_they_say() -> None:
    """Round robin goes in turn; least outstanding to the idle one; by prefix to where it is cached,
    until that one has more than `most_apart` requests more."""
    config = EngineConfig(block_size=4, num_blocks=101)
    timing = IterationTiming(10, 1, 1)

    def replicas_of(router: Router, keys: tuple[int, ...]) -> list[int]:
        engine = OnlineEngine(config, timing, replicas=3, router=router, watch_iterations=True)
        chosen = {}
        for place, key in enumerate(keys):
            engine.submit(9, 50, arrival_ms=30.0 * place, keys=(key,), ends=(99,))
        for event in engine.advance(math.inf):
            if isinstance(event, Iteration):
                chosen |= {request: event.replica for request, _ in event.scheduled}
        return [chosen[request] for request in range(len(keys))]

    assert replicas_of(Router(RouterPolicy.ROUND_ROBIN), (1, 2, 3, 4)) == [0, 1, 2, 0]
    assert sorted(replicas_of(Router(RouterPolicy.LEAST_OUTSTANDING), (1, 2, 3))) == [0, 1, 2]
    same = replicas_of(Router(RouterPolicy.PREFIX_AWARE), (1, 2, 1, 2, 1))
    assert same[0] == same[2] == same[4] != same[1] == same[3]
    apart = replicas_of(Router(RouterPolicy.PREFIX_AWARE, most_apart=1), (1, 1, 1, 1, 1))
    assert len(set(apart)) > 1


def test_the_lean_account_admits_while_prompt_and_output_fit() -> None:
    """20 tokens: 0 and 1 need 10 each; 2 starts when 0 leaves, in the iteration after 23 ms."""
    engine = _engine(kv_accounting=KvAccounting.RESERVED, kv_capacity_tokens=20)
    for output in (2, 4, 1):
        engine.submit(8 if output == 2 else 6, output)
    trace, _ = _trace(engine)
    assert trace == [(24, {0: 8, 1: 6}), (36, {0: 1, 1: 1}), (53, {1: 1, 2: 6}), (64, {1: 1})]
