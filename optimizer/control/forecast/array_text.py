"""Arrays as text that JSON can carry, bit for bit."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.control.forecast.errors import ForecastError

__all__ = ["array_from_text", "array_to_text"]

_KINDS = ("<f8", "<i8", "|b1")


def array_to_text(array: NDArray[Any]) -> dict[str, Any]:
    """Return shape, kind and content (base64) of an array of numbers or truth values."""
    plain = np.ascontiguousarray(array)
    kind = plain.dtype.newbyteorder("<").str
    content = base64.b64encode(plain.astype(kind).tobytes()).decode("ascii")
    return {"shape": list(array.shape), "kind": kind, "base64": content}


def array_from_text(text: Mapping[str, Any]) -> NDArray[Any]:
    """Return the array.

    Raises
    ------
    ForecastError
        If it is not what `array_to_text` makes.
    """
    try:
        kind, shape = str(text["kind"]), tuple(int(n) for n in text["shape"])
        if kind not in _KINDS:
            raise ForecastError(
                f"checkpoint: kind {kind!r} of an array; known: {', '.join(_KINDS)}"
            )
        content = base64.b64decode(text["base64"], validate=True)
        return np.frombuffer(content, dtype=kind).reshape(shape).astype(kind[1:])
    except (KeyError, TypeError, binascii.Error) as error:
        raise ForecastError(f"checkpoint: an array is not readable: {error}") from error
    except ValueError as error:
        raise ForecastError(f"checkpoint: an array is not readable: {error}") from error
