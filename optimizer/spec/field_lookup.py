"""Which field of the spec a path means: its kind, its unit, the keys beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from optimizer.spec.finding import Path
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["FieldPlace", "keys_of", "locate_field", "places_of_key"]

_UNIT = re.compile(r"\[([^\]]+)\]")


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """What a location that pydantic complains about means in the spec.

    Parameters
    ----------
    path
        In the document.
    model
        That has, or should have, the last key of the path.
    field
        Of that key; None for an unknown key and for the whole document.
    alternative
        Of a field that takes values of several kinds, the kind complained about.
    """

    path: Path
    model: type[BaseModel]
    field: FieldInfo | None
    alternative: str | None = None

    @property
    def unit(self) -> str:
        """The field's unit in parentheses after a space, or nothing."""
        found = _UNIT.search(self.description)
        return f" ({found.group(1)})" if found else ""

    @property
    def description(self) -> str:
        """What the field is."""
        return (self.field.description or "") if self.field else ""

    @property
    def part(self) -> type[BaseModel] | None:
        """Model of the field's value, or of the entries of its list."""
        if self.field is None:
            return None if self.path else self.model
        return next(iter(_models_in(self.field.annotation)), None)

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of a field that takes one of a few."""
        for kind in _kinds_in(self.field.annotation) if self.field else ():
            for one in _kinds_in(get_args(kind)[0]) if get_origin(kind) is tuple else [kind]:
                if isinstance(one, type) and issubclass(one, Enum):
                    return tuple(str(member.value) for member in one)
        return ()

    @property
    def pattern(self) -> str | None:
        """Regular expression that the field's texts must match."""
        metadata = self.field.metadata if self.field else []
        return next((m.pattern for m in metadata if getattr(m, "pattern", None)), None)

    @property
    def has_alternatives(self) -> bool:
        """Whether the field takes values of several kinds, null apart."""
        return self.field is not None and len(_kinds_in(self.field.annotation)) > 1


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields of a model by the keys that documents use."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def locate_field(location: tuple[str | int, ...], root: type[BaseModel] = FleetSpec) -> FieldPlace:
    """Follow a location of pydantic's through the spec, or through another document's model.

    Beside the document's own steps, such a location names the alternative where a field takes
    values of several kinds.
    """
    path: list[str | int] = []
    place = FieldPlace((), root, None)
    model: type[BaseModel] | None = root
    for step in location:
        if isinstance(step, int):
            path.append(step)
            place = FieldPlace(tuple(path), place.model, place.field, place.alternative)
        elif place.has_alternatives and place.alternative is None:
            place = FieldPlace(place.path, place.model, place.field, step)
        elif model is not None:
            path.append(step)
            place = FieldPlace(tuple(path), model, keys_of(model).get(step))
            model = place.part
    return place


@cache
def places_of_key(key: str) -> tuple[str, ...]:
    """Places of the spec that have a key, as `services[].load`; "" for the top of a document."""
    return tuple(place for place, known in _keys_by_place(FleetSpec, "") if known == key)


def _keys_by_place(model: type[BaseModel], place: str) -> Iterator[tuple[str, str]]:
    for key, field in keys_of(model).items():
        yield place, key
        for part in _models_in(field.annotation):
            suffix = "[]" if get_origin(field.annotation) is tuple else ""
            yield from _keys_by_place(part, f"{place}.{key}{suffix}".lstrip("."))


def _kinds_in(annotation: Any) -> list[Any]:
    """Take an annotation apart into the kinds of value it allows, null apart."""
    if get_origin(annotation) is Annotated:
        return _kinds_in(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [kind for arm in get_args(annotation) for kind in _kinds_in(arm)]
    return [] if annotation is NoneType else [annotation]


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    for kind in _kinds_in(annotation):
        if get_origin(kind) is tuple:
            yield from _models_in(get_args(kind)[0])
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind
