"""Runs kept here are sent once; what fails is named and stays for the next time."""

import sys
from pathlib import Path

import pytest

from common.files import exclusive
from common.syncing import sync, unsent_runs
from common.tracking import LOCKED, UNSENT
from tests.running import ROOT, run_in

SENDER = '''
"""wandb sync: marks the run as W&B does, unless its folder holds the file `refused`."""
import sys
from pathlib import Path
run = Path(sys.argv[-1])
with (run.parent / "sent").open("a") as sent:
    sent.write(run.name + "\\n")
if (run / "refused").exists():
    print("wandb: ERROR 403 for token=abcdefgh")
else:
    (run / "run-x.wandb.synced").touch()
'''


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two offline runs, an online one that was cut short and one that was not."""
    folder = tmp_path / "wandb"
    for name in (
        "offline-run-20260102_000000-b",
        "offline-run-20260101_000000-a",
        "run-20260103_000000-c",
        "run-1-d",
    ):
        (folder / name).mkdir(parents=True)
    (folder / "run-20260103_000000-c" / UNSENT).touch()
    (tmp_path / "send.py").write_text(SENDER)
    return folder


def test_runs_are_sent_once_and_oldest_first(runs: Path) -> None:
    command = (sys.executable, str(runs.parent / "send.py"))
    done = sync(unsent_runs(runs), command)
    names = [name.rpartition("-")[2] for name in (runs / "sent").read_text().split()]
    assert names == ["a", "b", "c"]
    assert [run.name[-1] for run in done.sent] == names
    assert unsent_runs(runs) == []


def test_what_fails_is_named_without_secrets_and_stays(runs: Path) -> None:
    (runs / "offline-run-20260101_000000-a/refused").touch()
    done = sync(unsent_runs(runs), (sys.executable, str(runs.parent / "send.py")))
    assert [(run.name[-1], fault) for run, fault in done.failed] == [
        ("a", "wandb: ERROR 403 for token=[redacted]")
    ]
    assert [run.name[-1] for run in unsent_runs(runs)] == ["a"]


def test_a_run_that_is_still_written_is_left_out(runs: Path) -> None:
    with exclusive(runs / "offline-run-20260101_000000-a" / LOCKED):
        done = sync(unsent_runs(runs), (sys.executable, str(runs.parent / "send.py")))
    assert [run.name[-1] for run in done.running] == ["a"]
    assert [run.name[-1] for run in unsent_runs(runs)] == ["a"]


def test_the_command_lists_and_asks_for_an_account(runs: Path) -> None:
    home = {"HOME": str(runs.parent), "NETRC": str(runs.parent / "netrc"), "WANDB_API_KEY": ""}
    hpa = (sys.executable, "-m", "common.cli.app", "track", "sync", "--runs", str(runs))
    listed = run_in(ROOT, *hpa, "--dry-run").stdout
    assert "3 runs wait" in listed
    refused = run_in(ROOT, *hpa, check=False, **home)
    assert refused.returncode == 5
    assert "wandb login" in refused.stderr
