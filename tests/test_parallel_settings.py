"""Where work goes is said by the environment; what is said wrongly is refused."""

import os
import re

import pytest

from common.errors import ParamsError
from common.parallel import pmap, worker_count
from tests.running import ROOT, run_in


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
    monkeypatch.setenv("HPA_PARALLEL", "process")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ParamsError, match=message):
        list(pmap(abs, range(4), "items"))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("here", "ParamsError: DASK_SCHEDULER_ADDRESS is 'here': no scheduler .*missing port"),
        ("tcp://127.0.0.1:9", "ParamsError: .*no scheduler .*; start one with: dask scheduler"),
    ],
)
def test_an_address_without_a_scheduler_is_refused(address: str, message: str) -> None:
    # In a process of its own: beside clients that failed before, Dask now and then does not start its loop in time.
    settings = {
        "HPA_PARALLEL": "dask",
        "DASK_SCHEDULER_ADDRESS": address,
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s",
    }
    work = "from common.parallel import pmap; list(pmap(abs, range(4), 'items'))"
    done = run_in(ROOT, "env", *(f"{k}={v}" for k, v in settings.items()), "python", "-c", work, check=False)
    assert done.returncode == 1
    assert re.search(message, done.stderr)


def test_without_a_setting_the_cores_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HPA_WORKERS", raising=False)
    assert worker_count() == len(os.sched_getaffinity(0))
