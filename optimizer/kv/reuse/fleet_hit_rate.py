"""A measured hit rate as `load.prefix_hit_rate` of a service in a fleet's file."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from optimizer.errors import Fault, SpecError

__all__ = ["with_prefix_hit_rate"]

_DIGITS = 4


def with_prefix_hit_rate(path: str, service: str, rate: float) -> str:
    """Return a fleet's YAML or JSON with the hit rate of one service set, all else as it was.

    Comments stay. A JSON file comes back as JSON.

    Raises
    ------
    SpecError
        If the file cannot be read, or has no such service.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 100
    try:
        data: Any = yaml.load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError([Fault(f"cannot be read: {error.strerror}", source=path)]) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise SpecError([Fault("is neither YAML nor JSON", source=path)]) from error
    services = data.get("services") if isinstance(data, dict) else None
    named = [
        one
        for one in (services if isinstance(services, list) else [])
        if isinstance(one, dict) and one.get("name") == service
    ]
    if not named:
        raise SpecError([Fault("has no such service", source=path, value=repr(service))])
    load = named[0].setdefault("load", {})
    if not isinstance(load, dict):
        raise SpecError([Fault("has a load that is no mapping", source=path, value=repr(service))])
    load["prefix_hit_rate"] = round(rate, _DIGITS)
    text = StringIO()
    yaml.dump(data, text)
    return text.getvalue()
