"""A namespace of its own for every test, on a fake API server and on a real one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing

import pytest

pytest.importorskip("httpx", reason="needs the extra 'control'")

from tests.optimizer.control.kubernetes.clusters import TOKENS, Cluster, eventually
from tests.optimizer.control.kubernetes.fake_api_server import FakeApiServer
from tests.optimizer.control.kubernetes.fake_prometheus import FakePrometheus
from tests.optimizer.control.kubernetes.fleet_objects import put_fleet, roles
from tests.optimizer.control.kubernetes.operators import Operator, may_act
from tests.optimizer.control.kubernetes.real_api_server import (
    RealApiServer,
    real_api_server,
    why_not,
)

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealApiServer]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with real_api_server(tmp_path_factory.mktemp("kubernetes"), TOKENS) as server:
        yield server


@pytest.fixture
def fake_server() -> Iterator[FakeApiServer]:
    with closing(FakeApiServer(users=dict(TOKENS))) as server:
        yield server


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.slow)])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    server = request.getfixturevalue(f"{request.param}_server")
    with closing(Cluster(server, f"test-{next(_NUMBERS)}")) as made:
        yield made


@pytest.fixture
def prometheus() -> Iterator[FakePrometheus]:
    with closing(FakePrometheus({"chat": 40.0})) as serving:
        yield serving


@pytest.fixture
def fake_cluster(fake_server: FakeApiServer) -> Iterator[Cluster]:
    with closing(Cluster(fake_server, f"test-{next(_NUMBERS)}")) as made:
        yield made


@pytest.fixture
def operator(cluster: Cluster, prometheus: FakePrometheus) -> Iterator[Operator]:
    """With the fleet and the shipped role."""
    put_fleet(cluster)
    cluster.grant("operator", roles("scale"))
    with closing(Operator(cluster, prometheus)) as made:
        assert eventually(lambda: may_act(made))
        yield made
