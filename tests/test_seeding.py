"""Trainings from other seeds: what changes in the recipe, and what is kept for the board."""

import json
import sys
from pathlib import Path

import pytest

from common import experiments
from common.errors import MachineError
from common.seeding import Seeded, train_seeds, write_seeds
from tests.running import quiet_environment, run_in

RECIPE = "steps:\n  broad:\n    trainer: {seed: 2}\n  sharp:\n    trainer: {seed: 3}\n"
FAKE = '''
"""dvc exp run: mAP is the first step's seed / 10,000; the file fails names experiments."""
import json, os, subprocess, sys
from pathlib import Path
words = sys.argv[1:]
name = words[words.index("--name") + 1]
if Path("fails").exists() and name.endswith(Path("fails").read_text()):
    sys.exit("ERROR: no memory")
seed = int(next(w for w in words if "steps.broad" in w).partition("=")[2])
assert any(w.endswith(f"steps.sharp.trainer.seed={seed + 1}") for w in words)
def git(text, *words):
    return subprocess.run(["git", *words], input=text, capture_output=True, text=True, check=True).stdout.strip()
os.environ["GIT_INDEX_FILE"] = f".git/index-{name}"
blob = git(json.dumps({"test": {"competition": {"mAP": seed / 10000}}}), "hash-object", "-w", "--stdin")
git("", "update-index", "--add", "--cacheinfo", f"100644,{blob},leaderboard/entries/x.y.json")
git("", "update-ref", f"refs/exps/ab/cdef/{name}", git("", "commit-tree", git("", "write-tree"), "-m", name))
with open("calls", "a") as calls:
    calls.write(name + "\\n")
'''
SYSTEM = Seeded("x", "y")


@pytest.fixture(autouse=True)
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for key, value in quiet_environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(tmp_path)
    SYSTEM.file.parent.mkdir(parents=True)
    SYSTEM.file.write_text(RECIPE)
    (tmp_path / "fake.py").write_text(FAKE)
    run_in(tmp_path, "git", "init", "--quiet")
    run_in(tmp_path, "git", "commit", "--quiet", "--allow-empty", "--message", "empty")
    return [sys.executable, str(tmp_path / "fake.py")]


def test_every_step_gets_another_seed_and_nothing_runs_twice(command: list[str]) -> None:
    assert train_seeds(SYSTEM, 2, 2, Path("logs"), command) == [0.1002, 0.2002]
    assert train_seeds(SYSTEM, 3, 1, Path("logs"), command) == [0.1002, 0.2002, 0.3002]
    assert len(Path("calls").read_text().split()) == 3
    assert len(experiments.names()) == 3


def test_a_failure_names_its_log_and_what_succeeded_is_kept(command: list[str]) -> None:
    Path("fails").write_text("seed-2")
    with pytest.raises(MachineError, match=r"seed-2: failed; see logs/y-\w+-seed-2.log"):
        train_seeds(SYSTEM, 2, 1, Path("logs"), command)
    Path("fails").unlink()
    assert train_seeds(SYSTEM, 2, 1, Path("logs"), command) == [0.1002, 0.2002]


def test_the_board_gets_other_seeds_beside_the_result_they_belong_to(tmp_path: Path) -> None:
    entry = Path(SYSTEM.entry)
    entry.parent.mkdir(parents=True)
    entry.write_text(json.dumps({"test": {"competition": {"mAP": 0.25}}}))
    path = write_seeds(SYSTEM, [0.2, 0.3], Path("leaderboard/seeds"))
    assert path == Path("leaderboard/seeds/x.y.json")
    assert json.loads(path.read_text()) == {"mAP": 0.25, "others": [0.2, 0.3]}
