"""The catalogue's accelerators as a mapping, read when it is first looked into."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from optimizer.catalog import AcceleratorFacts, accelerator, accelerator_names

__all__ = ["GPU_LIBRARY"]


class _Library(Mapping[str, AcceleratorFacts]):
    """Accelerators by name."""

    def __getitem__(self, name: str) -> AcceleratorFacts:
        if name not in accelerator_names():
            raise KeyError(name)
        return accelerator(name)

    def __iter__(self) -> Iterator[str]:
        return iter(accelerator_names())

    def __len__(self) -> int:
        return len(accelerator_names())

    def __repr__(self) -> str:
        return f"GPU_LIBRARY({len(self)} accelerators)"


GPU_LIBRARY: Mapping[str, AcceleratorFacts] = _Library()
