"""Reading `config.json` of the Hugging Face hub into an architecture."""

from __future__ import annotations

from optimizer.capacity.hugging_face.reader import read_architecture, read_configuration

__all__ = ["read_architecture", "read_configuration"]
