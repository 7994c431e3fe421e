"""The same sweep on clusters of separate processes, reached by their schedulers' addresses."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from optimizer.experiments.in_blocks import optimize_in_blocks
from optimizer.experiments.sweep import Ending, load_sweep, map_scenarios, sweep
from tests.optimizer.experiments.sweep import work
from tests.optimizer.experiments.sweep.fleets import FLEET, written

REPOSITORY = Path(__file__).resolve().parents[4]
_STARTS_WITHIN_S = 60.0

pytestmark = pytest.mark.skipif(os.name != "posix", reason="clusters are started as on POSIX")


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for(port: int) -> None:
    """Return when somebody listens on the port."""
    end = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < end:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"nobody listens on port {port}")


@contextmanager
def process(*arguments: str) -> Iterator[None]:
    """Run Python with arguments in a group of processes of its own, ended afterwards."""
    started = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(started.pid, signal.SIGTERM)
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@pytest.fixture
def dask_address() -> Iterator[str]:
    """Return where a scheduler with two workers answers."""
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    port = free_port()
    quiet = ("--no-dashboard",)
    scheduler = ("-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", str(port), *quiet)
    with process(*scheduler):
        wait_for(port)
        address = f"tcp://127.0.0.1:{port}"
        with process("-m", "dask", "worker", address, "--nworkers", "2", "--nthreads", "1", *quiet):
            _wait_for_dask_workers(address)
            yield f"dask://127.0.0.1:{port}"


def _wait_for_dask_workers(address: str) -> None:
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=_STARTS_WITHIN_S)


@pytest.fixture
def ray_address(tmp_path: Path) -> Iterator[str]:
    """Return where the client server of a cluster with two processors answers."""
    pytest.importorskip("ray", reason="the extra cluster is not installed")
    pytest.importorskip("grpc", reason="ray[client] is not installed")
    port, client_port = free_port(), free_port()
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(
        [*ray, "start", "--head", f"--port={port}", "--num-cpus=2", "--include-dashboard=false",
         "--disable-usage-stats", f"--ray-client-server-port={client_port}",
         "--object-store-memory=100000000"],
        check=True, capture_output=True, env=environment,
    )  # fmt: skip
    try:
        wait_for(client_port)
        yield f"ray://127.0.0.1:{client_port}"
    finally:
        subprocess.run([*ray, "stop", "--force"], check=True, capture_output=True, env=environment)


def same_as_serial(folder: Path, address: str) -> set[str]:
    """Assert that a cluster gives the bytes of a serial run; return its workers."""
    spec, fleets = load_sweep(written(folder, seeds=[0, 1]))
    for engine, name in (("serial", "serial"), (address, "cluster")):
        sweep(spec, fleets, engine=engine, folder=folder / name)
    for name in ("results.jsonl", "results.csv"):
        assert (folder / "serial" / name).read_bytes() == (folder / "cluster" / name).read_bytes()
    with (folder / "cluster" / "times.csv").open() as stream:
        return {row["worker"] for row in csv.DictReader(stream)}


def same_plan_in_blocks(address: str) -> None:
    """Assert that a fleet sized in blocks on a cluster gets the bytes of a serial plan."""
    serial = optimize_in_blocks(FLEET, blocks=2)
    assert optimize_in_blocks(FLEET, engine=address, blocks=2).to_json() == serial.to_json()


def the_killer_is_found(address: str) -> None:
    """Assert that an item that kills its worker every time is found out, and costs no other."""
    items = {str(n): n for n in range(4)}
    found = {o.name: o for o in map_scenarios(work.die_at_zero, items, engine=address)}
    assert found["0"].ending is Ending.DIED
    assert [found[str(n)].value for n in (1, 2, 3)] == [1, 2, 3]


def test_dask_gives_the_same_bytes_by_two_workers(tmp_path: Path, dask_address: str) -> None:
    """None of them is this process."""
    workers = same_as_serial(tmp_path, dask_address)
    assert len(workers) == 2
    assert f"{socket.gethostname()}:{os.getpid()}" not in workers
    same_plan_in_blocks(dask_address)


@pytest.mark.slow
def test_dask_workers_may_die(dask_address: str) -> None:
    """The item that kills them is known in the end."""
    the_killer_is_found(dask_address)


@pytest.mark.slow
def test_ray_gives_the_same_bytes_by_two_workers(tmp_path: Path, ray_address: str) -> None:
    """And workers may die: the item that kills them is known in the end."""
    assert len(same_as_serial(tmp_path, ray_address)) == 2
    same_plan_in_blocks(ray_address)
    the_killer_is_found(ray_address)
