"""Names of objects and paths of requests: nothing that was not checked or escaped goes into one."""

from __future__ import annotations

import re
from urllib.parse import quote

from optimizer.control.errors import ControlError

__all__ = ["checked_name", "path_of"]

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_MOST_CHARACTERS = 253


def checked_name(where: str, name: object) -> str:
    """Return a name that objects of Kubernetes can have (a DNS subdomain of RFC 1123).

    Parameters
    ----------
    where
        What the message calls it.
    name
        What came.

    Raises
    ------
    ControlError
        If it is none.
    """
    if not isinstance(name, str) or len(name) > _MOST_CHARACTERS or not _SUBDOMAIN.fullmatch(name):
        shown = repr(name)[:80]
        raise ControlError(
            f"{where}: {shown}: must be a name as Kubernetes has it: lower-case letters, digits, "
            "- and ."
        )
    return name


def path_of(*segments: str) -> str:
    """Return the path of a request, each of its segments escaped.

    Raises
    ------
    ControlError
        If a segment is empty or leads to another folder.
    """
    for segment in segments:
        if segment in ("", ".", ".."):
            raise ControlError(f"{segment!r} is no part of a path of the API server")
    return "/" + "/".join(quote(segment, safe="") for segment in segments)
