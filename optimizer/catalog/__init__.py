"""Facts about accelerators, models and storage, as data files with the source of each entry."""

from __future__ import annotations

from optimizer.catalog.accelerators import AcceleratorFacts, accelerator, accelerator_names
from optimizer.catalog.configurations import configuration_names, model_configuration
from optimizer.catalog.device_memory import DeviceMemory, device_memory
from optimizer.catalog.kv_compressions import (
    KvCompression,
    kv_compression,
    kv_compression_names,
)
from optimizer.catalog.lookup import UnknownEntryError
from optimizer.catalog.models import ModelFacts, model, model_names
from optimizer.catalog.quality_points import QualityPoint, quality_points
from optimizer.catalog.storage_devices import (
    StorageDeviceFacts,
    storage_device,
    storage_device_names,
)

__all__ = [
    "AcceleratorFacts",
    "DeviceMemory",
    "KvCompression",
    "ModelFacts",
    "QualityPoint",
    "StorageDeviceFacts",
    "UnknownEntryError",
    "accelerator",
    "accelerator_names",
    "configuration_names",
    "device_memory",
    "kv_compression",
    "kv_compression_names",
    "model",
    "model_configuration",
    "model_names",
    "quality_points",
    "storage_device",
    "storage_device_names",
]
