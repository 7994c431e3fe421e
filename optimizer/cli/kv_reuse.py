"""`fleetopt kv reuse`: what a prefix cache finds of a trace's prompts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optimizer.cli.fleet_options import Json
from optimizer.cli.kv_options import CacheOptions, PrefillOptions, faults_by_option
from optimizer.cli.option_groups import panel_option, with_option_groups
from optimizer.cli.output import show, tell, write_data, writing_to

if TYPE_CHECKING:
    from optimizer.kv import KvShape
    from optimizer.kv.reuse import BlockTrace, CacheRules, EvictionPolicy, ReuseStudy, Tier

__all__ = ["reuse"]

_TRACE = "The trace"
_STORE = "The cache"
_CURVE = "Hit rate over capacity"
_FLEET = "Into a fleet"
_PICTURES = (".svg", ".png", ".pdf")


class Policy(StrEnum):
    """Names of `optimizer.kv.reuse.EvictionPolicy`, which the command line does not import."""

    LRU = "lru"
    LFU = "lfu"
    LFU_AGEING = "lfu-ageing"
    GDSF = "gdsf"
    ARC = "arc"
    REUSE_TIME = "reuse-time"


class Write(StrEnum):
    """When a block comes to the slower tiers."""

    BACK = "write-back"
    THROUGH = "write-through"


class TimeUnit(StrEnum):
    """Of a trace's timestamps."""

    AUTO = "auto"
    MS = "ms"
    S = "s"


