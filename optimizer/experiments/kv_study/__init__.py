"""The study of KV caches: latency, memory, reuse, swapping, offloading, model by model."""

from __future__ import annotations

from optimizer.experiments.kv_study.hot_cold import made_up_trace
from optimizer.experiments.kv_study.served_model import ServedModel
from optimizer.experiments.kv_study.study import study_kv
from optimizer.experiments.kv_study.study_table import KvStudy, ModelStudy, StudyTable

__all__ = ["KvStudy", "ModelStudy", "ServedModel", "StudyTable", "made_up_trace", "study_kv"]
