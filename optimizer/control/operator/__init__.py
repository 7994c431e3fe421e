"""The operator: custom resources of Kubernetes, and the controller that follows them."""

from __future__ import annotations

from optimizer.control.operator.definitions import definitions
from optimizer.control.operator.resources import GROUP, KINDS, VERSION, ResourceKind

__all__ = ["GROUP", "KINDS", "VERSION", "ResourceKind", "definitions"]
