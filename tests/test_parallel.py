"""Map-style work: the same results in the same order wherever it runs, whatever becomes of its workers."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

import cv2
import dask
import numpy as np
import psutil
import pytest
from distributed import LocalCluster

from common import cluster as connecting
from common.classes import format_labels
from common.errors import MachineError, ParamsError
from common.parallel import IN_FLIGHT, pmap
from tests.running import ROOT


def slow_at_first(number: int) -> tuple[int, str]:
    """The first items take longest, so that they finish last."""
    time.sleep(0.05 if number < 2 else 0)
    return number, multiprocessing.current_process().name


def die_at(deadly: Sequence[int], number: int) -> int:
    if number in deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once_at(deadly: int, notes: Path, number: int) -> int:
    """Leaves a note for each time that an item is begun."""
    tries = len(list(notes.glob(f"{number}-*")))
    (notes / f"{number}-{tries}").touch()
    return die_at([deadly] if tries == 0 else [], number)


def fail_at(bad: int, number: int) -> int:
    if number == bad:
        raise ValueError(f"item {number} is bad")
    return number


def sleep_at(slow: int, number: int) -> int:
    time.sleep(60 if number == slow else 0)
    return number


def opencv_threads(number: int) -> int:
    return cv2.getNumThreads()


def size_of(name: str) -> int:
    return Path(name).stat().st_size


class Counted(Sequence[int]):
    """Numbers that count how many of them were taken."""

    def __init__(self, length: int) -> None:
        self.taken, self.length = 0, length

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> Any:
        self.taken += 1
        return range(self.length)[index]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A Dask cluster of two processes that can import these tests."""
    with (
        pytest.MonkeyPatch.context() as patch,
        dask.config.set(connecting.LOCAL),
    ):
        patch.syspath_prepend(ROOT)
        with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as running:
            yield running


@pytest.fixture(autouse=True)
def two_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_WORKERS", "2")
    monkeypatch.delenv("HPA_PARALLEL", raising=False)
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)


@pytest.fixture(params=["serial", "process", "dask"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    return choose(request, monkeypatch)


@pytest.fixture(params=["process", "dask"])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    return choose(request, monkeypatch)


def choose(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HPA_PARALLEL", request.param)
    if request.param == "dask":
        address = request.getfixturevalue("cluster").scheduler_address
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
    return str(request.param)


def test_results_come_in_the_order_of_the_items_from_other_processes(workers: str) -> None:
    results = list(pmap(slow_at_first, range(8), "items"))
    assert [number for number, _ in results] == list(range(8))
    assert "MainProcess" not in {name for _, name in results}


def test_serial_is_this_process_and_one_worker_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_WORKERS", "1")
    others = {name for _, name in pmap(slow_at_first, range(3), "items")}
    monkeypatch.setenv("HPA_PARALLEL", "serial")
    assert {name for _, name in pmap(slow_at_first, range(3), "items")} == {"MainProcess"}
    assert len(others) == 1
    assert others != {"MainProcess"}


def test_the_backend_does_not_change_the_results(backend: str) -> None:
    items = [(number % 19, number % 7) for number in range(40)]
    assert list(pmap(format_labels, items, "items")) == [f"{a}|{b}" for a, b in items]


def test_dask_without_an_address_starts_its_own_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "dask")
    assert list(pmap(format_labels, [(1, 2), (3, 4)], "items")) == ["1|2", "3|4"]


def test_no_items_give_no_results(backend: str) -> None:
    assert list(pmap(slow_at_first, [], "items")) == []


def test_an_items_own_error_passes_through(backend: str) -> None:
    results = pmap(partial(fail_at, 2), range(5), "items")
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="item 2 is bad"):
        next(results)


def test_the_item_of_a_killed_worker_is_done_again(workers: str, tmp_path: Path) -> None:
    assert list(pmap(partial(die_once_at, 7, tmp_path), range(20), "items")) == list(range(20))
    assert (tmp_path / "7-1").exists()
    if workers == "process":  # Dask may also take along what it had sent to that worker
        assert len(list(tmp_path.iterdir())) == 21


def test_an_item_that_kills_its_worker_again_and_again_is_named(workers: str) -> None:
    results = pmap(partial(die_at, [3]), range(6), "fields")
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(
        MachineError, match=r"^fields: 3 killed its worker.* again and again, .*memory; .*HPA_WORKERS=1"
    ):
        next(results)


def test_deadly_items_can_be_left_out(workers: str) -> None:
    found = list(pmap(partial(die_at, [2, 3]), range(6), "items", deadly=lambda item: -item))
    assert found == [0, 1, -2, -3, 4, 5]


def test_a_slow_reader_holds_the_work_back(workers: str) -> None:
    items = Counted(1000)
    results = pmap(abs, items, "items")
    for read in range(5):
        assert next(results) == read
    assert items.taken <= 4 + IN_FLIGHT * 2
    results.close()  # type: ignore[attr-defined]


def works(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.timeout(50)
def test_a_reader_that_stops_stops_the_workers() -> None:
    others = set(psutil.Process().children())
    results = pmap(partial(sleep_at, 1), range(4), "items")
    assert next(results) == 0
    started = set(psutil.Process().children()) - others
    assert started
    results.close()  # type: ignore[attr-defined]
    while any(works(process) for process in started):
        time.sleep(0.1)  # a killed process takes a moment to end


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


def test_relative_paths_mean_the_same_on_every_worker(
    workers: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("12345")
    monkeypatch.chdir(tmp_path)
    assert list(pmap(size_of, ["file", "file"], "items")) == [5, 5]


@pytest.mark.parametrize("workers", ["dask"], indirect=True)
def test_a_cluster_without_this_project_is_refused(workers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "__name__", "elsewhere.cluster")
    with pytest.raises(ParamsError, match="workers lack this project; install it there"):
        list(pmap(abs, [1, 2], "items"))
