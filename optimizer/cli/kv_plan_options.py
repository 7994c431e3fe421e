"""The options of `fleetopt kv plan` alone: the mode, and what only one mode takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.option_groups import panel_option

if TYPE_CHECKING:
    from optimizer.kv import AdaptationRules, JointPrices

__all__ = [
    "AdaptOptions",
    "JointOptions",
    "LeastQuality",
    "Mode",
    "ModeName",
    "SequentialOptions",
    "refuse_other_modes",
]

_MODE = "The mode"
_SEQUENTIAL = "Mode sequential"
_JOINT = "Mode joint"
_ADAPT = "Mode adapt"


class Mode(StrEnum):
    """How ratio and device are decided."""

    SEQUENTIAL = "sequential"
    JOINT = "joint"
    PARALLEL = "parallel"  # joint by another name
    ADAPT = "adapt"

    @property
    def is_joint(self) -> bool:
        """Whether all devices are tried at all ratios."""
        return self in (Mode.JOINT, Mode.PARALLEL)


def _given(**options: object) -> Iterator[str]:
    """Name the options that were given."""
    for name, value in options.items():
        if value is not None:
            yield f"--{name.replace('_', '-')}"


ModeName = Annotated[
    Mode,
    panel_option(
        "--mode",
        "sequential: the ratio on the device in use, another device where that does not do; "
        "joint (or parallel): all devices at all ratios, in money; "
        "adapt: as bandwidths and needs change.",
        _MODE,
    ),
]
LeastQuality = Annotated[
    float | None,
    panel_option("--least-quality", "Floor, with a quality curve; not in adapt.", _MODE),
]


@dataclass(frozen=True, kw_only=True)
class SequentialOptions:
    """The device at hand, and what else makes one look for another."""

    in_use: Annotated[
        str | None,
        panel_option("--in-use", "The device at hand; as --candidate.", _SEQUENTIAL, "DEVICE"),
    ] = None
    largest_ratio: Annotated[
        float | None,
        panel_option("--largest-ratio", "Most that may be recomputed; default 1.", _SEQUENTIAL),
    ] = None

    @property
    def given(self) -> list[str]:
        """Names of the options that were given."""
        return list(_given(in_use=self.in_use, largest_ratio=self.largest_ratio))


@dataclass(frozen=True, kw_only=True)
class JointOptions:
    """What delay, quality and accelerators are worth; 0 unless said."""

    usd_per_ttft_s: Annotated[
        float | None,
        panel_option("--usd-per-ttft-s", "Of a second of total delay, per request.", _JOINT),
    ] = None
    usd_per_quality: Annotated[
        float | None,
        panel_option("--usd-per-quality", "Of the metric's whole scale, per request.", _JOINT),
    ] = None
    gpu_usd_per_hour: Annotated[
        float | None,
        panel_option("--gpu-usd-per-hour", "Of the accelerators that recompute.", _JOINT),
    ] = None

    @property
    def given(self) -> list[str]:
        """Names of the options that were given."""
        return list(
            _given(
                usd_per_ttft_s=self.usd_per_ttft_s,
                usd_per_quality=self.usd_per_quality,
                gpu_usd_per_hour=self.gpu_usd_per_hour,
            )
        )

    def prices(self) -> JointPrices:
        """Return them as the controller takes them."""
        from optimizer.kv import JointPrices

        return JointPrices(
            usd_per_ttft_s=self.usd_per_ttft_s or 0.0,
            usd_per_quality=self.usd_per_quality or 0.0,
            gpu_usd_per_hour=self.gpu_usd_per_hour or 0.0,
        )


@dataclass(frozen=True, kw_only=True)
class AdaptOptions:
    """What happened, and when a change is worth acting on."""

    samples: Annotated[
        str | None,
        panel_option(
            "--samples",
            "CSV or JSONL: time_s with device,bandwidth_gb_s or device,event (lost, restored) "
            "or minimum_ratio; - for the standard input.",
            _ADAPT,
            "FILE",
        ),
    ] = None
    smoothing: Annotated[
        float | None,
        panel_option("--smoothing", "Weight of a new sample; default 0.3.", _ADAPT),
    ] = None
    relative_change: Annotated[
        float | None,
        panel_option("--relative-change", "That is acted on; default 0.2.", _ADAPT),
    ] = None
    dwell_s: Annotated[
        float | None, panel_option("--dwell-s", "Least time between changes; default 30.", _ADAPT)
    ] = None
    switch_gain: Annotated[
        float | None,
        panel_option("--switch-gain", "Share gained that is worth moving; default 0.1.", _ADAPT),
    ] = None

    @property
    def given(self) -> list[str]:
        """Names of the options that were given."""
        return list(_given(samples=self.samples, **self._thresholds))

    def rules(self) -> AdaptationRules:
        """Return them as the controller takes them."""
        from optimizer.kv import AdaptationRules

        said = {name: value for name, value in self._thresholds.items() if value is not None}
        return AdaptationRules(**said)

    @property
    def _thresholds(self) -> dict[str, float | None]:
        return {
            "smoothing": self.smoothing,
            "relative_change": self.relative_change,
            "dwell_s": self.dwell_s,
            "switch_gain": self.switch_gain,
        }


def refuse_other_modes(
    mode: Mode, sequential: SequentialOptions, joint: JointOptions, adapt: AdaptOptions
) -> None:
    """Refuse options that the mode would ignore, and ask for those that it needs.

    Raises
    ------
    typer.BadParameter
        Naming them.
    """
    unused = [
        *([] if mode is Mode.SEQUENTIAL else sequential.given),
        *([] if mode.is_joint else joint.given),
        *([] if mode is Mode.ADAPT else adapt.given),
    ]
    if unused:
        raise typer.BadParameter(f"{mode} takes no {', '.join(unused)}", param_hint="--mode")
    if mode is Mode.SEQUENTIAL and not sequential.in_use:
        raise typer.BadParameter("sequential needs the device at hand", param_hint="--in-use")
    if mode is Mode.ADAPT and not adapt.samples:
        raise typer.BadParameter("adapt needs a file of samples", param_hint="--samples")
