"""The options of `fleetopt kv`: the model, its prefill, the device, overheads and rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.option_groups import panel_option
from optimizer.cli.output import tell

if TYPE_CHECKING:
    from optimizer.errors import Fault
    from optimizer.kv import (
        KvShape,
        LoadOverheads,
        QuadraticPrefill,
        RatioPolicy,
        SaturatingQuality,
        StorageDevice,
    )

__all__ = [
    "BudgetMs",
    "CacheOptions",
    "ContextTokens",
    "DeviceOptions",
    "KvPrecision",
    "OverheadOptions",
    "OverlapName",
    "PrefillOptions",
    "QualityOptions",
    "RatioOptions",
    "faults_by_option",
]

_CACHE = "The KV cache"
_PREFILL = "How fast it is computed"
_DEVICE = "The device"
_OVERHEADS = "Overheads and rules"
_QUALITY = "Quality"


class KvPrecision(StrEnum):
    """Precision of the KV cache."""

    FP16 = "fp16"
    BF16 = "bf16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"


class OverlapName(StrEnum):
    """The ways of `optimizer.kv.Overlap`, which the command line does not import."""

    SEQUENTIAL = "sequential"
    PARALLEL = "parallel"
    LAYER_PIPELINE = "layer-pipeline"
    FIRST_LAYER_FULL = "first-layer-full"


ContextTokens = Annotated[float, panel_option("--context-tokens", "Context length.", _CACHE)]
BudgetMs = Annotated[
    float | None,
    panel_option("--ttft-budget-ms", "Largest total delay; default: the full prefill.", _OVERHEADS),
]


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """How large the KV cache is per token."""

    model: Annotated[
        str | None, panel_option("--model", "A model of the catalogue, by its hub id.", _CACHE)
    ] = None
    layers: Annotated[
        float | None, panel_option("--layers", "Layers, without --model.", _CACHE)
    ] = None
    kv_elements_per_layer_token: Annotated[
        float | None,
        panel_option(
            "--kv-elements-per-layer-token",
            "Elements of one token in one layer: 2 x KV heads x head dimension.",
            _CACHE,
        ),
    ] = None
    hidden_size: Annotated[
        float | None, panel_option("--hidden-size", "With --heads, in place of these.", _CACHE)
    ] = None
    heads: Annotated[float | None, panel_option("--heads", "Attention heads.", _CACHE)] = None
    kv_heads: Annotated[
        float | None, panel_option("--kv-heads", "Of them with own KV; default: all.", _CACHE)
    ] = None
    kv_precision: Annotated[
        KvPrecision, panel_option("--kv-precision", "Of the KV cache; default fp16.", _CACHE)
    ] = KvPrecision.FP16
    bytes_per_element: Annotated[
        float | None,
        panel_option("--bytes-per-element", "In place of a precision's 2, 1 or 0.5.", _CACHE),
    ] = None
    compression: Annotated[
        float, panel_option("--compression", "Factor by which it is stored smaller.", _CACHE)
    ] = 1.0

    compressed_as: Annotated[
        str | None,
        panel_option("--compressed-as", "A compression of the catalogue, as cachegen.", _CACHE),
    ] = None

    @property
    def is_said(self) -> bool:
        """Whether there is a word about the model."""
        return any((self.model, self.layers, self.kv_elements_per_layer_token, self.hidden_size))

    def shape(self) -> KvShape:
        """Return the size per token.

        Raises
        ------
        typer.BadParameter
            If it is not said what the model is.
        UnknownEntryError
            If the catalogue has no such model.
        """
        from optimizer.catalog import model
        from optimizer.kv import BYTES_PER_ELEMENT, KvShape

        size = self.bytes_per_element
        if size is None:
            size = BYTES_PER_ELEMENT[self.kv_precision]
        factor = self._factor()
        self._refuse_two_ways()
        if self.model is not None:
            facts = model(self.model)
            return KvShape.of_model(facts, bytes_per_element=size, compression=factor)
        if self.layers is not None and self.kv_elements_per_layer_token is not None:
            return KvShape(
                layers=self.layers,
                elements_per_layer_token=self.kv_elements_per_layer_token,
                bytes_per_element=size,
                compression=factor,
            )
        if self.layers is not None and self.hidden_size is not None and self.heads is not None:
            return KvShape.of_heads(
                self.layers,
                self.hidden_size,
                self.heads,
                kv_heads=self.kv_heads,
                bytes_per_element=size,
                compression=factor,
            )
        raise typer.BadParameter(
            "name a model, or give --layers and --kv-elements-per-layer-token, "
            "or --layers, --hidden-size and --heads",
            param_hint="--model",
        )

    def _refuse_two_ways(self) -> None:
        """Refuse figures that would be ignored beside others."""
        by_heads = (self.hidden_size, self.heads, self.kv_heads)
        elements = self.kv_elements_per_layer_token
        if self.model is not None and {self.layers, elements, *by_heads} != {None}:
            raise typer.BadParameter(
                "leave out --layers, --kv-elements-per-layer-token, --hidden-size, --heads, "
                "--kv-heads",
                param_hint="--model",
            )
        if elements is not None and set(by_heads) != {None}:
            raise typer.BadParameter(
                "leave out --hidden-size, --heads and --kv-heads",
                param_hint="--kv-elements-per-layer-token",
            )

    def _factor(self) -> float:
        """Return the compression given, or the catalogue's, and tell what it does to quality."""
        from optimizer.catalog import kv_compression

        if self.compressed_as is None:
            return self.compression
        in_fp16 = self.kv_precision in (KvPrecision.FP16, KvPrecision.BF16)
        if self.compression != 1.0 or not in_fp16 or self.bytes_per_element is not None:
            raise typer.BadParameter(
                "is against fp16; leave out --compression, --kv-precision, --bytes-per-element",
                param_hint="--compressed-as",
            )
        facts = kv_compression(self.compressed_as)
        loss = "not measured"
        if facts.quality is not None and facts.quality_full is not None:
            loss = (
                f"{facts.dataset} {facts.metric} {facts.quality_full:g} -> {facts.quality:g} "
                f"with {facts.model}"
            )
        shared = "" if facts.same_prefix else "; holds for one query only"
        tell(
            f"fleetopt: {facts.name}: {facts.compression:g} times smaller; quality: {loss}{shared} "
            f"({facts.evidence}: {facts.source})"
        )
        return facts.compression

    def limits(self, tokens: float) -> list[str]:
        """Say where the architecture of a model of the catalogue meets a limit."""
        from optimizer.catalog import model
        from optimizer.kv import architecture_limits

        return [] if self.model is None else list(architecture_limits(model(self.model), tokens))


