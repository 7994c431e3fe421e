"""The requirements, what shows each, and what is to be said of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REQUIREMENTS", "Requirement"]

_RULES = "tests/optimizer/engine/test_scheduling_rules.py"
_TIMES = "tests/optimizer/performance/test_iteration.py"
_PLAIN = "tests/optimizer/engine/test_plain_scheduler.py"
_CHAIN = "tests/optimizer/engine/test_pool_chain.py"
_INVARIANTS = "tests/optimizer/engine/test_invariants.py"
_INPUTS = "tests/optimizer/engine/test_inputs.py"
_BEAMS = "tests/optimizer/engine/test_beams.py"
_LIVE = "tests/optimizer/engine/test_live_fleet.py"
_HTTP = "tests/optimizer/engine/emulator"
_SPEECH = "tests/optimizer/engine/language/test_speculation.py"
_SAMPLING = "tests/optimizer/engine/language/test_sampling.py"


@dataclass(frozen=True)
class Requirement:
    """One requirement.

    Parameters
    ----------
    name, target
        As the document has them.
    shown_by
        Tests, as `file::function`.
    verdict
        holds, holds for some, or does not hold.
    words
        For what it holds, for what it cannot, and why.
    """

    name: str
    target: str
    shown_by: tuple[str, ...]
    verdict: str
    words: str


REQUIREMENTS = (
    Requirement(
        "FR-1", "iteration-level batch scheduling",
        (f"{_PLAIN}::test_every_iteration_is_that_of_the_plain_scheduler",
         f"{_PLAIN}::test_a_batch_run_is_that_of_the_plain_scheduler",
         f"{_RULES}::test_no_more_run_than_there_are_places"),
        "holds",
        "Sequences join and leave at every iteration. Iterations, block tables and times equal "
        "those "
        "of the rules written down plainly, on random settings under pressure.",
    ),
    Requirement(
        "FR-2", "non-contiguous KV cache in blocks of fixed size",
        (f"{_RULES}::test_tails_are_evicted_before_heads_and_the_unhashed_before_all",
         f"{_INVARIANTS}::test_nothing_leaks_whatever_happens"),
        "holds",
        "A request's table lists whatever blocks were free; none is lost whatever happens.",
    ),
    Requirement(
        "FR-3", "copy-on-write sharing of blocks",
        (f"{_RULES}::test_children_of_a_fork_copy_the_block_they_write_to",
         f"{_BEAMS}::test_beams_share_their_prompt_and_copy_what_they_write_to",
         f"{_RULES}::test_what_a_block_holds_is_found_before_it_is_full_and_copied"),
        "holds",
        "Beam search, parallel sampling and prefixes that end inside a block share until one "
        "writes.",
    ),
    Requirement(
        "FR-4", "prefix cache: hash lookup, reference counts",
        (f"{_RULES}::test_a_prefix_is_found_by_a_request_of_the_same_iteration",
         f"{_RULES}::test_the_last_block_of_a_prompt_is_computed_even_if_it_is_cached",
         f"{_INPUTS}::test_prefixes_of_a_trace_are_found"),
        "holds",
        "Chained hashes of full blocks, evicted in the engine's order; on a public trace as many "
        "tokens are found as an independent count says.",
    ),
    Requirement(
        "FR-5", "speculative decoding that keeps the target's law",
        (f"{_SPEECH}::test_the_law_is_the_targets_exactly",
         f"{_SPEECH}::test_as_many_guesses_are_accepted_as_the_distributions_overlap",
         f"{_RULES}::test_accepted_drafts_come_out_together_and_rejected_ones_roll_back"),
        "holds",
        "Draft, verify, accept by rejection sampling. The law is proven by enumeration on small "
        "models; how many drafts are accepted follows from the two distributions.",
    ),
    Requirement(
        "FR-6", "preemption and swap, restored without recomputing",
        (f"{_RULES}::test_swapped_requests_come_back_with_what_they_had_computed",
         f"{_RULES}::test_copies_overlap_the_computation_and_whoever_needs_their_blocks_waits",
         f"{_RULES}::test_the_last_admitted_is_preempted_and_computed_again"),
        "holds",
        "Swapping is an extension: vLLM V1, whose rules are followed otherwise, only recomputes.",
    ),
    Requirement(
        "FR-7", "chunked prefill beside decodes",
        (f"{_RULES}::test_prompts_are_computed_in_chunks_beside_the_decodes",
         f"{_RULES}::test_a_long_prompt_is_slowed_only_beside_others"),
        "holds",
        "Prompts take what the decodes leave of an iteration's token budget.",
    ),
    Requirement(
        "FR-8", "tensor parallelism with all-reduce",
        (f"{_TIMES}::test_one_card_does_not_communicate",
         f"{_TIMES}::test_the_cache_is_split_over_kv_heads_and_no_further"),
        "holds in time",
        "An iteration's time is that of the sharded work and its all-reduces. Nothing is computed "
        "on a device here: a simulator has no shards of numbers to get wrong.",
    ),
    Requirement(
        "FR-9", "streaming output, server-sent events",
        (f"{_HTTP}/test_openai_client.py::test_a_chat_streams_token_by_token",
         f"{_HTTP}/test_schedule.py::test_five_hundred_streams_at_once",
         f"{_HTTP}/test_schedule.py::test_the_schedule_over_http_is_that_of_a_simulation"),
        "holds",
        "`fleetopt serve` streams as OpenAI's API does: its own client reads 500 streams at once, "
        "every token in order, at the times of a simulation with the same seed.",
    ),
    Requirement(
        "FR-10", "sampling: temperature, top-p, top-k, repetition penalty, stop sequences",
        (f"{_SAMPLING}::test_the_distribution_is_that_of_the_plain_definition",
         f"{_SAMPLING}::test_draws_follow_the_distribution",
         f"{_SAMPLING}::test_a_stop_is_found_across_the_borders_of_tokens"),
        "holds",
        "On a small language model of our own, so that the output is text and can be tested.",
    ),
    Requirement(
        "NFR-1", "block allocation < 1 µs",
        (f"{_INVARIANTS}::test_nothing_leaks_whatever_happens",),
        "holds",
        "For any model and fleet: it does not depend on either.",
    ),
    Requirement(
        "NFR-2", "scheduler < 100 µs per iteration",
        (f"{_PLAIN}::test_every_iteration_is_that_of_the_plain_scheduler",),
        "holds",
        "At 256 running; it grows with those that begin, end or need a block in the iteration. "
        "Telling every token as a Python object is the caller's choice.",
    ),
    Requirement(
        "NFR-3", "TTFT p99 < 200 ms",
        ("tests/optimizer/engine/test_exact_queues.py::test_means_are_those_of_an_independent_simulator",
         f"{_CHAIN}::test_first_and_last_tokens_are_those_of_the_plain_chain"),
        "holds for some",
        "Prompts of 512 tokens, outputs of 128. Where a prompt alone takes longer than 200 ms no "
        "fleet size helps; elsewhere the largest rate of a replica times replicas is the fleet's. "
        "At the largest rate the simulated figure lies on the bound, within the queue model's "
        "error; "
        "times are those of the performance model, with a standard deviation of 12 to 20 %.",
    ),
    Requirement(
        "NFR-4", "> 50 tokens/s per request",
        ("tests/optimizer/engine/test_exact_queues.py::test_means_are_those_of_an_independent_simulator",),
        "holds for some",
        "An iteration must take less than 20 ms, and reading the weights bounds it from below: "
        "a 70B model in bf16 on one card of 3.35 TB/s would take 42 ms. It takes several cards, or "
        "fewer bits; then the batch may only grow until the iteration is 20 ms on average, which "
        "is "
        "what the last column says of the largest rate with NFR-3 and NFR-4 kept.",
    ),
    Requirement(
        "NFR-5", "> 50,000 tokens/s, 70B on H100",
        ("tests/benchmarks/test_reference_sheet.py::test_the_page_is_what_the_code_says",),
        "does not hold on one",
        "Not with one H100, and with no batch: 50,000 output tokens/s are 7 PFLOP/s of matrix "
        "products "
        "alone (2 x 70e9 each), and the card has 2 in fp8. 50 H100s reach it in output tokens, "
        "10 where "
        "prompt tokens count too, as replicas of two in fp8 with batches of 341, at saturation, "
        "512 "
        "prompt and 128 output tokens per request:",
    ),
    Requirement(
        "NFR-6", "fragmentation < 5 %",
        (f"{_INVARIANTS}::test_nothing_leaks_whatever_happens",),
        "holds for some",
        "Half a block is lost per request, 8 tokens of 16: below 5 % from 160 tokens in the "
        "cache on "
        "average. Shorter requests need smaller blocks. Between blocks nothing is lost: any free "
        "block fits.",
    ),
    Requirement(
        "NFR-7", "prefix cache hit rate > 30 %",
        (f"{_INPUTS}::test_prefixes_of_a_trace_are_found",
         f"{_RULES}::test_a_block_is_found_by_all_that_it_holds"),
        "holds for some",
        "It is a property of the requests and of the room for what they share. Two public traces "
        "with the prefixes that prompts have in common, on one replica:",
    ),
    Requirement(
        "NFR-8", "success > 99.9 %",
        (f"{_INVARIANTS}::test_nothing_leaks_whatever_happens",
         f"{_LIVE}::test_a_crash_ends_every_request_and_leaves_nothing_behind",
         f"{_LIVE}::test_many_replicas_come_and_go_without_losing_a_request",
         f"{_HTTP}/test_malformed.py::test_what_is_malformed_is_refused_in_openais_shape"),
        "holds",
        "Nothing is refused unless a queue limit, a deadline or a longest length says so. A crash "
        "loses who is there and, with one replica and no retries, who comes meanwhile.",
    ),
    Requirement(
        "NFR-9", "recovery < 60 s",
        (f"{_HTTP}/test_replicas_and_faults.py::test_a_crashed_replica_is_back_after_its_restart",
         f"{_LIVE}::test_a_restarted_replica_begins_anew",
         f"{_LIVE}::test_a_crash_ends_every_request_and_leaves_nothing_behind"),
        "holds for some",
        "A live fleet's replica restarts after the time that its fault says. Whether a real one "
        "can "
        "depends on where its weights lie; the start of the engine itself (processes, graphs, "
        "warm-up) "
        "comes on top, and is not in the figures.",
    ),
    Requirement(
        "NFR-10", "preemption < 10 ms",
        (f"{_RULES}::test_copies_overlap_the_computation_and_whoever_needs_their_blocks_waits",
         f"{_RULES}::test_a_request_can_be_swapped_twice_and_the_link_is_shared"),
        "holds",
        "What the scheduler spends when requests are swapped out; the copy itself takes bytes over "
        "the link, beside the computation: 128,000 tokens of a 70B model are 42 GB, 0.8 s at 50 "
        "GB/s.",
    ),
    Requirement(
        "NFR-11", "> 100 concurrent requests per GPU",
        ("tests/benchmarks/test_reference_sheet.py::test_the_page_is_what_the_code_says",),
        "holds for some",
        "What the KV cache holds at their full length; on average, half of the output there, it "
        "is more.",
    ),
    Requirement(
        "NFR-12", "contexts of 128K tokens and more",
        ("tests/optimizer/engine/test_plan_servers.py::test_a_trace_replaces_the_load",),
        "holds for some",
        "The engine has no limit of its own below 2^30 tokens; the model's positions (131,072 for "
        "Llama 3.1) and the KV cache of a replica decide.",
    ),
    Requirement(
        "NFR-13", "near-linear to 8 GPUs",
        (f"{_TIMES}::test_one_card_does_not_communicate",
         f"{_TIMES}::test_the_cache_is_split_over_kv_heads_and_no_further"),
        "does not hold",
        "Eight cards do not make an iteration eight times as short: launches, the engine and the "
        "all-reduces do not shrink with it. Prompts, which are arithmetic, come nearer than "
        "decodes, "
        "large models nearer than small ones; up to two cards 70B is near. What eight cards carry "
        "together, four replicas of two carry better, unless a latency or the memory asks for all. "
        "(One H100 has no room for 64 requests beside 70B in fp8; its time is computed all the "
        "same.) Above 80 % of linear counts as near.",
    ),
)  # fmt: skip
"""In the order of the document."""