@dataclass(frozen=True, kw_only=True)
class TraceOptions:
    """What is read of the trace."""

    block_tokens: Annotated[
        int | None, panel_option("--block-tokens", "Tokens of a block; default: told.", _TRACE)
    ] = None
    times_in: Annotated[
        TimeUnit, panel_option("--times-in", "Unit of timestamps: ms, s or auto.", _TRACE)
    ] = TimeUnit.AUTO
    from_s: Annotated[float, panel_option("--from-s", "Leave out what is before.", _TRACE)] = 0.0
    to_s: Annotated[
        float | None, panel_option("--to-s", "Leave out what is at or after.", _TRACE)
    ] = None
    answers: Annotated[
        bool, panel_option("--answers", "Store answers too, behind their prompts.", _TRACE)
    ] = False

    def read(self, path: str) -> BlockTrace:
        """Return the trace.

        Raises
        ------
        SpecError
            If it, or a figure, is wrong.
        """
        import math

        from optimizer.kv.ranges import Range, refuse_outside
        from optimizer.kv.reuse import read_trace

        refuse_outside(
            {"block_tokens": self.block_tokens, "from_s": self.from_s, "to_s": self.to_s},
            {
                "block_tokens": Range("tokens", low=1, high=1e6),
                "from_s": Range("s"),
                "to_s": Range("s", above=True),
            },
        )
        return read_trace(
            path,
            block_tokens=self.block_tokens,
            times_in=self.times_in,
            with_answers=self.answers,
            from_s=self.from_s,
            to_s=math.inf if self.to_s is None else self.to_s,
        )


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """Tiers and rules."""

    tiers: Annotated[
        list[str] | None,
        panel_option(
            "--tier",
            "NAME=BLOCKS or NAME=...GB, fastest first; a NAME of the device catalogue gives "
            "loading times. Default: one of an eighth of the distinct blocks.",
            _STORE,
            "TIER",
        ),
    ] = None
    policy: Annotated[
        Policy, panel_option("--policy", "What is evicted first; default reuse-time.", _STORE)
    ] = Policy.REUSE_TIME
    write: Annotated[
        Write, panel_option("--write", "write-back (default) or write-through.", _STORE)
    ] = Write.BACK
    admit_from: Annotated[
        int, panel_option("--admit-from", "Store blocks from this reference on; default 1.", _STORE)
    ] = 1
    lookahead_requests: Annotated[
        int,
        panel_option("--lookahead-requests", "Waiting requests that are prefetched for.", _STORE),
    ] = 0

    def rules(self) -> CacheRules:
        """Return the rules as the cache takes them."""
        from optimizer.kv.reuse import CacheRules, EvictionPolicy, WriteMode

        return CacheRules(
            policy=EvictionPolicy(self.policy),
            write=WriteMode(self.write),
            admit_from=self.admit_from,
            lookahead_requests=self.lookahead_requests,
        )

    def sized(self, trace: BlockTrace, shape: KvShape | None) -> list[Tier]:
        """Return the tiers.

        Raises
        ------
        SpecError
            If one cannot be read.
        """
        from optimizer.kv.reuse import Tier
        from optimizer.kv.reuse.tier_text import tier_named

        if not self.tiers:
            return [Tier(name="cache", capacity_blocks=max(trace.node_count // 8, 1))]
        block_bytes = None if shape is None else float(shape.total_bytes(trace.block_tokens))
        return [tier_named(text, block_bytes) for text in self.tiers]


@dataclass(frozen=True, kw_only=True)
class CurveOptions:
    """The comparison of policies."""

    capacities: Annotated[
        list[int] | None,
        panel_option(
            "--capacity", "Blocks of one tier; may be repeated. Default: 8 sizes.", _CURVE
        ),
    ] = None
    compared: Annotated[
        list[Policy] | None,
        panel_option("--compare", "A policy of the curve; may be repeated. Default: all.", _CURVE),
    ] = None
    plot: Annotated[
        Path | None, panel_option("--plot", "Draw the curve (needs matplotlib).", _CURVE)
    ] = None

    def check(self) -> None:
        """Refuse a picture that could not be drawn, before anything is replayed.

        Raises
        ------
        typer.BadParameter
            If the name's ending is no format of pictures.
        MissingExtraError
            If matplotlib is not installed.
        """
        if self.plot is None:
            return
        from optimizer.report.matplotlib_figure import require_matplotlib

        if self.plot.suffix not in _PICTURES:
            wanted = ", ".join(_PICTURES)
            raise typer.BadParameter(
                f"'{self.plot}': the name must end in {wanted}", param_hint="--plot"
            )
        require_matplotlib()

    def policies(self) -> list[EvictionPolicy]:
        """Return the policies of the curve."""
        from optimizer.kv.reuse import EvictionPolicy

        return [EvictionPolicy(one) for one in self.compared or list(Policy)]

    def sizes(self, trace: BlockTrace) -> list[int]:
        """Return the capacities of the curve.

        Raises
        ------
        SpecError
            If one is below 1.
        """
        from optimizer.kv.ranges import Range, refuse_outside
        from optimizer.kv.reuse import default_capacities

        given = self.capacities or default_capacities(trace)
        for size in given:
            refuse_outside({"capacity": size}, {"capacity": Range("blocks", low=1, high=1e12)})
        return sorted(set(given))


@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """Where the hit rate goes."""

    fleet: Annotated[
        str | None, panel_option("--fleet", "A fleet's file that gets the hit rate.", _FLEET)
    ] = None
    service: Annotated[
        str | None, panel_option("--service", "Whose load.prefix_hit_rate it is.", _FLEET)
    ] = None
    output: Annotated[
        Path | None, panel_option("--output", "File to write; default: the fleet's own.", _FLEET)
    ] = None

    def check(self) -> None:
        """Refuse half of what is needed.

        Raises
        ------
        typer.BadParameter
            If only one of fleet and service is given.
        """
        if (self.fleet is None) != (self.service is None):
            raise typer.BadParameter("give --fleet and --service together", param_hint="--fleet")

    def write(self, study: ReuseStudy) -> None:
        """Write the fleet with the measured hit rate, if there is one to write."""
        if self.fleet is None or self.service is None:
            return
        from optimizer.kv.reuse import with_prefix_hit_rate

        text = with_prefix_hit_rate(self.fleet, self.service, study.prefix_hit_rate)
        target = self.output or Path(self.fleet)
        write_data(text, target)
        tell(f"{target}: {self.service} has prefix_hit_rate {study.prefix_hit_rate:.4f}")


@with_option_groups
def reuse(
    trace: Annotated[
        str, typer.Argument(metavar="TRACE", help="JSON lines with hash_ids, or - for stdin.")
    ],
    *,
    read: TraceOptions,
    store: StoreOptions,
    curve: CurveOptions,
    cache: CacheOptions,
    prefill: PrefillOptions,
    fleet: FleetOptions,
    as_json: Json = False,
) -> None:
    """Replay a trace against a prefix cache: hit rates, what is moved, what is saved, the bound.

    A line of the trace: {"timestamp": ..., "input_length": ..., "output_length": ...,
    "hash_ids": [...]}, one hash per block of the prompt. The model (--model) is for bytes, the
    prefill law for the seconds saved; both may be left out.

    For example:

      fleetopt kv reuse trace.jsonl --capacity 6000 --plot hit-rates.svg

      fleetopt kv reuse trace.jsonl --tier gpu=2000 --tier cpu_dram_pcie5=20000 \
--model meta-llama/Llama-3.1-8B --prefill-s-per-token 1e-4 --fleet fleet.yaml --service chat-premium
    """
    fleet.check()
    curve.check()
    with faults_by_option():
        from optimizer.kv.reuse import study_reuse

        requests = read.read(trace)
        shape = cache.shape() if cache.is_said else None
        study = study_reuse(
            trace,
            requests,
            store.sized(requests, shape),
            store.rules(),
            policies=curve.policies(),
            capacities=curve.sizes(requests),
            shape=shape,
            prefill=prefill.law(1.0) if prefill.is_law else None,
        )
    if curve.plot is not None:
        from optimizer.report.reuse_plot import draw_hit_rates

        with writing_to(curve.plot, "--plot"):
            draw_hit_rates(study, curve.plot)
    fleet.write(study)
    if as_json:
        write_data(study.model_dump_json(indent=2), None)
        return
    from optimizer.report.reuse_text import reuse_view

    show(reuse_view(study))
