"""The tables of a profiling database, and the way from each version to the next."""

from __future__ import annotations

__all__ = ["APPLICATION_ID", "MIGRATIONS", "SCHEMA_VERSION"]

APPLICATION_ID = 0x666C6B76
"""Marks the file as a profiling database of fleetopt (`flkv`), in SQLite's header."""

# Version 1: prefill times, one row per point.
_PREFILLS = """
CREATE TABLE prefill (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL CHECK (model <> ''),
    accelerator TEXT NOT NULL CHECK (accelerator <> ''),
    context_tokens INTEGER NOT NULL CHECK (context_tokens >= 1),
    prefill_ms REAL NOT NULL CHECK (prefill_ms > 0 AND prefill_ms < 1e12),
    source TEXT NOT NULL DEFAULT ''
)
"""
# Version 2: rows are superseded, not changed; devices have profiles too.
_HISTORY = """
ALTER TABLE prefill ADD COLUMN recorded_at TEXT NOT NULL DEFAULT '';
ALTER TABLE prefill ADD COLUMN superseded_at TEXT;
CREATE UNIQUE INDEX prefill_now ON prefill (model, accelerator, context_tokens)
    WHERE superseded_at IS NULL;
CREATE TABLE device (
    id INTEGER PRIMARY KEY,
    device TEXT NOT NULL CHECK (device <> ''),
    model TEXT NOT NULL DEFAULT '',
    accelerator TEXT NOT NULL DEFAULT '',
    context_tokens INTEGER NOT NULL CHECK (context_tokens >= 0),
    bandwidth_gb_s REAL NOT NULL CHECK (bandwidth_gb_s > 0 AND bandwidth_gb_s < 1e6),
    latency_ms REAL NOT NULL CHECK (latency_ms >= 0 AND latency_ms < 1e9),
    source TEXT NOT NULL DEFAULT '',
    recorded_at TEXT NOT NULL,
    superseded_at TEXT
);
CREATE UNIQUE INDEX device_now ON device (device, model, accelerator, context_tokens)
    WHERE superseded_at IS NULL
"""

MIGRATIONS = (_PREFILLS, _HISTORY)
"""Statements, separated by semicolons, that lead from version k to version k + 1."""

SCHEMA_VERSION = len(MIGRATIONS)
