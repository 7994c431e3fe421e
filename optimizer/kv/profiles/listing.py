"""The document of what a profiling database holds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from optimizer.kv.profiles.interpolation import ProfiledPrefill
from optimizer.kv.profiles.records import DeviceProfile, PrefillTime

__all__ = ["LawRow", "ProfileListing", "list_profiles"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LawRow(_Part):
    """What the points of one model on one accelerator say together."""

    model: str
    accelerator: str
    points: int
    from_tokens: float = Field(description="Interpolated from here ...")
    to_tokens: float = Field(description="... to here, not beyond.")
    ms_per_token: float = Field(description="a of the law a t + b t².")
    ms_per_token2: float
    largest_relative_error: float = Field(description="Of the law at the points.")


class ProfileListing(_Part):
    """Profiles, and the laws of those that are valid."""

    schema_version: Literal[1] = 1
    prefills: list[PrefillTime]
    devices: list[DeviceProfile]
    laws: list[LawRow]


def list_profiles(records: Sequence[PrefillTime] | Sequence[DeviceProfile]) -> ProfileListing:
    """List records in their order."""
    prefills = [record for record in records if isinstance(record, PrefillTime)]
    valid = [record for record in prefills if record.superseded_at is None]
    pairs = groupby(valid, key=lambda record: (record.model, record.accelerator))
    return ProfileListing(
        prefills=prefills,
        devices=[record for record in records if isinstance(record, DeviceProfile)],
        laws=[_law(*pair, list(points)) for pair, points in pairs],
    )


def _law(model: str, accelerator: str, points: list[PrefillTime]) -> LawRow:
    profile = ProfiledPrefill.of_records(points)
    law, error = profile.law()
    low, high = profile.valid_tokens
    return LawRow(
        model=model,
        accelerator=accelerator,
        points=len(points),
        from_tokens=low,
        to_tokens=high,
        ms_per_token=float(law.ms_per_token),  # type: ignore[arg-type]
        ms_per_token2=float(law.ms_per_token2),  # type: ignore[arg-type]
        largest_relative_error=error,
    )
