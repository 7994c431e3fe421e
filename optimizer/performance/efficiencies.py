"""Fitted constants: how much of its peaks an accelerator reaches, and what an engine adds."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files
from typing import Any

from optimizer.catalog import AcceleratorFacts
from optimizer.errors import FleetError
from optimizer.performance.batching import Batched
from optimizer.performance.numbers import Number
from optimizer.performance.roof import family_of

__all__ = [
    "Calibration",
    "Efficiencies",
    "EngineOverheads",
    "PowerScaling",
    "Spread",
    "UnknownEngineError",
    "calibration",
    "parse_calibration",
]


class UnknownEngineError(FleetError, LookupError):
    """The calibration knows no serving engine of that name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Efficiencies(Batched):
    """What one accelerator family reaches of its peaks; numbers, or arrays that broadcast.

    Parameters
    ----------
    weight_bandwidth, expert_bandwidth, kv_bandwidth
        Share of the memory bandwidth when reading weights, experts' weights and the KV cache.
    matrix_16, matrix_8, expert_matrix, attention_matrix
        Share of the matrix peak in 16-bit and 8-bit products, in grouped products of experts, and
        in the attention of prompts.
    link_bandwidth
        Share of the link's bandwidth in a large all-reduce.
    all_reduce_ms
        Latency of one all-reduce, whatever its size [ms].
    kernel_ms
        Time of one kernel beyond its roofline [ms].
    eager_layer_ms
        Least time of a layer when the iteration has prompts and so no recorded graph [ms].
    expert_spread
        Exponent s in (0, 1]: tokens choose experts as if B^s of them chose independently.
    expert_slice
        Width at which a slice of an expert is read at half the expert's bandwidth.
    """

    weight_bandwidth: Number
    expert_bandwidth: Number
    kv_bandwidth: Number
    matrix_16: Number
    matrix_8: Number
    expert_matrix: Number
    attention_matrix: Number
    link_bandwidth: Number
    all_reduce_ms: Number
    kernel_ms: Number
    eager_layer_ms: Number
    expert_spread: Number
    expert_slice: Number