@dataclass(frozen=True, kw_only=True)
class PrefillOptions:
    """How long the prefill takes: one measured time, or the law a t + b t²."""

    prefill_s: Annotated[
        float | None,
        panel_option("--prefill-s", "Full prefill of the whole context [s]; linear.", _PREFILL),
    ] = None
    prefill_s_per_token: Annotated[
        float | None, panel_option("--prefill-s-per-token", "a of a t + b t² [s].", _PREFILL)
    ] = None
    prefill_s_per_token2: Annotated[
        float | None, panel_option("--prefill-s-per-token2", "b of a t + b t² [s].", _PREFILL)
    ] = None

    profiles: Annotated[
        str | None,
        panel_option(
            "--profiles",
            "Of --model in a database of `kv profiles`; devices are taken from it too.",
            _PREFILL,
            "DATABASE",
        ),
    ] = None
    accelerator: Annotated[
        str | None, panel_option("--accelerator", "With --profiles: measured on it.", _PREFILL)
    ] = None

    @property
    def is_law(self) -> bool:
        """Whether times of any length follow from it.

        Raises
        ------
        typer.BadParameter
            If a single time is given, which holds for one length.
        """
        if self.prefill_s is not None:
            raise typer.BadParameter(
                "prompts have many lengths: give --prefill-s-per-token and --prefill-s-per-token2",
                param_hint="--prefill-s",
            )
        return (self.prefill_s_per_token, self.prefill_s_per_token2) != (None, None)

    def law(
        self, tokens: float, model: str | None = None, *, of_any_part: bool = False
    ) -> QuadraticPrefill:
        """Return the law; a single time is that of `tokens` tokens.

        Parameters
        ----------
        tokens
            The context.
        model
            Whose profile is taken, with `--profiles`.
        of_any_part
            Whether parts of the context are asked for too: then a profile's fitted law is taken,
            else its time of that context.

        Raises
        ------
        typer.BadParameter
            If neither, or both, are given.
        """
        from optimizer.kv import QuadraticPrefill
        from optimizer.kv.ranges import Range, refuse_outside

        if self.profiles is not None:
            return self._profiled(tokens, model, of_any_part=of_any_part)
        by_law = (self.prefill_s_per_token, self.prefill_s_per_token2)
        if (self.prefill_s is None) == (by_law == (None, None)):
            raise typer.BadParameter(
                "give either this, or --prefill-s-per-token and --prefill-s-per-token2, or "
                "--profiles",
                param_hint="--prefill-s",
            )
        wanted = Range("s", above=True, high=1e9)
        refuse_outside(
            {"prefill_s": self.prefill_s, "tokens": tokens},
            {"prefill_s": wanted, "tokens": Range("tokens", low=1.0, high=1e12)},
        )
        if self.prefill_s is not None:
            return QuadraticPrefill.through(1e3 * self.prefill_s, tokens)
        linear, quadratic = (1e3 * (value or 0.0) for value in by_law)
        return QuadraticPrefill(ms_per_token=linear, ms_per_token2=quadratic)

    def storage(self, text: str, tokens: float, model: str | None) -> StorageDevice:
        """Return a device by its name or figures; what `--profiles` has measured goes first.

        Raises
        ------
        SpecError
            If there is none, or it was not measured with the model, accelerator or context.
        """
        from optimizer.kv.device_text import device_named, device_profiled
        from optimizer.kv.profiles.lookup import device_profile_of

        if self.profiles is None or "=" in text:
            return device_named(text)
        measured = device_profile_of(
            self.profiles, text, tokens=tokens, model=model, accelerator=self.accelerator
        )
        if measured is None:
            return device_named(text)
        told = f"{measured.bandwidth_gb_s:g} GB/s, {measured.latency_ms:g} ms"
        tell(f"fleetopt: {text} as measured: {told}")
        return device_profiled(measured)

    def _profiled(self, tokens: float, model: str | None, *, of_any_part: bool) -> QuadraticPrefill:
        """Take the time, or the law, of a profiling database."""
        from optimizer.kv import QuadraticPrefill
        from optimizer.kv.profiles.lookup import profile_of

        given = (self.prefill_s, self.prefill_s_per_token, self.prefill_s_per_token2)
        if given != (None, None, None):
            raise typer.BadParameter("leave out --prefill-s and its like", param_hint="--profiles")
        if model is None:
            raise typer.BadParameter("needs --model", param_hint="--profiles")
        profile = profile_of(str(self.profiles), model, self.accelerator)
        ends = profile.time(tokens)
        if not of_any_part:
            return QuadraticPrefill.through(ends.ms, tokens)
        law, error = profile.law()
        tell(f"fleetopt: prefill of {profile.what} by a law within {error:.1%} of its points")
        return law


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """The device that is loaded from."""

    device: Annotated[
        str | None,
        panel_option(
            "--device", "Of the catalogue or --profiles, or name=...,bandwidth_gb_s=...", _DEVICE
        ),
    ] = None
    bandwidth_gb_s: Annotated[
        float | None, panel_option("--bandwidth-gb-s", "Read bandwidth.", _DEVICE)
    ] = None
    latency_ms: Annotated[
        float | None, panel_option("--latency-ms", "Until the first byte.", _DEVICE)
    ] = None
    sharers: Annotated[
        float | None,
        panel_option("--sharers", "Loads at the same time that divide the bandwidth.", _DEVICE),
    ] = None

    def storage(self, measured: PrefillOptions, tokens: float, model: str | None) -> StorageDevice:
        """Return the device; figures go before those measured, and these before the catalogue's.

        Raises
        ------
        typer.BadParameter
            If neither a device nor a bandwidth is given.
        SpecError
            If the catalogue has no such device, or a figure is out of range.
        """
        from optimizer.kv import StorageDevice

        given = {
            name: getattr(self, name)
            for name in ("bandwidth_gb_s", "latency_ms", "sharers")
            if getattr(self, name) is not None
        }
        if self.device is not None:
            return replace(measured.storage(self.device, tokens, model), **given)
        if self.bandwidth_gb_s is None:
            raise typer.BadParameter("name one, or give --bandwidth-gb-s", param_hint="--device")
        return StorageDevice(name="device", **given)


