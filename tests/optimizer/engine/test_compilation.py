from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import optimizer.engine
from optimizer.engine import EngineConfig, LiveFleet, OnlineEngine, Router, RouterPolicy
from optimizer.engine.batch import serve
from optimizer.engine.replica_pool import Pool, RunningPool
from optimizer.engine.routing import chosen_replica
from optimizer.engine.submission import place_request, submit
from optimizer.engine.telling import serve_telling
from optimizer.engine.traffic import Traffic
from queue_models import IterationTiming

TIMING = IterationTiming(10.0, 1.0, 0.25)
FILES = sorted(Path(optimizer.engine.__file__).parent.rglob("*.py"))


def _functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Functions of a module, and how each is compiled."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            names = [d.id for d in node.decorator_list if isinstance(d, ast.Name)]
            yield node, next((name for name in names if name in ("compiled", "inlined")), "")


def _called(function: ast.FunctionDef) -> set[str]:
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {call.id for call in calls if isinstance(call, ast.Name)}


def test_python_calls_nothing_that_is_compiled_into_others() -> None:
    """Such functions have no way in from Python: a call would end the process."""
    trees = {file.stem: ast.parse(file.read_text()) for file in FILES}
    inlined = {
        module: {function.name for function, how in _functions(tree) if how == "inlined"}
        for module, tree in trees.items()
    }
    assert sum(map(len, inlined.values())) > 30
    for module, tree in trees.items():
        known = set(inlined[module])
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names}
                known |= names & inlined.get((node.module or "").rpartition(".")[2], set())
        for function, how in _functions(tree):
            assert how != "" or not _called(function) & known, (module, function.name)


@pytest.mark.parametrize("policy", [RouterPolicy.LEAST_OUTSTANDING, 2])
def test_every_way_in_is_compiled_once(policy: int) -> None:
    """Enumerations, single requests and whole pieces come as the same types: one variant each."""
    router, config = Router(policy), EngineConfig(num_blocks=64, max_model_len=64)
    piece = Traffic.of_one(0, 5.0, 8, 4)
    OnlineEngine(config, TIMING, router=router).submit(8, 4)
    live = LiveFleet(config, TIMING, router=router)
    live.submit(8, 4)
    live.offer(piece)
    live.advance(np.inf)
    pool = RunningPool(Pool(config=config, timing=TIMING, router=router), seed=0)
    pool.serve(piece, 0, lambda _done: None)
    pool.finish(lambda _done: None)
    ways = (serve, serve_telling, chosen_replica, place_request, submit)
    assert {way.__name__: len(way.signatures) for way in ways} == {way.__name__: 1 for way in ways}
