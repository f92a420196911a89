"""Sends runs that were kept here to W&B."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common.errors import MachineError
from common.files import exclusive
from common.progress import track
from common.redaction import redacted
from common.tracking import LOCKED, UNSENT

SYNC = (sys.executable, "-m", "wandb", "sync")
LIMIT_S = 600


@dataclass
class Synced:
    """What became of the runs."""

    sent: list[Path] = field(default_factory=list)
    running: list[Path] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    """With W&B's last line."""


def unsent_runs(folder: Path) -> list[Path]:
    """The runs in W&B's folder that no server has, oldest first: offline ones, and online ones cut short."""
    offline = [run for run in folder.glob("offline-run-*") if not list(run.glob("*.wandb.synced"))]
    return sorted([*offline, *(mark.parent for mark in folder.glob(f"run-*/{UNSENT}"))], key=_age)


def _age(run: Path) -> str:
    return run.name.removeprefix("offline-")


def sync(runs: list[Path], command: Sequence[str] = SYNC) -> Synced:
    """Send runs one by one; a run that is still written is left out, one that fails stays for the next time.

    Args:
        command: sends the run whose folder is its last word, and marks it as W&B does.
    """
    done = Synced()
    for run in track(runs, len(runs), "runs sent"):
        try:
            with exclusive(run / LOCKED):
                if fault := _send(run, command):
                    done.failed.append((run, fault))
                else:
                    (run / UNSENT).unlink(missing_ok=True)
                    done.sent.append(run)
        except MachineError:
            done.running.append(run)
    return done


def _send(run: Path, command: Sequence[str]) -> str:
    """Send a run; what went wrong, or nothing."""
    # A mode that keeps runs here would also keep them from being sent.
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_MODE"}
    extra = ["--include-synced"] if (run / UNSENT).exists() else []
    try:
        told = subprocess.run(
            [*command, *extra, str(run)], env=environment, capture_output=True, text=True, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired:
        return f"took longer than {LIMIT_S} s"
    # wandb sync ends with 0 also where it could not send; its mark is what counts.
    if told.returncode == 0 and list(run.glob("*.wandb.synced")):
        return ""
    lines = [line for line in (told.stdout + told.stderr).splitlines() if line.strip()]
    return str(redacted(lines[-1])) if lines else f"exit code {told.returncode}"
