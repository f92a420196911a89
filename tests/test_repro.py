"""The pipeline with several stages at a time: what runs beside what, what a failure stops, what is kept."""

import json
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path

import psutil
import pytest

from common.pipeline import Pipeline, StagesFailed, changed_stages, short
from common.pipeline_view import clock, picture
from tests.running import quiet_environment, run_in

MEET = """
import sys, time
from pathlib import Path
me, other = sys.argv[1:]
Path(f"{me}.here").touch()
until = time.monotonic() + 60
while not Path(f"{other}.here").exists():
    if time.monotonic() > until:
        sys.exit(f"{other} never came")
    time.sleep(0.05)
Path(f"{me}.txt").write_text(me)
"""
PIPELINE = """
stages:
  first:
    cmd: echo 1 > first.txt
    outs: [first.txt]
  left:
    cmd: python meet.py left right
    deps: [first.txt]
    outs: [left.txt]
  right:
    cmd: python meet.py right left
    deps: [first.txt]
    outs: [right.txt]
  wrong:
    cmd: "{wrong}"
    deps: [first.txt]
    outs: [wrong.txt]
  after_wrong:
    cmd: cp wrong.txt after_wrong.txt
    deps: [wrong.txt]
    outs: [after_wrong.txt]
  last:
    cmd: cat left.txt right.txt > last.txt
    deps: [left.txt, right.txt]
    outs: [last.txt]
"""
FAILS = "echo 'error: no such weights' >&2; exit 4"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for key, value in quiet_environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, "git", "init", "--quiet")
    run_in(tmp_path, "dvc", "init", "--quiet")
    Path("meet.py").write_text(MEET)
    Path("dvc.yaml").write_text(PIPELINE.format(wrong=FAILS))
    return tmp_path


def run(jobs: int = 2) -> Pipeline:
    pipeline = Pipeline(changed_stages(), Path("logs"), jobs)
    pipeline.run(lambda _: None)
    return pipeline


def test_stages_run_side_by_side_a_failure_stops_only_what_waits_for_it(repository: Path) -> None:
    with pytest.raises(StagesFailed, match="no such weights") as caught:
        run()
    assert caught.value.exit_code == 4
    assert "1 of 6 stages failed" in str(caught.value)
    assert "after_wrong" in str(caught.value)
    assert Path("last.txt").read_text() == "leftright"
    assert not Path("after_wrong.txt").exists()
    assert set(changed_stages()) == {"wrong", "after_wrong"}

    Path("dvc.yaml").write_text(PIPELINE.format(wrong="echo mended > wrong.txt"))
    assert run().done == ["wrong", "after_wrong"]
    assert changed_stages() == {}
    assert run_in(repository, "dvc", "repro").stdout.count("didn't change") == 6


def test_what_is_behind_a_change_runs_anew_and_nothing_else(repository: Path) -> None:
    Path("dvc.yaml").write_text(PIPELINE.format(wrong="echo mended > wrong.txt"))
    run()
    Path("left.txt").unlink()
    assert changed_stages() == {"left": frozenset(), "last": frozenset({"left"})}
    assert changed_stages("right") == {}


def test_the_longest_chain_starts_first(tmp_path: Path) -> None:
    after = {"a": frozenset[str](), "b": frozenset[str](), "c": frozenset({"b"}), "d": frozenset({"c"})}
    pipeline = Pipeline(after, tmp_path, 1, [sys.executable, "-c", ""])
    pipeline.run(lambda _: None)
    assert pipeline.done == ["b", "c", "a", "d"]


def test_the_rest_takes_as_long_as_it_took_before(tmp_path: Path) -> None:
    after = {"a": frozenset[str](), "b": frozenset[str](), "c": frozenset({"b"})}
    assert Pipeline(after, tmp_path, 2).left_s is None
    (tmp_path / "seconds.json").write_text(json.dumps({"a": 100, "b": 10, "c": 20}))
    assert Pipeline(after, tmp_path, 2).left_s == 100
    assert Pipeline(after, tmp_path, 1).left_s == 130


def test_a_stopped_run_leaves_no_stage_behind(repository: Path) -> None:
    Path("dvc.yaml").write_text("stages:\n  long:\n    cmd: touch began; sleep 600\n")
    hpa = subprocess.Popen(["hpa", "repro"], stderr=subprocess.PIPE, text=True)
    while not Path("began").exists():
        assert hpa.poll() is None
    hpa.send_signal(signal.SIGTERM)
    assert hpa.wait(60) == 143
    others = [p.info for p in psutil.process_iter(["pid", "cmdline", "cwd"]) if p.pid != os.getpid()]
    left = [p["cmdline"] for p in others if p["cwd"] == str(repository)]
    assert left == []


def test_the_command_says_what_it_did_and_is_for_one_at_a_time(repository: Path) -> None:
    Path("dvc.yaml").write_text("stages:\n  one:\n    cmd: echo 1 > one.txt\n    outs: [one.txt]\n")
    said = run_in(repository, "hpa", "repro").stderr
    assert "1/1  one: " in said
    assert run_in(repository, "hpa", "repro").stdout == "everything is up to date\n"
    failed = run_in(repository, "hpa", "repro", "two", check=False)
    assert failed.returncode == 3
    assert "two" in failed.stderr


def test_the_picture_shows_what_runs_what_it_says_and_what_is_left(tmp_path: Path) -> None:
    from rich.console import Console

    after = {f"approaches/cell_crop/dvc.yaml:train@b0-{fold}": frozenset[str]() for fold in range(3)}
    seen: list[str] = []

    def show(pipeline: Pipeline) -> None:
        console = Console(width=100, record=True, file=StringIO())
        console.print(picture(pipeline, 0.0))
        seen.append(console.export_text())

    stage = [sys.executable, "-c", "import time; print('epoch 7: 81/83 [/b]', flush=True); time.sleep(1.5)"]
    Pipeline(after, tmp_path, 2, stage).run(show)
    assert any(
        "cell_crop train@b0-0" in text and "epoch 7: 81/83 [/b]" in text and "then: train" in text
        for text in seen
    )
    assert "3 of 3 stages" in seen[-1]


def test_names_and_times_are_short() -> None:
    assert short("approaches/cell_crop/dvc.yaml:train@effb2_cell-0") == "cell_crop train@effb2_cell-0"
    assert (clock(7), clock(187.9)) == ("0:07", "3:07")
