"""`fleetopt kv restore`: which part of a stored prefix to compute, and which to load."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from optimizer.cli.fleet_options import Json
from optimizer.cli.kv_options import (
    CacheOptions,
    DeviceOptions,
    OverheadOptions,
    PrefillOptions,
    faults_by_option,
)
from optimizer.cli.option_groups import panel_option, with_option_groups
from optimizer.cli.output import show, write_data

__all__ = ["restore"]

_PREFIX = "The prefix"
_COMPUTE = "Overheads and rules"
_ECONOMICS = "Keep or drop"


@dataclass(frozen=True, kw_only=True)
class RetentionOptions:
    """What keeping has to pay for."""

    gpu_usd_per_hour: Annotated[
        float | None,
        panel_option("--gpu-usd-per-hour", "Price of the accelerators that compute.", _ECONOMICS),
    ] = None
    usd_per_gb_hour: Annotated[
        float | None,
        panel_option("--usd-per-gb-hour", "Price of keeping; default: the device's.", _ECONOMICS),
    ] = None
    hits_per_hour: Annotated[
        float | None, panel_option("--hits-per-hour", "Expected use.", _ECONOMICS)
    ] = None

    def usd_per_hour_of(self, compute_share: float) -> float | None:
        """Return the price of a share of the accelerators."""
        return None if self.gpu_usd_per_hour is None else self.gpu_usd_per_hour * compute_share


@with_option_groups
def restore(
    *,
    prefix_tokens: Annotated[float, panel_option("--prefix-tokens", "Tokens stored.", _PREFIX)],
    suffix_tokens: Annotated[
        float, panel_option("--suffix-tokens", "New tokens behind them; default 0.", _PREFIX)
    ] = 0.0,
    split_tokens: Annotated[
        float,
        panel_option("--split-tokens", "The split is a multiple of this; 0: anywhere.", _PREFIX),
    ] = 0.0,
    cache: CacheOptions,
    prefill: PrefillOptions,
    device: DeviceOptions,
    also: Annotated[
        list[str] | None,
        panel_option(
            "--also", "A further device that holds the prefix; may be repeated.", _PREFIX, "DEVICE"
        ),
    ] = None,
    overheads: OverheadOptions,
    compute_share: Annotated[
        float, panel_option("--compute-share", "Of the accelerator, in (0, 1].", _COMPUTE)
    ] = 1.0,
    retention: RetentionOptions,
    as_json: Json = False,
) -> None:
    """Restore a stored prefix soonest: compute from the front, load from the back, or only one.

    --prefill-s is the time of prefix and suffix together.

    For example:

      fleetopt kv restore --model meta-llama/Llama-3.1-8B --prefix-tokens 16384 \
--suffix-tokens 512 --prefill-s-per-token 1e-4 --prefill-s-per-token2 2e-9 --device nvme_paper

      fleetopt kv restore --model 01-ai/Yi-34B --prefix-tokens 4096 --suffix-tokens 256 \
--prefill-s 3 --bandwidth-gb-s 2 --json
    """
    with faults_by_option():
        from dataclasses import replace

        from optimizer.kv import RestorationTask, SharedPrefill
        from optimizer.kv.restoration_study import study_restoration

        _check_tokens(prefix_tokens, suffix_tokens, split_tokens)
        storage = device.storage(prefill, prefix_tokens, cache.model)
        if retention.usd_per_gb_hour is not None:
            storage = replace(storage, usd_per_gb_hour=retention.usd_per_gb_hour)
        law = prefill.law(prefix_tokens + suffix_tokens, cache.model, of_any_part=True)
        task = RestorationTask(
            shape=cache.shape(),
            prefill=SharedPrefill(law=law, share=compute_share),
            prefix_tokens=prefix_tokens,
            suffix_tokens=suffix_tokens,
            bandwidth_gb_s=storage.bandwidth_gb_s,
            latency_ms=storage.latency_ms,
            sharers=storage.sharers,
            overheads=overheads.overheads(),
            granularity_tokens=split_tokens,
        )
        study = study_restoration(
            task,
            storage,
            stripes=[prefill.storage(text, prefix_tokens, cache.model) for text in also or ()],
            gpu_usd_per_hour=retention.usd_per_hour_of(compute_share),
            hits_per_hour=retention.hits_per_hour,
        )
    if as_json:
        write_data(study.model_dump_json(indent=2), None)
        return
    from optimizer.report import restoration_view

    show(restoration_view(study))


def _check_tokens(prefix_tokens: float, suffix_tokens: float, split_tokens: float) -> None:
    from optimizer.kv.ranges import Range, refuse_outside

    refuse_outside(
        {
            "prefix_tokens": prefix_tokens,
            "suffix_tokens": suffix_tokens,
            "split_tokens": split_tokens,
        },
        {
            "prefix_tokens": Range("tokens", low=1.0, high=1e9),
            "suffix_tokens": Range("tokens", high=1e9),
            "split_tokens": Range("tokens", high=1e9),
        },
    )
