"""What every document between the parts of the loop has: a version, and a way through JSON."""

from __future__ import annotations

from typing import Self

from pydantic import Field, ValidationError

from optimizer.control.errors import DocumentError
from optimizer.spec.base import SpecModel

__all__ = ["ControlDocument"]


class ControlDocument(SpecModel):
    """A frozen document that carries its version."""

    schema_version: int = Field(default=1, ge=1, le=1, description="Version of this format.")

    def to_json(self, indent: int | None = None) -> str:
        """Return the document as JSON."""
        return self.model_dump_json(by_alias=True, indent=indent)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a document back.

        Raises
        ------
        DocumentError
            If the text is no such document; names the first fault.
        """
        try:
            return cls.model_validate_json(text, by_alias=True, by_name=False)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the document"
            raise DocumentError(
                f"not a document of kind {cls.__name__}: {where}: {first['msg']} "
                f"({error.error_count()} fault(s) in all)"
            ) from error
