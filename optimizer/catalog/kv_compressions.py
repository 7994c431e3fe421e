"""Ways of storing KV caches smaller: what they save, and what was measured of the quality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from optimizer.catalog.lookup import find_entry
from optimizer.catalog.table import load_table

__all__ = ["KvCompression", "kv_compression", "kv_compression_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KvCompression:
    """One compression or sparsification, on one model and dataset where quality was measured.

    Parameters
    ----------
    name
        Name in the catalogue.
    compression
        Factor by which it is smaller than fp16.
    model, dataset, metric
        Of the measurement, as the publication names them; None: there is none.
    quality_full, quality
        With the KV cache as it is, and with this one, in the metric's scale.
    same_prefix
        Whether what is stored serves every request with that prefix; what keeps tokens by the
        attention of one query does not.
    evidence
        `printed table`, `secondary` (read in others' notes), `computed bound` or `planning value`.
    source
        Where it comes from.
    """

    name: str
    compression: float
    model: str | None
    dataset: str | None
    metric: str | None
    quality_full: float | None
    quality: float | None
    same_prefix: bool
    evidence: str
    source: str

    @property
    def quality_loss(self) -> float | None:
        """Share of the quality that is lost; None where it was not measured."""
        if self.quality is None or self.quality_full is None:
            return None
        return 1.0 - self.quality / self.quality_full


@cache
def _table() -> Mapping[str, KvCompression]:
    return load_table("kv_compressions.csv", KvCompression)


def kv_compression(name: str) -> KvCompression:
    """Return a compression by its name.

    Raises
    ------
    UnknownEntryError
        If there is none of that name; names the nearest.
    """
    return find_entry("KV compression", name, _table())


def kv_compression_names() -> tuple[str, ...]:
    """Names in the order of the file."""
    return tuple(_table())
