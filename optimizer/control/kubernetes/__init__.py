"""Kubernetes as the control loop needs it: who we are, and a small client of the API server."""

from __future__ import annotations

from optimizer.control.kubernetes.api_server import ApiError, ApiServer, Items
from optimizer.control.kubernetes.credentials import Credentials, find_credentials
from optimizer.control.kubernetes.names import checked_name, path_of

__all__ = [
    "ApiError",
    "ApiServer",
    "Credentials",
    "Items",
    "checked_name",
    "find_credentials",
    "path_of",
]
