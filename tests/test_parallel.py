"""Map-style work: the same results in the same order wherever it runs, and a clear word when a worker dies."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cloudpickle
import cv2
import numpy as np
import psutil
import pytest

from common.classes import format_labels
from common.errors import MachineError, ParamsError
from common.parallel import pmap, worker_count


def slow_at_first(number: int) -> tuple[int, str]:
    """The first items take longest, so that they finish last."""
    time.sleep(0.05 if number < 2 else 0)
    return number, multiprocessing.current_process().name


def die_at(deadly: int, number: int) -> int:
    if number == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def opencv_threads(number: int) -> int:
    return cv2.getNumThreads()


def die_once_at(note: Path, deadly: int, number: int) -> int:
    if number == deadly and not note.exists():
        note.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fail_at(bad: int, number: int) -> int:
    if number == bad:
        raise ValueError(f"item {number} is bad")
    return number


@pytest.fixture(autouse=True)
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_WORKERS", "2")
    monkeypatch.delenv("HPA_PARALLEL", raising=False)
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)


def test_results_come_in_the_order_of_the_items_from_other_processes() -> None:
    results = list(pmap(slow_at_first, range(8), "items"))
    assert [number for number, _ in results] == list(range(8))
    assert "MainProcess" not in {name for _, name in results}


@pytest.mark.parametrize(("workers", "items"), [("1", 3), ("2", 1)])
def test_one_worker_or_one_item_needs_no_process(
    monkeypatch: pytest.MonkeyPatch, workers: str, items: int
) -> None:
    monkeypatch.setenv("HPA_WORKERS", workers)
    assert {name for _, name in pmap(slow_at_first, range(items), "items")} == {"MainProcess"}


@pytest.mark.parametrize("backend", ["serial", "process", "dask"])
def test_the_backend_does_not_change_the_results(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    monkeypatch.setenv("HPA_PARALLEL", backend)
    items = [(number % 19, number % 7) for number in range(40)]
    assert list(pmap(format_labels, items, "items")) == [f"{a}|{b}" for a, b in items]


@pytest.mark.parametrize("backend", ["serial", "process"])
def test_no_items_give_no_results(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    monkeypatch.setenv("HPA_PARALLEL", backend)
    assert list(pmap(slow_at_first, [], "items")) == []


@pytest.mark.parametrize("backend", ["serial", "process"])
def test_an_items_own_error_passes_through(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    monkeypatch.setenv("HPA_PARALLEL", backend)
    results = pmap(partial(fail_at, 2), range(5), "items")
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="item 2 is bad"):
        next(results)


def test_a_killed_worker_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(MachineError, match=r"worker process was killed.*out of memory; .*set HPA_WORKERS=1"):
        list(pmap(partial(die_at, 2), range(4), "items"))


@pytest.mark.timeout(60)
def test_workers_start_though_opencv_has_threads_in_their_parent() -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(4)
    try:
        cv2.resize(np.zeros((3000, 3000), np.float32), (1500, 1500), interpolation=cv2.INTER_CUBIC)
        assert sorted(pmap(opencv_threads, range(4), "items")) == [1] * 4
        assert cv2.getNumThreads() == 4
    finally:
        cv2.setNumThreads(threads)


HANGS = """
import os, time
from common.parallel import pmap
def work(number):
    os.write(1, f"{os.getpid()}\\n".encode())  # at once, not mixed with the other's
    time.sleep(60)
list(pmap(work, range(2), "items"))
"""


def test_workers_end_when_their_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", HANGS], stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            workers = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
        finally:
            parent.kill()
        _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


def test_work_that_kills_every_dask_worker_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "dask")
    with pytest.raises(
        MachineError, match=r"worker process was killed again and again.*memory; .*HPA_WORKERS=1"
    ):
        list(pmap(os._exit, [1, 1], "items"))


def test_dask_goes_on_past_a_killed_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "dask")
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # its workers cannot import a test
    try:
        assert list(pmap(partial(die_once_at, tmp_path / "died", 2), range(4), "items")) == [0, 1, 2, 3]
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert (tmp_path / "died").exists()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("HPA_PARALLEL", "threads", "HPA_PARALLEL is 'threads', expected one of serial, process, dask"),
        ("HPA_WORKERS", "0", "HPA_WORKERS is '0', expected a whole number from 1"),
        ("HPA_WORKERS", "two", "HPA_WORKERS is 'two', expected a whole number from 1"),
        ("HPA_WORKERS", "²", "HPA_WORKERS is '²', expected a whole number from 1"),
    ],
)
def test_a_wrong_setting_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ParamsError, match=message):
        list(pmap(slow_at_first, range(4), "items"))


def test_without_a_setting_the_cores_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HPA_WORKERS")
    assert worker_count() == len(os.sched_getaffinity(0))
