"""The state of an engine: arrays of records, one of each kind for all replicas together."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.rules import KvAccounting, Preemption, ReplicaRole, Rules

__all__ = [
    "ABORTED",
    "CANCELLED_IN",
    "CANCELLED_OUT",
    "COMPLETED",
    "COPIED_IN",
    "COPIED_OUT",
    "DONE",
    "DROPPED",
    "FAILED",
    "GAP_BINS",
    "GUESSED",
    "HANDED_OVER",
    "MISSED",
    "NONE",
    "REFUSED",
    "RUNNING",
    "SWAPPED",
    "TOO_LONG",
    "UNTOLD",
    "WAITING",
    "EngineState",
    "grown",
    "new_state",
    "reset_replica",
    "with_replicas",
]

NONE = -1

# States of a request.
(
    WAITING,
    RUNNING,
    COPIED_OUT,
    SWAPPED,
    COPIED_IN,
    HANDED_OVER,
    CANCELLED_OUT,
    CANCELLED_IN,
) = range(8)

# What is known of a token of an output: nothing, or whether its draft was right.
UNTOLD, GUESSED, MISSED = range(3)

# Outcomes of a request.
COMPLETED, REFUSED, TOO_LONG, DROPPED, ABORTED, FAILED = range(6)

# Gaps between tokens are counted in bins of equal width within every octave from 2**-10 ms on.
GAP_BITS = 10
GAP_BINS = 42 << GAP_BITS

REPLICA = np.dtype(
    [
        ("now", np.float64),  # start of the iteration in flight, or of the next one [ms]
        ("ends", np.float64),  # end of the iteration in flight [ms]
        ("iteration", np.int64),
        ("next_visit", np.int64),  # first iteration at which a running request is looked at
        ("in_flight", np.int8),
        ("looked_at", np.int8),  # whether the iteration in flight has such requests
        ("blocked", np.int8),  # nobody can be admitted until someone leaves
        ("accepting", np.int8),  # whether requests may be routed here
        ("pace", np.float64),  # what iteration times are multiplied by; 1 in good health
        ("running", np.int64),
        ("copied_in", np.int64),  # requests on their way back from CPU memory
        ("outstanding", np.int64),
        ("waiting", np.int64),
        ("first_waiting", np.int64),
        ("last_waiting", np.int64),
        ("first_copy", np.int64),  # queue of the link
        ("last_copy", np.int64),
        ("link_free", np.float64),  # when the link has done all its copies [ms]
        ("context", np.int64),  # tokens in the KV caches of running requests
        ("reserved", np.int64),  # tokens set aside (RESERVED)
        ("free", np.int64),  # free blocks, cached ones included
        ("coming_free", np.int64),  # blocks that copies out will free
        ("tabled", np.int64),  # blocks in the tables of running requests, shared ones repeatedly
        ("cpu_free", np.int64),
        ("iterations", np.int64),  # from here on: what is counted
        ("busy_ms", np.float64),
        ("running_ms", np.float64),  # requests running, over busy time
        ("full_ms", np.float64),  # busy time with the whole batch in use
        ("block_ms", np.float64),  # blocks in use, over busy time
        ("tabled_ms", np.float64),  # `tabled` and `context`, over busy time
        ("context_ms", np.float64),
        ("decode_tokens", np.int64),  # scheduled
        ("prefill_tokens", np.int64),  # scheduled
        ("emitted_tokens", np.int64),
        ("queried_tokens", np.int64),  # prefix cache
        ("hit_tokens", np.int64),
        ("preemptions", np.int64),
        ("swaps", np.int64),
        ("copied_blocks", np.int64),  # copy-on-write
        ("drafts", np.int64),
        ("accepted_drafts", np.int64),
    ],
    align=True,
)

REQUEST = np.dtype(
    [
        ("id", np.int64),
        ("arrival", np.float64),
        ("deadline", np.float64),  # for the first token; inf without
        ("admitted", np.float64),  # -1 before
        ("first", np.float64),  # first token; -1 before
        ("last", np.float64),  # last token, where it was not at the last boundary; else -1
        ("ready", np.float64),  # end of the copy
        ("next", np.int64),  # in the waiting queue, as `previous`
        ("previous", np.int64),
        ("next_copy", np.int64),  # in the queue of the link
        ("prompt", np.int32),
        ("output", np.int32),  # tokens wanted
        ("asked", np.int32),  # the same when it came
        ("known", np.int32),  # prompt and tokens emitted; ahead of time like `computed`
        ("computed", np.int32),  # tokens in the KV cache, as of the next visit
        ("given", np.int32),  # prompt tokens that need not be computed (RESERVED, DECODE)
        ("held", np.int32),  # blocks
        ("hashed", np.int32),  # blocks that the prefix cache knows
        ("segment", np.int32),  # of the content, where hashing has come to
        ("segments", np.int32),
        ("seat", np.int32),  # row of the block tables
        ("replica", np.int32),
        ("priority", np.int32),
        ("hit", np.int32),  # prompt tokens found in the cache at the first admission
        ("preemptions", np.int32),
        ("state", np.int8),
        ("decoding", np.int8),  # has emitted since it was last admitted
        ("stops", np.int8),  # ends before all that was asked for
    ],
    align=True,
)

BLOCK = np.dtype(
    [
        ("key", np.int64),  # hash of the content up to here; 0: not cached
        ("references", np.int32),
        ("previous", np.int32),  # in the free list
        ("next", np.int32),
        ("chain", np.int32),  # next key in the bucket; NONE for a later twin
        ("next_twin", np.int32),  # ring of blocks with one key, in the order of caching
        ("previous_twin", np.int32),
    ],
    align=True,
)

DONE = np.dtype(
    [
        ("id", np.int64),
        ("arrival", np.float64),
        ("admitted", np.float64),  # times in ms; -1 where it did not come to that
        ("first", np.float64),
        ("finished", np.float64),
        ("prompt", np.int32),
        ("asked", np.int32),
        ("emitted", np.int32),
        ("hit", np.int32),
        ("preemptions", np.int32),
        ("replica", np.int32),
        ("priority", np.int32),
        ("outcome", np.int8),
        ("stops", np.int8),
    ],
    align=True,
)


class EngineState(NamedTuple):
    """Everything that changes; R replicas, N blocks, Q places in a batch, S request slots."""

    replicas: Any  # (R,) REPLICA
    requests: Any  # (S,) REQUEST
    blocks: Any  # (R, N) BLOCK; block 0 is the null block and the end of the free list
    buckets: Any  # (R, M) first block of every bucket of the prefix cache
    running: Any  # (R, Q) slots in the order of admission
    visit: Any  # (R, Q) iteration at which each is looked at again
    planned: Any  # (R, Q) tokens scheduled in the iteration in flight, of those looked at
    verdict: Any  # (R, Q) what came out: tokens emitted, negative if the request ends with them
    tables: Any  # (seats, W) blocks of a request, by seat
    free_seats: Any  # (seats + 1,) a stack; the last element is its height
    free_slots: Any  # (S + 1,) a stack likewise
    keys: Any  # (S, C) content of a request in segments: their keys
    ends: Any  # (S, C) and where they end [tokens]
    guesses: Any  # (S, G) of the first tokens of an output: UNTOLD, GUESSED or MISSED
    done: Any  # (F,) DONE
    done_count: Any  # (1,)
    gaps: Any  # (GAP_BINS,) gaps between tokens


def new_state(
    rules: Rules,
    replicas: int,
    *,
    slots: int = 1024,
    segments: int = 2,
    longest: int = 1024,
    done: int = 65536,
) -> EngineState:
    """Return the state of idle replicas.

    Parameters
    ----------
    slots, segments, longest
        Requests present at once, segments of content and tokens of one request for which there is
        room; `grown` makes more.
    done
        Finished requests kept until they are fetched.
    """
    blocks = rules.num_blocks if rules.kv_accounting == KvAccounting.BLOCKS else 1
    seats = _seats(rules, replicas)
    buckets = 1 << math.ceil(math.log2(blocks + 1)) if rules.prefix_caching else 1
    state = EngineState(
        replicas=np.zeros(replicas, REPLICA).view(np.recarray),
        requests=np.zeros(slots, REQUEST).view(np.recarray),
        blocks=np.zeros((replicas, blocks), BLOCK).view(np.recarray),
        buckets=np.zeros((replicas, buckets), np.int32),
        running=np.zeros((replicas, rules.max_num_seqs), np.int32),
        visit=np.zeros((replicas, rules.max_num_seqs), np.int64),
        planned=np.zeros((replicas, rules.max_num_seqs), np.int32),
        verdict=np.zeros((replicas, rules.max_num_seqs), np.int32),
        tables=np.zeros((seats, _width(rules, longest)), np.int32),
        free_seats=_stack(seats),
        free_slots=_stack(slots),
        keys=np.zeros((slots, segments), np.int64),
        ends=np.zeros((slots, segments), np.int32),
        guesses=np.zeros((slots, 0), np.int8),
        done=np.zeros(done, DONE).view(np.recarray),
        done_count=np.zeros(1, np.int64),
        gaps=np.zeros(GAP_BINS, np.int64),
    )
    for r in range(replicas):
        reset_replica(state, rules, r)
    state.replicas.accepting = 1
    return state


def reset_replica(state: EngineState, rules: Rules, r: int) -> None:
    """Make a replica as it is when it starts: idle, its cache empty, its counts at 0.

    It accepts no requests yet, and must have none.
    """
    replica, blocks = state.replicas[r], state.blocks.shape[1]
    state.replicas[r] = np.zeros((), REPLICA)
    for name in ("first_waiting", "last_waiting", "first_copy", "last_copy"):
        replica[name] = NONE
    replica.pace = 1.0
    replica.free = blocks - 1
    replica.cpu_free = rules.cpu_blocks
    number = np.arange(blocks, dtype=np.int32)
    state.blocks[r] = np.zeros((), BLOCK)
    state.blocks["next"][r] = np.roll(number, -1)
    state.blocks["previous"][r] = np.roll(number, 1)
    state.buckets[r] = 0


def with_replicas(state: EngineState, rules: Rules, replicas: int) -> EngineState:
    """Return the state with room for so many replicas, more than now; see `reset_replica`."""
    had, seats = state.replicas.size, state.tables.shape[0]
    changes: dict[str, Any] = {}
    for name in ("replicas", "blocks", "buckets", "running", "visit", "planned", "verdict"):
        array = getattr(state, name)
        larger = np.zeros((replicas, *array.shape[1:]), array.dtype)
        larger[:had] = array
        changes[name] = larger.view(np.recarray) if array.dtype.names else larger
    more = _seats(rules, replicas)
    if more > seats:
        changes["tables"] = _padded(state.tables, (more, state.tables.shape[1]))
        height = int(state.free_seats[-1])
        fresh = np.arange(more - 1, seats - 1, -1)
        stack = np.zeros(more + 1, np.int64)
        stack[: fresh.size] = fresh
        stack[fresh.size : fresh.size + height] = state.free_seats[:height]
        stack[-1] = fresh.size + height
        changes["free_seats"] = stack
    larger_state = state._replace(**changes)
    for r in range(had, replicas):
        reset_replica(larger_state, rules, r)
    return larger_state


def grown(
    state: EngineState,
    rules: Rules,
    *,
    slots: int = 0,
    segments: int = 0,
    longest: int = 0,
    guesses: int = 0,
) -> EngineState:
    """Return the state with room for at least so much; see `new_state`."""
    have = state.requests.size
    slots = max(slots, have)
    segments = max(segments, state.keys.shape[1])
    guesses = max(guesses, state.guesses.shape[1])
    width = max(_width(rules, longest), state.tables.shape[1])
    changes: dict[str, Any] = {}
    if slots > have:
        requests = np.zeros(slots, REQUEST)
        requests[:have] = state.requests
        height = int(state.free_slots[-1])
        free = np.zeros(slots + 1, np.int64)
        free[: slots - have] = np.arange(slots - 1, have - 1, -1)
        free[slots - have : slots - have + height] = state.free_slots[:height]
        free[-1] = slots - have + height
        changes |= {"requests": requests.view(np.recarray), "free_slots": free}
    if slots > have or segments > state.keys.shape[1]:
        changes |= {n: _padded(getattr(state, n), (slots, segments)) for n in ("keys", "ends")}
    if slots > have or guesses > state.guesses.shape[1]:
        changes["guesses"] = _padded(state.guesses, (slots, guesses))
    if width > state.tables.shape[1]:
        changes["tables"] = _padded(state.tables, (state.tables.shape[0], width))
    return state._replace(**changes)


def _seats(rules: Rules, replicas: int) -> int:
    if rules.kv_accounting != KvAccounting.BLOCKS:
        return 1
    # A request that is being copied keeps its blocks beside those of a whole batch.
    copies = rules.preemption == Preemption.SWAP or rules.role == ReplicaRole.PREFILL
    return replicas * rules.max_num_seqs * (2 if copies else 1)


def _width(rules: Rules, longest: int) -> int:
    if rules.kv_accounting != KvAccounting.BLOCKS:
        return 1
    tokens = min(longest, rules.max_model_len) + rules.draft_tokens + rules.lookahead_tokens
    return min(-(-tokens // rules.block_size), rules.num_blocks - 1) + 1


def _stack(size: int) -> NDArray[np.int64]:
    """Return a stack of 0 ... size - 1, 0 on top."""
    return np.concatenate([np.arange(size - 1, -1, -1), [size]]).astype(np.int64)


def _padded(array: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    larger = np.zeros(shape, array.dtype)
    larger[: array.shape[0], : array.shape[1]] = array
    return larger
