"""The JSON Schema of a fleet's description, for editors and other programs."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from optimizer.spec.base import SpecModel
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.slo_sheet import SloSheetSpec

__all__ = ["json_schema", "slo_json_schema"]


class _TitlesOfModelsOnly(GenerateJsonSchema):
    """Leaves out the titles that pydantic makes of field names: they say nothing new."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        """Give no field a title."""
        return False


def json_schema() -> dict[str, Any]:
    """Describe fleet documents as JSON Schema, draft 2020-12.

    It says which keys and kinds of values there are, and their ranges. It cannot say that names
    must refer to something, nor what one part needs of another: `load` checks those too.
    """
    return _schema_of(FleetSpec)


def slo_json_schema() -> dict[str, Any]:
    """Describe SLO sheets as JSON Schema, draft 2020-12."""
    return _schema_of(SloSheetSpec)


def _schema_of(model: type[SpecModel]) -> dict[str, Any]:
    schema: JsonSchemaValue = model.model_json_schema(
        by_alias=True, schema_generator=_TitlesOfModelsOnly
    )
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}
