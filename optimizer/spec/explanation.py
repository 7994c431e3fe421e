"""Pydantic's complaints in our words: where, what came, what is wanted, what to try."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from optimizer.spec.base import NAME_PATTERN
from optimizer.spec.field_lookup import FieldPlace, keys_of, locate_field, places_of_key
from optimizer.spec.finding import UNREADABLE, Finding, Path
from optimizer.spec.fleet_spec import CURRENCY_PATTERN, FleetSpec
from optimizer.spec.service_class import STATISTIC_PATTERN
from optimizer.spec.slo_sheet import DURATION_PATTERN, LABEL_PATTERN
from optimizer.spec.wording import kind_of, listed, nearest, suggestion

__all__ = ["explain"]

_PATTERNS = {
    NAME_PATTERN: ("must be one line without control characters", ""),
    CURRENCY_PATTERN: ("must be a currency of ISO 4217", "write three capitals, such as USD"),
    DURATION_PATTERN: ("must be a duration as Prometheus has it", "write it as 5m or 30s"),
    LABEL_PATTERN: ("must be a label's name: letters, digits and _", "write it as namespace"),
    STATISTIC_PATTERN: ("must be mean, or a percentile from p1 to p99.9999", "write it as p95"),
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("greater than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}
_KINDS = {
    "string_type": "a text",
    "float_type": "a number",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
}
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
# Floats end at 2**1024; pydantic calls a larger whole number no number.
_MOST_BITS_OF_NUMBER = 1024


def explain(
    error: ValidationError, within: Path = (), root: type[BaseModel] = FleetSpec
) -> Iterator[Finding]:
    """Turn each complaint about a `FleetSpec`, or a part of one, into a finding.

    Parameters
    ----------
    error
        From `model_validate(..., by_alias=True, by_name=False)`. Complaints about parts that the
        reader has already refused are left out.
    within
        Path of the part.
    root
        Model of the whole document.
    """
    for details in error.errors(include_url=False):
        place = locate_field((*within, *details["loc"]), root)
        if details["input"] is UNREADABLE or _is_of_other_kind(details, place):
            continue
        yield _explain(details, place)


def _is_of_other_kind(details: ErrorDetails, place: FieldPlace) -> bool:
    """Whether a complaint concerns a kind of value that was not meant.

    Of a field that takes a number or a mapping, pydantic complains about both; what came tells
    which one was meant.
    """
    if place.alternative is None:
        return False
    expects_mapping = place.part is not None and place.alternative == place.part.__name__
    return expects_mapping is not isinstance(details["input"], Mapping)


def _explain(details: ErrorDetails, place: FieldPlace) -> Finding:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        return Finding(place.path, "is missing", hint=f"give {_lowered(place.description)}")
    if kind == "extra_forbidden":
        return _unknown_key(place)
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return Finding(place.path, f"must be {words} {context[key]:g}{place.unit}", value)
    if kind == "enum":
        return _unknown_choice(place, value)
    if kind == "string_pattern_mismatch":
        wanted, hint = _PATTERNS[context["pattern"]]
        return Finding(place.path, wanted, value, hint)
    if kind == "string_too_short":
        return Finding(place.path, "must not be empty", value)
    if kind == "string_too_long":
        wanted = f"must have at most {context['max_length']} characters, not {len(str(value))}"
        return Finding(place.path, wanted, value)
    if kind == "string_unicode":
        where = "" if place.path else ": it is in a key of the document"
        return Finding(place.path, f"holds half of a surrogate pair{where}", value)
    if kind == "finite_number" or _is_beyond_floats(value):
        return Finding(place.path, f"must be a finite number{place.unit}", value)
    if kind == "invalid_key":
        return Finding(place.path, "the key is not a text")
    return _wrong_kind(kind, value, place)


def _unknown_key(place: FieldPlace) -> Finding:
    key = str(place.path[-1])
    known = tuple(keys_of(place.model))
    hint = suggestion(key, known, "known here")
    elsewhere = [where for where in places_of_key(key) if where]
    if elsewhere and nearest(key, known) is None:
        hint = f"it belongs to {listed(elsewhere)}; {hint}"
    return Finding(place.path, f"unknown key {key!r}", hint=hint)


def _unknown_choice(place: FieldPlace, value: object) -> Finding:
    near = nearest(value, place.choices) if isinstance(value, str) else None
    hint = "" if near is None else f"did you mean {near!r}?"
    return Finding(place.path, f"must be one of {listed(place.choices)}", value, hint)


def _is_beyond_floats(value: object) -> bool:
    return isinstance(value, int) and value.bit_length() > _MOST_BITS_OF_NUMBER


def _wrong_kind(kind: str, value: object, place: FieldPlace) -> Finding:
    """Explain a value of the wrong kind, such as a text where a number is wanted."""
    part = place.part
    if kind == "model_type" and part is not None:
        wanted = f"a mapping with the keys {listed(keys_of(part), 20)}"
    else:
        wanted = _KINDS.get(kind, kind) + (place.unit if kind != "string_type" else "")
        if place.alternative is not None and part is not None:
            wanted += f", or a mapping with the keys {listed(keys_of(part))}"
    came = "" if isinstance(value, float) and kind == "int_type" else f", not {kind_of(value)}"
    return Finding(place.path, f"must be {wanted}{came}", value, _hint_of_kind(kind, value, place))


def _hint_of_kind(kind: str, value: object, place: FieldPlace) -> str:
    """Say what to try for a value of the wrong kind."""
    if value is None:
        optional = place.field is not None and not place.field.is_required()
        return "give a value, or remove the key" if optional else "give a value"
    if kind in ("int_type", "float_type") and isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return f"drop the quotes: {value}"
        if value[:1].isdigit():
            return "write the number alone, with a point for decimals and no separators or unit"
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"write {value:.0f}, without point and exponent" if abs(value) < 1e15 else ""
    if kind == "string_type" and isinstance(value, int | float):
        return _PATTERNS.get(place.pattern or "", ("", ""))[1] or "put it in quotes"
    if kind == "bool_type" and isinstance(value, str):
        return "write true or false, without quotes"
    if kind == "tuple_type":
        return "begin each entry with '- ' (in JSON, put the entries in brackets)"
    if kind == "model_type" and isinstance(value, list | tuple) and not place.path:
        required = (key for key, field in keys_of(place.model).items() if field.is_required())
        return f"begin with the key {next(required)}:"
    return ""


def _lowered(description: str) -> str:
    """Write a description inside a sentence."""
    return description[:1].lower() + description[1:].rstrip(".")
