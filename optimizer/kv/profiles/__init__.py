"""The profiling database: measured prefill times and devices."""

from __future__ import annotations

from optimizer.kv.profiles.csv_files import read_profiles, write_profiles
from optimizer.kv.profiles.database import ProfileDatabase
from optimizer.kv.profiles.interpolation import ProfiledPrefill
from optimizer.kv.profiles.records import DeviceProfile, PrefillTime
from optimizer.kv.profiles.schema import SCHEMA_VERSION

__all__ = [
    "SCHEMA_VERSION",
    "DeviceProfile",
    "PrefillTime",
    "ProfileDatabase",
    "ProfiledPrefill",
    "read_profiles",
    "write_profiles",
]
