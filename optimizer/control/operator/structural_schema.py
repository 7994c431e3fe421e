"""From pydantic's JSON Schema to the structural schemas that an API server takes.

Structural schemas have no `$ref`, no types inside `anyOf`, and booleans for exclusive bounds. What
they cannot say is left to the operator, which says it in a condition.

References
----------
.. [1] Kubernetes documentation, *Extend the Kubernetes API with CustomResourceDefinitions:
   specifying a structural schema*.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from optimizer.spec.base import SpecModel

__all__ = ["structural_schema"]

Json = dict[str, Any]

# Keywords that both dialects have, with the same meaning.
_KEPT = (
    "type",
    "description",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "required",
)
_ANYTHING: Json = {"x-kubernetes-preserve-unknown-fields": True}


def structural_schema(
    model: type[SpecModel],
    *,
    without: Collection[str] = (),
    optional: Collection[str] = (),
    within: Mapping[str, Json] | None = None,
) -> Json:
    """Describe a part of the spec as an API server takes it.

    Parameters
    ----------
    model
        The part.
    without
        Keys that the resource does not have.
    optional
        Keys that it need not have.
    within
        Schemas of keys, in place of the part's own.
    """
    described = model.model_json_schema(by_alias=True)
    found = _converted(described, described.get("$defs", {}))
    for key in without:
        found["properties"].pop(key)
    found["properties"] |= within or {}
    required = [key for key in found.get("required", ()) if key not in {*without, *optional}]
    found.pop("required", None)
    return found | ({"required": required} if required else {})


def _converted(schema: Json, parts: Mapping[str, Json]) -> Json:
    """Convert one schema and all within it."""
    if "$ref" in schema:
        part = parts[schema["$ref"].rpartition("/")[2]]
        return _converted({**part, **{k: v for k, v in schema.items() if k != "$ref"}}, parts)
    if "anyOf" in schema:
        return _one_of_several(schema, parts)
    found = {key: schema[key] for key in _KEPT if key in schema}
    if "const" in schema:
        found["enum"] = [schema["const"]]
    for key, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if key in schema:
            found |= {bound: schema[key], key: True}
    if "properties" in schema:
        entries = schema["properties"].items()
        found["properties"] = {key: _converted(value, parts) for key, value in entries}
    elif isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = _converted(schema["additionalProperties"], parts)
    elif schema.get("type") == "object":
        found |= _ANYTHING
    if "prefixItems" in schema:
        found["items"] = _converted(schema["prefixItems"][0], parts)
    elif "items" in schema:
        found["items"] = _converted(schema["items"], parts)
    return _with_default(found, schema)


def _one_of_several(schema: Json, parts: Mapping[str, Json]) -> Json:
    """Convert what may be of several kinds: nothing beside one kind is said by `nullable`."""
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    kinds = [kind for kind in schema["anyOf"] if kind.get("type") != "null"]
    nullable = {"nullable": True} if len(kinds) < len(schema["anyOf"]) else {}
    if len(kinds) == 1:
        return _converted({**kinds[0], **rest}, parts) | nullable
    said = {"description": rest["description"]} if "description" in rest else {}
    return _with_default(said | _ANYTHING, schema)


def _with_default(found: Json, schema: Json) -> Json:
    """Say the default in words: a stored object keeps what its author wrote and nothing else."""
    default = schema.get("default")
    if default is None or default in ([], {}, "") or isinstance(default, dict):
        return found
    shown = str(default).lower() if isinstance(default, bool) else default
    words = found.get("description", "").rstrip(".")
    return found | {"description": f"{words}. Default: {shown}.".lstrip(". ")}
