"""A function applied to many items on any engine: what fails is told, what dies is tried again."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import FrameType
from typing import Any, Generic, NoReturn, TypeVar

from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.sweep.engine import Engine, EngineKind, parse_engine

__all__ = ["Ending", "Outcome", "Workers", "map_scenarios", "workers_of"]

# Items handed to each worker at a time: one to work on, one to go on with.
_ON_THE_WAY = 2
_ANSWERS_WITHIN_S = 10

Item = TypeVar("Item")
Value = TypeVar("Value")


class Ending(StrEnum):
    """How the work on an item ended."""

    DONE = "done"
    FAILED = "failed"  # the function raised
    TIMED_OUT = "timed-out"  # it was stopped at the limit
    DIED = "died"  # its worker died, twice while it was worked on alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[Value]):
    """What became of one item.

    Parameters
    ----------
    name
        Of the item.
    ending
        How it ended.
    value
        What the function returned; None unless it is done.
    error
        What went wrong, "" where nothing did.
    wall_s
        Seconds it took.
    worker
        Host and process that worked on it.
    """

    name: str
    ending: Ending
    value: Value | None = None
    error: str = ""
    wall_s: float = 0.0
    worker: str = ""


def map_scenarios(
    function: Callable[[Item], Value],
    items: Mapping[str, Item],
    *,
    engine: Engine | str = "serial",
    limit_s: float | None = None,
) -> Generator[Outcome[Value]]:
    """Apply a function to every item; yield what became of each as soon as it ends.

    An item whose function raises is an outcome like any other. When a worker dies, the items that
    were being worked on are tried once more, one at a time, so that the one that kills workers is
    known; the others go on.

    Parameters
    ----------
    function
        Of one argument; sent to the workers, like items and values, by pickling.
    items
        By name.
    engine
        Who works, see `parse_engine`.
    limit_s
        Wall-clock seconds after which the work on an item is given up. Workers that are threads,
        as Dask's are unless told otherwise by `--nthreads 1 --nworkers N`, cannot be stopped.

    Raises
    ------
    ExperimentError
        If the engine is unknown, its library is missing, or its cluster does not answer.
    """
    with workers_of(engine) as workers:
        yield from workers.map(function, items, limit_s=limit_s)


@contextmanager
def workers_of(engine: Engine | str) -> Iterator[Workers]:
    """Provide an engine's workers for several maps, and let go of them afterwards.

    Raises
    ------
    ExperimentError
        If the engine is unknown, its library is missing, or its cluster does not answer.
    """
    with _backend(parse_engine(engine) if isinstance(engine, str) else engine) as run:
        yield Workers(run)


@dataclass(frozen=True, slots=True)
class Workers:
    """Who works on items, for as long as `workers_of` provides them."""

    _run: _Run

    def map(
        self,
        function: Callable[[Item], Value],
        items: Mapping[str, Item],
        *,
        limit_s: float | None = None,
    ) -> Generator[Outcome[Value]]:
        """Apply a function to every item; see `map_scenarios`."""
        waiting = dict(items)
        while waiting:
            outcomes: _Round[Item, Value] = _Round(function, dict(waiting), limit_s)
            for outcome in outcomes.worked_on(self._run):
                del waiting[outcome.name]
                yield outcome
            for name in outcomes.suspects:
                yield from _tried_alone(function, name, waiting.pop(name), limit_s, self._run)


def _tried_alone(
    function: Callable[[Item], Value], name: str, item: Item, limit_s: float | None, run: _Run
) -> Iterator[Outcome[Value]]:
    """Try an item with nothing beside it, and once more when its worker dies again."""
    for _ in range(2):
        alone: _Round[Item, Value] = _Round(function, {name: item}, limit_s)
        yield from alone.worked_on(run)
        if not alone.suspects:
            return
    yield Outcome(
        name=name,
        ending=Ending.DIED,
        error="its worker died twice (out of memory, or killed from outside)",
    )


class _Round(Generic[Item, Value]):
    """Items given to an engine together, until all are done or a worker dies."""

    def __init__(
        self, function: Callable[[Item], Value], items: Mapping[str, Item], limit_s: float | None
    ) -> None:
        self._function = function
        self._items = items
        self._limit_s = limit_s
        self._handed_out: dict[str, None] = {}

    @property
    def suspects(self) -> tuple[str, ...]:
        """Items that were being worked on when a worker died."""
        return tuple(self._handed_out)

    def worked_on(self, run: _Run) -> Iterator[Outcome[Value]]:
        """Yield outcomes in the order in which they end; stop when a worker dies."""
        try:
            for outcome in run(self._calls()):
                self._handed_out.pop(outcome.name)
                yield outcome
        except Exception as error:
            if not _is_death(error):
                raise

    def _calls(self) -> Iterator[_Call]:
        for name, item in self._items.items():
            self._handed_out[name] = None
            yield _Call(self._function, name, item, self._limit_s)


@dataclass(frozen=True, slots=True)
class _Call:
    """The work on one item, as it travels to a worker."""

    function: Callable[[Any], Any]
    name: str
    item: Any
    limit_s: float | None

    def __call__(self) -> Outcome[Any]:
        begin = time.perf_counter()
        value, error, ending = None, "", Ending.DONE
        try:
            with _stopped_after(self.limit_s):
                value = self.function(self.item)
        except _LimitReachedError:
            ending, error = Ending.TIMED_OUT, f"stopped after {self.limit_s:g} s"
        except Exception as fault:  # noqa: BLE001 - the outcome carries it, other items go on
            ending, error = Ending.FAILED, f"{type(fault).__name__}: {fault}"
        return Outcome(
            name=self.name,
            ending=ending,
            value=value,
            error=error,
            wall_s=time.perf_counter() - begin,
            worker=f"{socket.gethostname()}:{os.getpid()}",
        )


class _LimitReachedError(BaseException):
    """Passes through handlers of exceptions that work on an item may have."""


@contextmanager
def _stopped_after(limit_s: float | None) -> Iterator[None]:
    """Raise in the block when its time is up; only main threads of POSIX systems can be stopped."""
    alarm = getattr(signal, "SIGALRM", None)
    if limit_s is None or alarm is None or not _is_main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        del number, frame
        raise _LimitReachedError

    before = signal.signal(alarm, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(alarm, before)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


_Run = Callable[[Iterable[_Call]], Iterable[Outcome[Any]]]


@contextmanager
def _backend(engine: Engine) -> Iterator[_Run]:
    """Provide what runs calls on an engine, and let go of the engine afterwards."""
    if engine.kind is EngineKind.SERIAL or engine == Engine(EngineKind.LOCAL, processes=1):
        yield lambda calls: (call() for call in calls)
    elif engine.kind is EngineKind.RAY:
        with _ray_cluster(engine.address):
            yield _run_on_ray
    elif engine.kind is EngineKind.DASK:
        with _dask_cluster(engine.address) as client:
            yield partial(_run_on_dask, client)
    else:
        from joblib import parallel_config

        with parallel_config(backend="loky", inner_max_num_threads=1):
            yield partial(_run_on_joblib, engine.processes)


def _run_on_joblib(processes: int, calls: Iterable[_Call]) -> Iterator[Outcome[Any]]:
    from joblib import Parallel, delayed

    # One item at a time, and few on the way: what a worker's death takes along is little.
    parallel = Parallel(
        n_jobs=processes,
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch=f"{_ON_THE_WAY}*n_jobs",
    )
    outcomes = parallel(delayed(call)() for call in calls)
    try:
        for outcome in outcomes:  # noqa: UP028 - closed below, not by `yield from`
            yield outcome
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # who wants no more needs no advice on it
            outcomes.close()


# Both clusters have back ends for joblib; Dask's never returns after a worker's death, and Ray's
# gives no result before it has all of them.
def _run_on_dask(client: Any, calls: Iterable[_Call]) -> Iterator[Outcome[Any]]:
    from distributed import wait

    def ended(pending: list[Any]) -> tuple[list[Outcome[Any]], list[Any]]:
        done, rest = wait(pending, return_when="FIRST_COMPLETED")
        return [future.result() for future in done], list(rest)

    yield from _few_on_the_way(
        calls,
        most=_ON_THE_WAY * sum(client.nthreads().values()),
        submitted=lambda call: client.submit(call, pure=False),
        ended=ended,
    )


def _run_on_ray(calls: Iterable[_Call]) -> Iterator[Outcome[Any]]:
    import ray

    work = ray.remote(lambda call: call()).options(max_retries=0)

    def ended(pending: list[Any]) -> tuple[list[Outcome[Any]], list[Any]]:
        done, rest = ray.wait(pending)
        return ray.get(done), rest

    yield from _few_on_the_way(
        calls,
        most=_ON_THE_WAY * max(int(ray.cluster_resources().get("CPU", 1)), 1),
        submitted=work.remote,
        ended=ended,
    )


def _few_on_the_way(
    calls: Iterable[_Call],
    *,
    most: int,
    submitted: Callable[[_Call], Any],
    ended: Callable[[list[Any]], tuple[list[Outcome[Any]], list[Any]]],
) -> Iterator[Outcome[Any]]:
    """Submit calls as others end, so that what waits is here and not on the cluster."""
    pending: list[Any] = []
    for call in calls:
        pending.append(submitted(call))
        if len(pending) >= most:
            outcomes, pending = ended(pending)
            yield from outcomes
    while pending:
        outcomes, pending = ended(pending)
        yield from outcomes


@contextmanager
def _dask_cluster(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise _missing("dask", "distributed") from error
    try:
        client = Client(f"tcp://{address}", timeout=f"{_ANSWERS_WITHIN_S}s", set_as_default=False)
    except OSError as error:
        raise ExperimentError(
            f"dask://{address}: no scheduler answers ({error}); start `dask scheduler` there"
        ) from error
    with client, client.as_current():
        if not client.scheduler_info()["workers"]:
            raise ExperimentError(f"dask://{address}: no workers; start `dask worker {address}`")
        yield client


@contextmanager
def _ray_cluster(address: str) -> Iterator[None]:
    try:
        import ray
    except ImportError as error:
        raise _missing("ray", "ray") from error
    where = address if address == "auto" else f"ray://{address}"
    try:
        ray.init(address=where, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise ExperimentError(
            f"ray://{address}: no cluster answers ({error}); start `ray start --head` there, and "
            f"give the port of its client server, 10001 unless told otherwise"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _missing(engine: str, module: str) -> ExperimentError:
    return ExperimentError(
        f"the {engine} engine needs {module}, which is not installed; "
        f"pip install 'fleetopt[cluster]'"
    )


def _is_death(error: BaseException) -> bool:
    """Whether an error of the engine says that a worker is gone; asked by name, not to import."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"BrokenProcessPool", "KilledWorker", "WorkerCrashedError"})
