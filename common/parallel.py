"""Map-style work on one core, all cores, or a cluster: chosen by the environment, never by params.yaml.

``HPA_PARALLEL`` is ``serial`` (in this process), ``process`` (default) or ``dask``; ``HPA_WORKERS`` the number of
processes. With ``dask``, ``DASK_SCHEDULER_ADDRESS`` names a running cluster, whose workers must see the same files and
have this package; without it a local one is started. The choice must not change any result, so it is no parameter
that DVC could see.

A worker may be killed, most likely out of memory. Its item is done again by another; one that kills its worker even
when nothing runs beside it is *deadly*, and is named. ``serial`` has no worker: there the whole command is killed.
"""

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache, partial
from importlib.util import find_spec
from queue import SimpleQueue
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from common.errors import MachineError, ParamsError
from common.progress import track

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

IN_FLIGHT = 4
"""Items that run, wait to run, or wait for a slow reader of the results, for each worker."""
TRIES_ALONE = 2


class Future(Protocol[R_co]):
    """What the futures of the standard library and of Dask have in common."""

    def result(self) -> R_co:
        """Wait for the item's result, or raise its error."""

    def exception(self) -> BaseException | None:
        """Wait for the item's error."""


def pmap(
    work: Callable[[T], R], items: Sequence[T], what: str, deadly: Callable[[T], R] | None = None
) -> Iterator[R]:
    """Yield ``work(item)`` for every item, in the order of ``items``, with progress.

    A few items for each worker are in flight; a reader that is slow or stops holds the work back, so that memory
    does not grow with the number of items.

    Args:
        work: a function that can be pickled: of a module, or a ``functools.partial`` of one. An item may be done
            twice, when its worker was killed.
        what: names the work on the progress bar.
        deadly: what to yield for an item that kills its worker; by default that is an error.

    Raises:
        ParamsError: ``HPA_PARALLEL``, ``HPA_WORKERS`` or ``DASK_SCHEDULER_ADDRESS`` is not understood.
        MachineError: an item kills its worker again and again. Names it.
    """
    name = os.environ.get("HPA_PARALLEL", "process")
    if name not in BACKENDS:
        raise ParamsError(f"HPA_PARALLEL is {name!r}, expected one of {', '.join(BACKENDS)}")
    results = BACKENDS[name](work, items, deadly or partial(_refuse, what=what))
    yield from track(results, len(items), what)


def _refuse(item: object, what: str) -> NoReturn:
    advice = "give it more memory, with fewer workers (HPA_WORKERS=1) or on a larger machine; or leave it out"
    raise MachineError(f"{what}: {killed_at(str(item))}; {advice}")


def killed_at(name: str) -> str:
    """Say which item is deadly."""
    return f"{name} killed its worker process again and again, most likely out of memory"


def worker_count() -> int:
    """How many processes to use: ``HPA_WORKERS``, or the cores this process may run on."""
    given = os.environ.get("HPA_WORKERS", "")
    if not given:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not given.isdecimal() or int(given) < 1:
        raise ParamsError(f"HPA_WORKERS is {given!r}, expected a whole number from 1")
    return int(given)


def _serial(work: Callable[[T], R], items: Sequence[T], deadly: Callable[[T], R]) -> Iterator[R]:
    yield from map(work, items)


def _process(work: Callable[[T], R], items: Sequence[T], deadly: Callable[[T], R]) -> Iterator[R]:
    with _no_opencv_threads(), _workers(worker_count(), work) as submit:
        yield from _in_order(submit, items, worker_count, BrokenProcessPool, deadly)


def _dask(work: Callable[[T], R], items: Sequence[T], deadly: Callable[[T], R]) -> Iterator[R]:
    try:
        from distributed import KilledWorker
    except ImportError:
        raise ParamsError("HPA_PARALLEL=dask needs an extra: pip install 'hpa-arena[dask]'") from None
    with _cluster() as client:
        submit = partial(client.submit, partial(_at, os.getcwd(), work), retries=2, pure=False)
        yield from _in_order(submit, items, lambda: sum(client.nthreads().values()), KilledWorker, deadly)


BACKENDS = {"serial": _serial, "process": _process, "dask": _dask}


