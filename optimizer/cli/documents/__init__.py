"""What `--json` prints, command by command, as types and as JSON Schema."""

from __future__ import annotations

from optimizer.cli.documents.of_commands import DOCUMENTS, documents_json_schema

__all__ = ["DOCUMENTS", "documents_json_schema"]
