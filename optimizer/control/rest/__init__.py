"""The control loop as REST services, beside the loop itself."""

from __future__ import annotations

from optimizer.control.rest.application import create_app
from optimizer.control.rest.services import Services
from optimizer.control.rest.token import read_token

__all__ = ["Services", "create_app", "read_token"]