@dataclass(frozen=True, kw_only=True)
class OverheadOptions:
    """What loading costs beside bytes and latency; all 0 unless said."""

    layer_overhead_ms: Annotated[
        float, panel_option("--layer-overhead-ms", "Coordination per layer [ms].", _OVERHEADS)
    ] = 0.0
    transfer_setup_ms: Annotated[
        float, panel_option("--transfer-setup-ms", "Set-up of each transfer [ms].", _OVERHEADS)
    ] = 0.0
    transfer_bytes: Annotated[
        float | None,
        panel_option("--transfer-bytes", "Size of a transfer; default: a layer.", _OVERHEADS),
    ] = None

    def overheads(self) -> LoadOverheads:
        """Return them as the delay engine takes them."""
        from optimizer.kv import LoadOverheads

        return LoadOverheads(
            layer_ms=self.layer_overhead_ms,
            transfer_setup_ms=self.transfer_setup_ms,
            transfer_bytes=self.transfer_bytes,
        )


@dataclass(frozen=True, kw_only=True)
class RatioOptions:
    """What a recompute ratio has to keep to."""

    minimum_ratio: Annotated[
        float, panel_option("--min-ratio", "Least share for quality; default 0.15.", _OVERHEADS)
    ] = 0.15
    recompute_overhead: Annotated[
        float,
        panel_option("--recompute-overhead", "Of selective recomputing; default 0.05.", _OVERHEADS),
    ] = 0.05
    compute_share: Annotated[
        float, panel_option("--compute-share", "Of the accelerator, in (0, 1].", _OVERHEADS)
    ] = 1.0
    granularity_tokens: Annotated[
        float,
        panel_option(
            "--granularity-tokens", "Recomputed tokens are a multiple; 0: any.", _OVERHEADS
        ),
    ] = 0.0
    overlap: Annotated[
        OverlapName,
        panel_option(
            "--overlap", "How the total delay is put together; default parallel.", _OVERHEADS
        ),
    ] = OverlapName.PARALLEL

    def policy(self) -> RatioPolicy:
        """Return them as the controller takes them."""
        from optimizer.kv import Overlap, RatioPolicy

        return RatioPolicy(
            minimum_ratio=self.minimum_ratio,
            overlap=Overlap(self.overlap),
            recompute_overhead=self.recompute_overhead,
            compute_share=self.compute_share,
            granularity_tokens=self.granularity_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class QualityOptions:
    """The quality curve: by its three figures, or fitted to published points."""

    dataset: Annotated[
        str | None,
        panel_option("--quality-dataset", "Fit published points: Musique or 2WikiMQA.", _QUALITY),
    ] = None
    quality_at_zero: Annotated[
        float | None, panel_option("--quality-at-zero", "Without recomputing.", _QUALITY)
    ] = None
    quality_at_one: Annotated[
        float | None, panel_option("--quality-at-one", "Recomputing everything.", _QUALITY)
    ] = None
    quality_rate: Annotated[
        float | None, panel_option("--quality-rate", "k of 1 - exp(-k r).", _QUALITY)
    ] = None

    def curve(self) -> SaturatingQuality | None:
        """Return the curve, or None where none is asked for.

        Raises
        ------
        typer.BadParameter
            If the figures are incomplete, or there are no points of the dataset.
        """
        from optimizer.catalog import quality_points
        from optimizer.kv import SaturatingQuality, fit_quality

        figures = (self.quality_at_zero, self.quality_at_one, self.quality_rate)
        if self.dataset is not None:
            points = quality_points(self.dataset)
            if not points:
                known = ", ".join(sorted({point.dataset for point in quality_points()}))
                raise typer.BadParameter(
                    f"no published points of '{self.dataset}'; there are {known}",
                    param_hint="--quality-dataset",
                )
            return fit_quality(
                [point.ratio for point in points],
                [point.quality for point in points],
                metric=points[0].metric,
                source="; ".join(dict.fromkeys(f"{p.source} ({p.evidence})" for p in points)),
            )
        if figures == (None, None, None):
            return None
        zero, one, rate = figures
        if zero is None or one is None or rate is None:
            raise typer.BadParameter(
                "give --quality-at-zero, --quality-at-one and --quality-rate together",
                param_hint="--quality-at-zero",
            )
        return SaturatingQuality(at_zero=zero, at_one=one, rate=rate, source="given")


# Fields of the package that are spelt otherwise as options.
_OPTIONS = {
    "tokens": "--context-tokens",
    "elements_per_layer_token": "--kv-elements-per-layer-token",
    "layer_ms": "--layer-overhead-ms",
    "minimum_ratio": "--min-ratio",
    "prefill": "--prefill-s",
    "ms_per_token": "--prefill-s-per-token",
    "ms_per_token2": "--prefill-s-per-token2",
    "at_zero": "--quality-at-zero",
    "at_one": "--quality-at-one",
    "rate": "--quality-rate",
    "local": "--local-cost",
    "request_bytes": "--request-bytes",
}


@contextmanager
def faults_by_option() -> Iterator[None]:
    """Name faults by the options that they concern."""
    from optimizer.catalog import UnknownEntryError
    from optimizer.errors import Fault, SpecError

    def told(fault: Fault) -> Fault:
        if fault.source or not fault.path.isidentifier():
            return fault
        spelt = _OPTIONS.get(fault.path, f"--{fault.path.replace('_', '-')}")
        return replace(fault, path=spelt)

    try:
        yield
    except SpecError as error:
        raise SpecError([told(fault) for fault in error.faults]) from error
    except UnknownEntryError as error:
        raise SpecError([Fault(str(error), path=f"--{error.kind.replace(' ', '-')}")]) from error
