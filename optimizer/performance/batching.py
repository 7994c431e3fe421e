"""Records of numbers that become records of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batched"]


class Batched:
    """A dataclass whose every field is a number or an array that broadcasts with the others."""

    @classmethod
    def stack(cls, records: Sequence[Self]) -> Self:
        """Return one record of arrays, of shape (n,), from n records of numbers."""
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        columns = {
            name: np.array([getattr(record, name) for record in records], dtype=np.float64)
            for name in names
        }
        return cls(**columns)

    def reshape(self, shape: tuple[int, ...]) -> Self:
        """Return the record with every field of this shape, e.g. (n, 1, 1) to cross with others."""
        return self._mapped(lambda value: value.reshape(shape))

    def take(self, which: NDArray[Any]) -> Self:
        """Return the records that a mask or indices select along the first axis."""
        return self._mapped(lambda value: value[which])

    def _mapped(self, change: Any) -> Self:
        values = {
            field.name: change(np.asarray(getattr(self, field.name), dtype=np.float64))
            for field in fields(self)  # type: ignore[arg-type]
        }
        return type(self)(**values)
