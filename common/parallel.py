"""Map-style work on one core, all cores, or a cluster: chosen by the environment, never by params.yaml.

``HPA_PARALLEL`` is ``serial`` (in this process), ``process`` (default) or ``dask``; ``HPA_WORKERS`` the number of
processes. With ``dask``, ``DASK_SCHEDULER_ADDRESS`` names a running cluster, whose workers must see the same files and
have this package; without it a local one is started. The choice must not change any result, so it is no parameter
that DVC could see.

A worker may be killed, most likely out of memory. Its item is done again by another; one that kills its worker even
when nothing runs beside it is *deadly*, and is named. ``serial`` has no worker: there the whole command is killed.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import NoReturn, Protocol, TypeVar

from common.cluster import at, cluster
from common.errors import MachineError, ParamsError
from common.processes import processes
from common.progress import track

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
    with processes(worker_count(), work) as submit:
        yield from _in_order(submit, items, worker_count, BrokenProcessPool, deadly)


def _dask(work: Callable[[T], R], items: Sequence[T], deadly: Callable[[T], R]) -> Iterator[R]:
    try:
        from distributed import KilledWorker
    except ImportError:
        raise ParamsError("HPA_PARALLEL=dask needs an extra: pip install 'hpa-arena[dask]'") from None
    with cluster(worker_count()) as client:
        submit = partial(client.submit, partial(at, os.getcwd(), work), retries=2, pure=False)
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
