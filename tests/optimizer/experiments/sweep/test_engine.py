"""Engines as the command line writes them."""

from __future__ import annotations

import pytest

from optimizer.experiments import ExperimentError
from optimizer.experiments.sweep import Engine, EngineKind, parse_engine


@pytest.mark.parametrize(
    ("text", "engine"),
    [
        ("serial", Engine(EngineKind.SERIAL)),
        ("local:3", Engine(EngineKind.LOCAL, processes=3)),
        ("dask://host:8786", Engine(EngineKind.DASK, address="host:8786")),
        ("dask://[::1]:8786", Engine(EngineKind.DASK, address="[::1]:8786")),
        ("ray://10.0.0.1:10001", Engine(EngineKind.RAY, address="10.0.0.1:10001")),
        ("ray://auto", Engine(EngineKind.RAY, address="auto")),
    ],
)
def test_an_engine_is_read_and_written_alike(text: str, engine: Engine) -> None:
    """Reading and writing are each other's inverse."""
    assert parse_engine(text) == engine
    assert str(engine) == text


def test_local_alone_takes_every_processor() -> None:
    """At least one process."""
    assert parse_engine("local").processes >= 1


@pytest.mark.parametrize(
    "text",
    ["", "Serial", "serial:2", "local:0", "local:x", "local:-1", "dask", "dask://", "dask://host",
     "dask://host:port", "dask://host:99999", "dask://host:1/x", "dask://auto", "ray://host",
     "spark://h:1", "local://2"],
)  # fmt: skip
def test_what_is_no_engine_is_refused_with_what_is(text: str) -> None:
    """The message shows what came and what is wanted."""
    with pytest.raises(ExperimentError, match=r"must be serial, local") as told:
        parse_engine(text)
    assert f"'{text}'" in str(told.value)
