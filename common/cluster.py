"""A Dask cluster, here or elsewhere: the engine below ``HPA_PARALLEL=dask``."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from common.errors import ParamsError

if TYPE_CHECKING:
    from distributed import Client

T = TypeVar("T")
R = TypeVar("R")

LOCAL = {
    # What was killed is done again by ``pmap``, alone; the scheduler would do it again beside others.
    "distributed.scheduler.allowed-failures": 0,
    # A worker that is killed twice within the usual 15 s would be taken for lost, and never started again.
    "distributed.deploy.lost-worker-timeout": "1 day",
}
"""Settings of a cluster on this machine."""


@contextmanager
def cluster(workers: int) -> Iterator["Client"]:
    """Connect to the cluster that the environment names, or start one on this machine."""
    import dask
    from distributed import Client

    if address := os.environ.get("DASK_SCHEDULER_ADDRESS"):
        with _connect(address) as client:
            yield client
    else:
        with (
            dask.config.set(LOCAL),
            Client(n_workers=workers, threads_per_worker=1, dashboard_address=None) as client,
        ):
            yield client


def _connect(address: str) -> "Client":
    from distributed import Client

    where = f"DASK_SCHEDULER_ADDRESS is {address!r}"
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        advice = "start one with: dask scheduler, or unset it"
        raise ParamsError(f"{where}: no scheduler answers there ({error}); {advice}") from None
    if not client.nthreads():
        print(f"{where}: no worker has joined it yet; waiting for one", file=sys.stderr, flush=True)
    try:
        client.submit(
            find_spec, __name__, pure=False
        ).result()  # work that they cannot import would never end
    except ModuleNotFoundError:
        client.close()
        raise ParamsError(
            f"{where}: its workers lack this project; install it there: pip install -e ."
        ) from None
    return client


def at(folder: str, work: Callable[[T], R], item: T) -> R:
    """Do an item in the working directory of the command, so that relative paths mean the same on every worker."""
    _settle()
    os.chdir(folder)
    return work(item)


@cache
def _settle() -> None:
    """Wait before a worker's first item: Dask does not replace a worker that dies before its start was noticed."""
    time.sleep(1)
