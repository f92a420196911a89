"""Map-style work on one core, all cores, or a cluster: chosen by the environment, never by params.yaml.

``HPA_PARALLEL`` is ``serial``, ``process`` (default) or ``dask``; ``HPA_WORKERS`` the number of processes. With
``dask``, ``DASK_SCHEDULER_ADDRESS`` names a running cluster; without it a local one is started. The choice must
not change any result, so it is no parameter that DVC could see.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from common.errors import MachineError, ParamsError
from common.progress import track

T = TypeVar("T")
R = TypeVar("R")


def pmap(work: Callable[[T], R], items: Sequence[T], what: str) -> Iterator[R]:
    """Yield ``work(item)`` for every item, in the order of ``items``, with progress.

    Args:
        work: a function that can be pickled: of a module, or a ``functools.partial`` of one.
        what: names the work on the progress bar.

    Raises:
        ParamsError: ``HPA_PARALLEL`` or ``HPA_WORKERS`` is not understood.
        MachineError: a worker was killed.
    """
    name = os.environ.get("HPA_PARALLEL", "process")
    backends = {"serial": _serial, "process": _process, "dask": _dask}
    if name not in backends:
        raise ParamsError(f"HPA_PARALLEL is {name!r}, expected one of {', '.join(backends)}")
    single = len(items) < 2 or worker_count() == 1
    backend = _serial if single and name == "process" else backends[name]
    yield from track(backend(work, items), len(items), what)


def worker_count() -> int:
    """How many processes to use: ``HPA_WORKERS``, or the cores this process may run on."""
    given = os.environ.get("HPA_WORKERS", "")
    if not given:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not given.isdecimal() or int(given) < 1:
        raise ParamsError(f"HPA_WORKERS is {given!r}, expected a whole number from 1")
    return int(given)


def _serial(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    yield from map(work, items)


def _process(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    try:
        with (
            _no_opencv_threads(),
            ProcessPoolExecutor(worker_count(), initializer=_leave_with, initargs=(os.getpid(),)) as pool,
        ):
            yield from pool.map(work, items)
    except BrokenProcessPool:
        advice = "for less memory set HPA_WORKERS=1; to go on past killed workers set HPA_PARALLEL=dask"
        raise MachineError(f"a worker process was killed, most likely out of memory; {advice}") from None


@contextmanager
def _no_opencv_threads() -> Iterator[None]:
    """Keep OpenCV to one thread, here and in the workers: a pool in each of several processes is slower than none.

    It is set before the fork, because a worker that puts away its parent's threads waits for them for ever.
    """
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _leave_with(parent: int) -> None:
    """End this worker when its parent was killed; it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _dask(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise ParamsError("HPA_PARALLEL=dask needs an extra: pip install 'hpa-arena[dask]'") from None
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    local = {"n_workers": worker_count(), "threads_per_worker": 1, "dashboard_address": None}
    with Client(address) if address else Client(**local) as client:
        try:
            for future in client.map(work, items, retries=2, pure=False):
                yield future.result()
        except KilledWorker as error:
            advice = "give the workers more memory, or for local ones set HPA_WORKERS=1"
            raise MachineError(
                f"a worker process was killed again and again at {error.task}, most likely out of memory; {advice}"
            ) from None
