"""From the names of a model and an accelerator to a replica that can be emulated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from optimizer.engine.errors import LiveFleetError
from optimizer.engine.rules import EngineConfig
from queue_models import Timing

if TYPE_CHECKING:
    from optimizer.spec import FleetSpec

__all__ = [
    "EmulatedReplica",
    "estimated_replica",
    "replica_of_fleet",
]

# What iteration times are tabulated for; beyond it they go on linearly.
_PROMPT_TOKENS = 2048.0
_CONTEXT_TOKENS = 8192.0
_ANSWER_TOKENS = 256.0
# Contexts per place in the batch, where a fleet does not say what the KV cache holds.
_BLOCK_TOKENS = 16


@dataclass(frozen=True, slots=True)
class EmulatedReplica:
    """A replica's settings and iteration times, and where these come from.

    `drafts_by_chance` is as in `Emulator`.
    """

    config: EngineConfig
    timing: Timing
    source: str
    drafts_by_chance: bool = False


def estimated_replica(
    model: str,
    accelerator: str,
    *,
    tensor_parallel: int = 1,
    precision: str | None = None,
    kv_dtype: str = "auto",
    max_num_seqs: int = 256,
    max_num_batched_tokens: int = 8192,
) -> EmulatedReplica:
    """Estimate a replica from the catalogue: the model's architecture, the accelerator's facts.

    Raises
    ------
    FleetError
        If a name is unknown, a setting out of its range, or the model does not fit.
    """
    from optimizer.capacity import EngineSettings, ModelArchitecture
    from optimizer.capacity.replica_estimate import RequestSize, Unfit, estimate_replica
    from optimizer.catalog import accelerator as facts_of
    from optimizer.performance import TimingRange, iteration_table

    settings = EngineSettings(
        max_num_seqs=max_num_seqs, max_num_batched_tokens=max_num_batched_tokens
    )
    architecture, facts = ModelArchitecture(model), facts_of(accelerator)
    longest = architecture.max_context_tokens
    size = RequestSize(
        input_tokens=min(_PROMPT_TOKENS, longest / 2),
        output_tokens=min(_ANSWER_TOKENS, longest / 4),
    )
    estimate = estimate_replica(
        architecture,
        facts,
        [size],
        tensor_parallel=tensor_parallel,
        precision=precision,
        kv_dtype=kv_dtype,
        settings=settings,
    )
    if isinstance(estimate, Unfit):
        raise LiveFleetError(
            f"{model} on {tensor_parallel} x {accelerator}: {estimate.reason}; try a larger "
            f"accelerator, --tensor-parallel or --precision fp8"
        )
    over = TimingRange(
        max_batch=max(max_num_seqs, 2),
        max_context_tokens=min(_CONTEXT_TOKENS, longest),
        input_tokens=size.input_tokens,
    )
    blocks = int(estimate.kv_capacity_tokens) // settings.block_tokens + 1
    config = EngineConfig(
        block_size=settings.block_tokens,
        num_blocks=max(blocks, 2),
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
    )
    return EmulatedReplica(
        _with_context(config, longest),
        iteration_table(estimate.replica, over),
        "times estimated from the architecture, nothing measured",
    )


def replica_of_fleet(fleet: FleetSpec, model: str, accelerator: str) -> EmulatedReplica:
    """Take a replica from a fleet's performance figures.

    Raises
    ------
    SpecError
        If the fleet has no such pair; its path is the argument.
    """
    from optimizer.engine.queue_model import SimulationModel
    from optimizer.engine.simulated_pair import SimulatedPair
    from optimizer.fleet.one_pair import pair_data
    from optimizer.fleet.processes import PairProcesses
    from optimizer.spec import from_data

    data = pair_data(fleet, model=model, accelerator=accelerator, own_load=True)
    data["services"][0]["load"] |= {
        "input_tokens": _PROMPT_TOKENS,
        "output_tokens": _ANSWER_TOKENS,
    }
    spec = from_data(data, fleet.name)
    entry = spec.performance[0]
    processes = PairProcesses(spec, SimulationModel())
    clock = int(processes.clock[0])
    if clock < 0:
        raise LiveFleetError(
            f"{model} on {accelerator}: the fleet has times by phase alone, which say nothing of "
            f"iterations; give iteration times (`iteration` or `iteration_table`)"
        )
    one = np.zeros(1, dtype=np.int64)
    process = processes.process(clock, one, one, np.array([entry.max_batch or 256]))
    pair = SimulatedPair.of(process, 1.0, blocks=True)
    config = pair.config
    if entry.kv_capacity_tokens is None:
        blocks = config.max_num_seqs * int(_CONTEXT_TOKENS) // _BLOCK_TOKENS
        config = EngineConfig(
            num_blocks=blocks + 1,
            max_num_seqs=config.max_num_seqs,
            max_num_batched_tokens=config.max_num_batched_tokens,
            draft_tokens=config.draft_tokens,
            acceptance_rate=config.acceptance_rate,
        )
    config = _with_context(replace(config, max_waiting=None), 2**30)
    return EmulatedReplica(
        config,
        pair.timing,
        f"times of the fleet '{fleet.name}'",
        drafts_by_chance=config.draft_tokens > 0,
    )


def _with_context(config: EngineConfig, longest: int) -> EngineConfig:
    """Let the longest request be what the model can and the KV cache holds."""
    held = config.usable_blocks * config.block_size
    return replace(config, max_model_len=max(min(longest, held, 131_072), 1))
