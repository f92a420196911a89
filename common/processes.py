"""Worker processes of this machine that may be killed one by one: the engine below ``HPA_PARALLEL=process``."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Worker:
    """A pool of one process: when it is killed, no item but its own is lost."""

    # A process must not inherit another's pipe that is being made: the other's death would go unseen.
    _one_fork_at_a_time = threading.Lock()

    def __init__(self) -> None:
        with self._one_fork_at_a_time:
            self.pool = ProcessPoolExecutor(1, initializer=_serve, initargs=(os.getpid(),))
            self.pid = self.pool.submit(os.getpid).result()

    def end_if(self, stopped: threading.Event) -> None:
        """End the process if it was still being started when all others were ended."""
        if stopped.is_set():
            os.kill(self.pid, signal.SIGKILL)


@contextmanager
def processes(count: int, work: Callable[[T], R]) -> Iterator[Callable[[T], Future[R]]]:
    """Give the function that hands an item to the next free one of ``count`` processes.

    The future of an item whose process was killed raises ``BrokenProcessPool``; a new process takes the next one.
    """
    idle: SimpleQueue[_Worker | None] = SimpleQueue()
    for _ in range(count):
        idle.put(None)  # to be started
    alive: set[_Worker] = set()
    stopped = threading.Event()

    def attempt(item: T) -> R:
        worker = idle.get()
        try:
            if worker is None:
                alive.add(worker := _Worker())
                worker.end_if(stopped)
            return worker.pool.submit(work, item).result()
        except BrokenProcessPool:
            alive.discard(worker)
            worker = None
            raise
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(count)
    try:
        with _no_opencv_threads():
            yield lambda item: threads.submit(attempt, item)
    except BaseException:  # also of a reader who stops reading: nobody wants what still runs
        stopped.set()
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
