"""A table of the study, with how it is drawn."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["KvStudy", "ModelStudy", "StudyTable"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StudyTable(_Part):
    """Rows of figures under columns with their units."""

    name: str = Field(description="As in file names.")
    title: str
    note: str = Field(description="What is assumed, and what to see.")
    columns: list[str]
    rows: list[list[float | str | None]] = Field(description="Null: there is no such figure.")
    x: str = Field(description="The column along the axis; words make bars.")
    lines: list[str] = Field(description="The columns that are drawn.")
    y_label: str
    log_x: bool = True
    log_y: bool = False

    def column(self, name: str) -> list[float | str | None]:
        """Return the cells of a column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


class ModelStudy(_Part):
    """All tables of one model on one accelerator."""

    model: str
    accelerator: str
    accelerators: int = Field(description="That divide each layer.")
    kv_bytes_per_token: float
    kv_capacity_tokens: float
    times_from: str = Field(description="Where iteration times come from.")
    tables: list[StudyTable]


class KvStudy(_Part):
    """The study of KV caches."""

    schema_version: Literal[1] = 1
    devices: list[str]
    studies: list[ModelStudy]
