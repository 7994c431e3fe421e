"""What a fleet uses up: every kind of resource, and the rows it makes of the array problem."""

from __future__ import annotations

from optimizer.fleet.resources.kind import ResourceKind
from optimizer.fleet.resources.rows import (
    KINDS,
    Requirement,
    ResourceRow,
    requirements,
    resource_rows,
)
from optimizer.fleet.resources.scope import Scope
from optimizer.fleet.resources.use import in_words, resource_uses

__all__ = [
    "KINDS",
    "Requirement",
    "ResourceKind",
    "ResourceRow",
    "Scope",
    "in_words",
    "requirements",
    "resource_rows",
    "resource_uses",
]