@dataclass(frozen=True, kw_only=True, eq=False)
class EngineOverheads(Batched):
    """What a serving engine adds on its host; numbers, or arrays that broadcast.

    Parameters
    ----------
    iteration_ms
        Per iteration: scheduling, sampling, launching the graph [ms].
    sequence_ms
        Per sequence in the batch and iteration [ms].
    prefill_ms
        Per prompt that is prefilled [ms].
    front_end_ms
        Per request before the engine sees it and after the first token: HTTP, tokenisation [ms].
    convoy
        Prefills that a request sits through on average in a closed loop of equal lengths, where
        requests that finished together come back together; at least 1.
    prefill_first
        1 where prompts stop all decoding until they are through, 0 where they share iterations.
    chunk_tokens
        Most prompt tokens of an iteration.
    """

    iteration_ms: Number
    sequence_ms: Number
    prefill_ms: Number
    front_end_ms: Number
    convoy: Number
    prefill_first: Number
    chunk_tokens: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Relative standard deviations (of the logarithm) on models held out of the calibration.

    Parameters
    ----------
    dense, experts
        Of iteration times of dense models and of mixtures of experts on a calibrated family.
    ttft
        Of the time to first token in a closed loop.
    uncalibrated
        What an accelerator without calibration data adds, in quadrature.
    """

    dense: float
    experts: float
    ttft: float
    uncalibrated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerScaling:
    """How matrix products slow down where the same silicon gets less power.

    Parameters
    ----------
    exponent
        e in: products per second in proportion to power^e.
    references
        By family: power [W] and 16-bit peak [TFLOPS] of the card it was calibrated on.
    """

    exponent: float
    references: Mapping[str, tuple[float, float]]

    def share(self, family: str, facts: AcceleratorFacts) -> float:
        """Return what is left of the family's share of the peak, in (0, 1].

        A card of the same silicon reaches (power/reference power)^e of the reference's products per
        second; a lower peak is its own part of that. 1 where power or reference is not known.
        """
        if family not in self.references or not facts.tdp_w or not facts.fp16_tflops:
            return 1.0
        power_w, peak_tflops = self.references[family]
        slowed = math.pow(facts.tdp_w / power_w, self.exponent)
        return min(1.0, slowed * peak_tflops / facts.fp16_tflops)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One versioned set of fitted constants.

    Parameters
    ----------
    date
        When it was fitted.
    efficiencies
        Of the family that serving measurements exist for.
    families
        What other families differ in: values by name.
    calibrated
        Families with measurements behind them.
    engines
        Overheads by engine.
    power
        What a smaller power budget costs.
    waves
        Rounds of requests after which a benchmark's opening burst stops counting.
    spread
        How far predictions are off on models held out.
    """

    date: str
    efficiencies: Efficiencies
    families: Mapping[str, Mapping[str, float]]
    calibrated: tuple[str, ...]
    engines: Mapping[str, EngineOverheads]
    power: PowerScaling
    waves: float
    spread: Spread

    def of_family(self, family: str) -> Efficiencies:
        """Efficiencies of a family; those of the calibrated one where nothing is known of it."""
        known: Mapping[str, Any] = self.families.get(family, {})
        return replace(self.efficiencies, **known)

    def of_accelerator(self, facts: AcceleratorFacts) -> Efficiencies:
        """Efficiencies of a card: its family's, with products slowed by a smaller power budget."""
        family = family_of(facts)
        reached = self.of_family(family)
        slowed = self.power.share(family, facts)
        products = ("matrix_16", "matrix_8", "expert_matrix", "attention_matrix")
        return replace(reached, **{name: getattr(reached, name) * slowed for name in products})

    def of_engine(self, engine: str) -> EngineOverheads:
        """Overheads of an engine.

        Raises
        ------
        UnknownEngineError
            If there is none of that name.
        """
        if engine not in self.engines:
            raise UnknownEngineError(
                f"no calibration for engine {engine!r}; there are: {', '.join(self.engines)}"
            )
        return self.engines[engine]


@cache
def calibration() -> Calibration:
    """Return the calibration that ships with the package (`calibration.json`).

    Raises
    ------
    ValueError
        If its schema version is not 1 or a constant is missing.
    """
    text = (files(__package__) / "calibration.json").read_text(encoding="utf-8")
    return parse_calibration(json.loads(text))


def parse_calibration(document: Mapping[str, Any]) -> Calibration:
    """Read a calibration document; raise ValueError if it is not of schema version 1."""
    if document.get("schema_version") != 1:
        raise ValueError(
            f"calibration: schema_version = {document.get('schema_version')!r}, wanted 1"
        )
    return Calibration(
        date=document["date"],
        efficiencies=Efficiencies(**_values(document["efficiencies"], Efficiencies)),
        families={
            name: {key: entry["value"] for key, entry in family.items()}
            for name, family in document["families"].items()
        },
        calibrated=tuple(document["calibrated_families"]),
        engines={
            name: EngineOverheads(**_values(engine, EngineOverheads))
            for name, engine in document["engines"].items()
        },
        power=PowerScaling(
            exponent=document["power"]["exponent"]["value"],
            references={
                family: (entry["power_w"], entry["fp16_tflops"])
                for family, entry in document["power"]["references"].items()
            },
        ),
        waves=document["waves"]["value"],
        spread=Spread(**document["spread"]),
    )


def _values(entries: Mapping[str, Any], wanted: type) -> dict[str, float]:
    names = {field.name for field in fields(wanted)}
    if names != set(entries):
        raise ValueError(
            f"calibration: {wanted.__name__} has {sorted(entries)}, wanted {sorted(names)}"
        )
    return {name: float(entry["value"]) for name, entry in entries.items()}
