"""Contradictions in the lengths of a service's prompts and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from optimizer.spec.finding import Finding
from optimizer.spec.lengths import LengthDistribution
from optimizer.spec.parts import Part
from optimizer.spec.wording import listed

__all__ = ["check_lengths"]

# What each distribution must be given, and what it may.
_NEEDS: Mapping[str, tuple[str, ...]] = {
    LengthDistribution.FIXED: ("mean",),
    LengthDistribution.GEOMETRIC: ("mean",),
    LengthDistribution.LOGNORMAL: ("mean", "scv"),
    LengthDistribution.EMPIRICAL: ("values",),
}
_TAKES: Mapping[str, tuple[str, ...]] = {
    **_NEEDS,
    LengthDistribution.EMPIRICAL: ("values", "weights"),
}
_MEANINGS = {
    "mean": "the mean length in tokens",
    "scv": "the squared coefficient of variation",
    "values": "the lengths in tokens, as [100, 250, 900]",
}


def check_lengths(load: Part) -> Iterator[Finding]:
    """Find lengths that contradict themselves, each other, or that no request can have."""
    for key in ("input_tokens", "output_tokens"):
        lengths = load.part(key)
        if not isinstance(lengths.value, Mapping):
            continue
        if load.has(f"{key}_scv"):
            yield load.find(
                f"{key}_scv",
                f"{key} is a distribution, which has its own variation",
                f"remove it, or give {key} as a number, its mean",
            )
        yield from _distribution(lengths)
        yield from _least(lengths, 1.0 if key == "output_tokens" else 0.0)
    if _is_zero(load) and (load.number("arrival_rate_rps") or 0) > 0:
        yield load.find(
            "input_tokens",
            "must be greater than 0 (tokens) where requests arrive",
            "give the mean prompt length",
        )


def _distribution(lengths: Part) -> Iterator[Finding]:
    """Find what a distribution lacks, and what it has no use for."""
    name = lengths.text("distribution")
    if name is None or name not in _NEEDS:
        return
    for key in _NEEDS[name]:
        if not lengths.has(key):
            yield Finding(
                (*lengths.path, key),
                f"is missing for {name} lengths",
                hint=f"give {_MEANINGS[key]}",
            )
    for key in ("mean", "scv", "values", "weights"):
        if key not in _TAKES[name] and lengths.has(key):
            yield lengths.find(
                key, f"{name} lengths have none", f"they are given by {listed(_TAKES[name])}"
            )
    if name == LengthDistribution.LOGNORMAL and lengths.number("mean") == 0:
        yield lengths.find("mean", "must be greater than 0 (tokens) for lognormal lengths")
    if name == LengthDistribution.GEOMETRIC and (lengths.number("mean") or 1.0) < 1.0:
        yield lengths.find("mean", "must be at least 1 (tokens) for geometric lengths")
    if name == LengthDistribution.EMPIRICAL:
        yield from _histogram(lengths)


def _histogram(lengths: Part) -> Iterator[Finding]:
    values, weights = lengths.part("values").value, lengths.part("weights").value
    if lengths.is_empty_list("values"):
        yield lengths.find("values", "must have at least one length")
    if not isinstance(weights, list | tuple):
        return
    if isinstance(values, list | tuple) and len(values) != len(weights):
        yield lengths.find(
            "weights", f"must be as many as the values, {len(values)}, not {len(weights)}"
        )
    elif weights and all(weight == 0 for weight in weights):
        yield lengths.find("weights", "must have one greater than 0")


def _least(lengths: Part, least: float) -> Iterator[Finding]:
    """Find lengths below what the first token, which counts, allows."""
    mean = lengths.number("mean")
    # Geometric lengths begin with 1 in any case.
    geometric = lengths.text("distribution") == LengthDistribution.GEOMETRIC
    if mean is not None and mean < least and not geometric:
        yield lengths.find("mean", f"must be at least {least:g} (tokens): the first one counts")
    values = lengths.part("values").value
    for place, value in enumerate(values if isinstance(values, list | tuple) else ()):
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < least:
            yield Finding(
                (*lengths.path, "values", place),
                f"must be at least {least:g} (tokens): the first one counts",
                value,
                "leave out requests without output",
            )


def _is_zero(load: Part) -> bool:
    """Whether prompts are all empty."""
    lengths = load.part("input_tokens")
    if not isinstance(lengths.value, Mapping):
        return load.number("input_tokens") == 0
    values = lengths.part("values").value
    if isinstance(values, list | tuple):
        return bool(values) and all(value == 0 for value in values)
    return lengths.number("mean") == 0 and lengths.text("distribution") == LengthDistribution.FIXED
