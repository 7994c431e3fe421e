"""`fleetopt kv ratio`: the recompute ratio for a device."""

from __future__ import annotations

from optimizer.cli.fleet_options import Json
from optimizer.cli.kv_options import (
    BudgetMs,
    CacheOptions,
    ContextTokens,
    DeviceOptions,
    OverheadOptions,
    PrefillOptions,
    QualityOptions,
    RatioOptions,
    faults_by_option,
)
from optimizer.cli.option_groups import with_option_groups
from optimizer.cli.output import show, write_data

__all__ = ["ratio"]


@with_option_groups
def ratio(
    *,
    context_tokens: ContextTokens,
    cache: CacheOptions,
    prefill: PrefillOptions,
    device: DeviceOptions,
    overheads: OverheadOptions,
    rules: RatioOptions,
    quality: QualityOptions,
    ttft_budget_ms: BudgetMs = None,
    as_json: Json = False,
) -> None:
    """Choose how many tokens to recompute while the KV cache is loaded from a device.

    As many as loading hides, never fewer than quality needs, never more than all.

    For example:

      fleetopt kv ratio --model meta-llama/Llama-3.1-70B --context-tokens 4096 --prefill-s 3.73 \
--device nvme_paper

      fleetopt kv ratio --model 01-ai/Yi-34B --context-tokens 4096 --prefill-s 3 \
--bandwidth-gb-s 1.5 --json
    """
    with faults_by_option():
        from optimizer.kv.ranges import Range, refuse_outside
        from optimizer.kv.ratio_study import study_ratio

        budget = {"ttft_budget_ms": ttft_budget_ms}
        refuse_outside(budget, {"ttft_budget_ms": Range("ms", above=True, high=1e12)})
        study = study_ratio(
            cache.shape(),
            context_tokens,
            prefill.law(context_tokens, cache.model),
            device.storage(prefill, context_tokens, cache.model),
            policy=rules.policy(),
            overheads=overheads.overheads(),
            quality=quality.curve(),
            ttft_budget_ms=ttft_budget_ms,
            limits=cache.limits(context_tokens),
        )
    if as_json:
        write_data(study.model_dump_json(indent=2), None)
        return
    from optimizer.report import ratio_view

    show(ratio_view(study))
