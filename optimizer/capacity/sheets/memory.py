"""Sheet `memory`: what memory is used for, by hand and as the engine divides it."""

from __future__ import annotations

from optimizer.capacity.sheets.case import SheetCase
from optimizer.capacity.sheets.sheet import Line, Section, Sheet, spelled
from optimizer.capacity.units import GB, GIB

__all__ = ["memory_sheet"]


def memory_sheet(case: SheetCase) -> Sheet:
    """Memory budget: round figures, then the engine's rule with physical GiB."""
    return Sheet(
        name="memory",
        title=f"Memory budget: {case.title}",
        sections=(_by_hand(case), _as_the_engine(case)),
    )


def _by_hand(case: SheetCase) -> Section:
    cards, memory, pool = case.tensor_parallel, case.nominal_memory_gb, case.hand_pool_gb
    parts = (case.nominal_weight_gb, case.overhead_gb * cards, case.activation_gb * cards)
    given = case.pool_gb is not None
    return Section(
        title="By hand, in GB of 1e9 bytes",
        lines=(
            Line(
                name="memory",
                arithmetic=f"{cards} x {case.facts.memory_gb:g} GB as sold",
                value=memory,
                unit="GB",
            ),
            Line(
                name="weights",
                arithmetic=f"{spelled(case.nominal_parameters)} parameters x "
                f"{case.bytes_per_weight:g} bytes",
                value=parts[0],
                unit="GB",
            ),
            Line(
                name="framework",
                arithmetic=f"{cards} x {case.overhead_gb:g} GB",
                value=parts[1],
                unit="GB",
            ),
            Line(
                name="activations",
                arithmetic=f"{cards} x {case.activation_gb:g} GB",
                value=parts[2],
                unit="GB",
            ),
            Line(
                name="KV pool",
                arithmetic="as given"
                if given
                else " - ".join([spelled(memory), *(spelled(part) for part in parts)]),
                value=pool,
                unit="GB",
            ),
        ),
    )


def _as_the_engine(case: SheetCase) -> Section:
    budget, settings = case.budget, case.settings
    stage = budget.tightest
    device = budget.device_bytes / GIB
    requested = budget.requested_bytes / GIB
    taken = (stage.weight_bytes, stage.activation_bytes, stage.non_torch_bytes)
    pool = stage.kv_pool_bytes
    subtracted = [f"{size / GIB:.2f}" for size in taken]
    notes = [
        f"The same pool is {pool / GB:.2f} GB; CUDA graphs take about "
        f"{budget.graph_bytes / GIB:.1f} GiB more, outside of the budget unless told otherwise.",
    ]
    if not budget.fits:
        notes.append("The model does not fit like that.")
    return Section(
        title=f"As {settings.engine.value} divides each accelerator, in GiB of 2^30 bytes",
        lines=(
            Line(
                name="memory found",
                arithmetic=f"{budget.device_bytes / GB:.2f} GB",
                value=device,
                unit="GiB",
                note="what a program finds, not what is sold",
            ),
            Line(
                name="used by the engine",
                arithmetic=f"{settings.utilization:g} x {device:.2f} GiB",
                value=requested,
                unit="GiB",
            ),
            Line(
                name="weights found",
                arithmetic=f"{case.model.num_parameters:,} parameters, {case.weights.name} with "
                f"scales, the rest as it is, over {case.tensor_parallel}",
                value=taken[0] / GIB,
                unit="GiB",
            ),
            Line(
                name="activation peak",
                arithmetic=f"steps of {settings.max_num_batched_tokens:,} tokens, "
                f"{settings.max_num_seqs:,} sequences sampled",
                value=taken[1] / GIB,
                unit="GiB",
            ),
            Line(
                name="outside of the framework",
                arithmetic="CUDA context and collectives, measured",
                value=taken[2] / GIB,
                unit="GiB",
            ),
            Line(
                name="pool found",
                arithmetic=" - ".join([f"{requested:.2f}", *subtracted]),
                value=pool / GIB,
                unit="GiB",
            ),
            Line(
                name="tokens in the pool",
                arithmetic=f"{budget.blocks:,} blocks of {settings.block_tokens} tokens or more",
                value=float(budget.kv_tokens),
                unit="tokens",
            ),
        ),
        notes=tuple(notes),
    )
