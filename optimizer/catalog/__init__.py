"""Facts about accelerators and models, as data files with the source of each entry."""

from __future__ import annotations

from optimizer.catalog.accelerators import AcceleratorFacts, accelerator, accelerator_names
from optimizer.catalog.lookup import UnknownEntryError
from optimizer.catalog.models import ModelFacts, model, model_names

__all__ = [
    "AcceleratorFacts",
    "ModelFacts",
    "UnknownEntryError",
    "accelerator",
    "accelerator_names",
    "model",
    "model_names",
]
