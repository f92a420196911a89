"""A search goes on after a kill, skips what fails and says so; a fake DVC makes each experiment in milliseconds."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from common import experiments
from common.errors import MachineError, ParamsError
from common.files import exclusive
from common.search import Plan, Search
from common.search_space import Range, Space
from tests.running import ROOT, quiet_environment, run_in

FAKE = '''
"""dvc exp run: the score is highest at lr 0.3; the files fail, wait and none name experiments."""
import json, subprocess, sys, time
from pathlib import Path
words = sys.argv[1:]
name = words[words.index("--name") + 1]
lr = float(next(w for w in words if w.startswith("r.yaml:lr=")).partition("=")[2])
with open("calls", "a") as calls:
    calls.write(name + "\\n")
def named(file):
    return Path(file).exists() and name in Path(file).read_text().split()
if named("fail"):
    sys.exit("ERROR: failed to reproduce 'train': no such weights")
while named("wait"):
    time.sleep(0.05)
entry = {"oof": {"competition": {"mAP": None if named("none") else 1 - abs(lr - 0.3)}}}
def git(text, *words):
    return subprocess.run(["git", *words], input=text, capture_output=True, text=True, check=True).stdout.strip()
blob = git(json.dumps(entry), "hash-object", "-w", "--stdin")
tree = git(f"100644 blob {blob}\\tentry.json\\n", "mktree")
git("", "update-ref", f"refs/exps/ab/cdef/{name}", git("", "commit-tree", tree, "-m", name))
'''
PLAN = Plan(
    name="lr",
    space=Space({"r.yaml:lr": Range(0.0, 1.0, False)}),
    target="score",
    entry="entry.json",
    metric="oof.competition.mAP",
    minimize=False,
    trials=4,
    workers=2,
    seed=0,
    retry=False,
)


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for key, value in quiet_environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("common.search.POLL_S", 0.05)
    run_in(tmp_path, "git", "init", "--quiet")
    (tmp_path / "fake.py").write_text(FAKE)
    return tmp_path


FAKE_DVC: Sequence[str] = (sys.executable, "fake.py")


def search(plan: Plan = PLAN) -> Search:
    found = Search(plan, Path(".search/lr"), FAKE_DVC)
    found.run()
    return found


def calls() -> list[str]:
    return Path("calls").read_text().split()


def test_trials_are_experiments_and_the_best_comes_first() -> None:
    done = search()
    assert sorted(calls()) == ["lr-1", "lr-2", "lr-3", "lr-4"]
    assert experiments.names() == set(calls())
    values = [trial.value or 0 for trial in done.succeeded()]
    assert values == sorted(values, reverse=True)
    best = done.succeeded()[0]
    assert best.value == pytest.approx(1 - abs(best.params["r.yaml:lr"] - 0.3))
    assert done.summary().splitlines()[0].startswith(done.name(best.number))


def test_the_proposals_learn_and_differ() -> None:
    done = search(replace(PLAN, trials=16, workers=1))
    tried = [trial.params["r.yaml:lr"] for trial in done.trials]
    assert len(set(tried)) == 16
    late = [abs(lr - 0.3) for lr in tried[10:]]
    assert sum(late) / len(late) < 0.2, "random proposals are 0.29 away on average"


def test_failed_trials_are_skipped_listed_with_their_log_and_tried_again_when_asked() -> None:
    Path("fail").write_text("lr-2")
    Path("none").write_text("lr-3")
    done = search()
    assert [done.name(trial.number) for trial in done.failed()] == ["lr-2", "lr-3"]
    assert len(done.succeeded()) == 2
    assert "ERROR: failed to reproduce 'train': no such weights; see .search/lr/lr-2.log" in done.summary()
    assert "entry.json holds no number oof.competition.mAP" in done.summary()
    assert len(search().trials) == 4, "nothing is left to do"
    Path("fail").unlink()
    again = search(replace(PLAN, retry=True))
    assert sorted(calls()[4:]) == ["lr-5", "lr-6"]
    assert again.trials[4].params == again.trials[1].params
    assert again.failed() == []


SCRIPT = """
from pathlib import Path
from tests.test_search import PLAN, search
search(PLAN)
"""


def broken_off(how: signal.Signals) -> None:
    """A search of another process, ended by a signal while lr-2 and lr-3 run."""
    Path("wait").write_text("lr-2 lr-3")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    driver = subprocess.Popen([sys.executable, "-c", SCRIPT], env=os.environ | {"PYTHONPATH": path})
    while not (Path("calls").exists() and set(calls()) >= {"lr-1", "lr-2", "lr-3"}):
        assert driver.poll() is None
        time.sleep(0.05)
    driver.send_signal(how)
    driver.wait()


def test_a_killed_search_adopts_what_still_runs_and_runs_the_rest() -> None:
    broken_off(signal.SIGKILL)
    assert experiments.running("lr-2")
    Path("wait").unlink()
    done = search()
    assert sorted(calls()) == ["lr-1", "lr-2", "lr-3", "lr-4"], "no trial ran twice"
    assert len(done.succeeded()) == 4


def test_a_stopped_search_stops_its_experiments_and_runs_them_again() -> None:
    broken_off(signal.SIGINT)
    assert experiments.running("lr-2") is None
    assert experiments.running("lr-3") is None
    Path("wait").unlink()
    done = search()
    assert sorted(calls()) == ["lr-1", "lr-2", "lr-2", "lr-3", "lr-3", "lr-4"]
    assert len(done.succeeded()) == 4


def test_two_searches_of_one_name_do_not_run_together() -> None:
    with exclusive(Path(".search/lr/study")), pytest.raises(MachineError, match="is being written by"):
        search()


def test_another_search_under_the_same_name_is_refused() -> None:
    search(replace(PLAN, trials=1))
    with pytest.raises(ParamsError, match="choose another name"):
        search(replace(PLAN, minimize=True))
    (Path(".search/lr/study.sqlite")).unlink()
    with pytest.raises(ParamsError, match="there are experiments lr-1 of another search"):
        search()