def _in_order(
    submit: Callable[[T], Future[R]],
    items: Iterable[T],
    workers: Callable[[], int],
    killed: type[Exception],
    deadly: Callable[[T], R],
) -> Iterator[R]:
    """Yield the results in the order of ``items``, ``IN_FLIGHT`` of them for each worker at a time."""
    flight: deque[tuple[T, Future[R]]] = deque()
    for item in items:
        flight.append((item, submit(item)))
        if len(flight) >= IN_FLIGHT * max(1, workers()):
            yield _landed(flight, submit, killed, deadly)
    while flight:
        yield _landed(flight, submit, killed, deadly)


def _landed(
    flight: deque[tuple[T, Future[R]]],
    submit: Callable[[T], Future[R]],
    killed: type[Exception],
    deadly: Callable[[T], R],
) -> R:
    """Wait for the first item in flight; where its worker was killed, do it again when nothing runs beside it."""
    item, future = flight.popleft()
    for _ in range(TRIES_ALONE):
        try:
            return future.result()
        except killed:
            for _, beside in flight:
                beside.exception()
            future = submit(item)
    try:
        return future.result()
    except killed:
        return deadly(item)


class _Worker:
    """A pool of one process: when it is killed, no item but its own is lost."""

    # A process must not inherit another's pipe that is being made: the other's death would go unseen.
    _one_fork_at_a_time = threading.Lock()

    def __init__(self) -> None:
        with self._one_fork_at_a_time:
            self.pool = ProcessPoolExecutor(1, initializer=_serve, initargs=(os.getpid(),))
            self.pid = self.pool.submit(os.getpid).result()


@contextmanager
def _workers(count: int, work: Callable[[T], R]) -> Iterator[Callable[[T], Future[R]]]:
    """Give the function that hands an item to the next free one of ``count`` processes."""
    idle: SimpleQueue[_Worker | None] = SimpleQueue()
    for _ in range(count):
        idle.put(None)  # to be started
    alive: set[_Worker] = set()

    def attempt(item: T) -> R:
        worker = idle.get()
        try:
            if worker is None:
                alive.add(worker := _Worker())
            return worker.pool.submit(work, item).result()
        except BrokenProcessPool:
            alive.discard(worker)
            worker = None
            raise
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(count)
    try:
        yield lambda item: threads.submit(attempt, item)
    except BaseException:  # also of a reader who stops reading: nobody wants what still runs
        threads.shutdown(wait=False, cancel_futures=True)
        for worker in list(alive):
            os.kill(worker.pid, signal.SIGKILL)
        raise
    finally:
        threads.shutdown()
        for worker in alive:
            worker.pool.shutdown()


def _serve(parent: int) -> None:
    """Prepare a worker: signals are its parent's business, and it ends when its parent was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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


@contextmanager
def _cluster() -> Iterator["Client"]:
    """Connect to the cluster that the environment names, or start one on this machine."""
    import dask
    from distributed import Client

    if address := os.environ.get("DASK_SCHEDULER_ADDRESS"):
        client = _connect(address)
    else:
        # What was killed is done again in ``_landed``, alone; the scheduler would do it again beside others.
        with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
            client = Client(n_workers=worker_count(), threads_per_worker=1, dashboard_address=None)
    with client:
        yield client


def _connect(address: str) -> "Client":
    from distributed import Client

    where = f"DASK_SCHEDULER_ADDRESS is {address!r}"
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        advice = "start one with: dask scheduler, or unset it"
        raise ParamsError(f"{where}: no scheduler answers there ({error}); {advice}") from None
    try:
        client.run(find_spec, __name__)  # work that they cannot import would wait for ever
    except ModuleNotFoundError:
        client.close()
        raise ParamsError(
            f"{where}: its workers lack this project; install it there: pip install -e ."
        ) from None
    if not client.nthreads():
        print(f"{where}: no worker has joined it yet; waiting for one", file=sys.stderr, flush=True)
    return client


def _at(folder: str, work: Callable[[T], R], item: T) -> R:
    """Do an item in the working directory of the command, so that relative paths mean the same on every worker."""
    _settle()
    os.chdir(folder)
    return work(item)


@cache
def _settle() -> None:
    """Wait before a worker's first item: Dask does not replace a worker that dies before its start was noticed."""
    time.sleep(1)
