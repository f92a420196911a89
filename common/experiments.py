"""DVC experiments in folders of their own: started, found running, stopped, and what they wrote."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

DVC = (sys.executable, "-m", "dvc")
STOP_S = 30
"""A training has so long to write its checkpoint."""


def start(
    name: str, changes: list[str], target: str, log: Path, command: Sequence[str] = DVC
) -> psutil.Process:
    """Start an experiment; it runs from a snapshot of the repository, and what it says goes to the end of ``log``.

    Args:
        changes: as DVC's ``-S`` takes them.
        target: the stage to run, with all before it.
    """
    settings = [word for change in changes for word in ("-S", change)]
    words = [*command, "--wait-for-lock", "exp", "run", "--temp", "--name", name, *settings, target]
    with log.open("ab") as said:
        # A session of its own: Ctrl-C is for the search, which then stops its experiments.
        return psutil.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)


def running(name: str) -> psutil.Process | None:
    """The process of an experiment of this repository, if it still runs."""
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if _names(words, name) and process.cwd() == os.getcwd():
                return process
        except psutil.Error:  # it ended meanwhile, or is another user's
            continue
    return None


def _names(words: list[str], name: str) -> bool:
    return "--temp" in words and name in words and words[words.index(name) - 1] == "--name"


def ended(process: psutil.Process) -> bool:
    """Whether a process of ``start`` or ``running`` is over."""
    if isinstance(process, psutil.Popen):
        return process.poll() is not None
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def stop(processes: Sequence[psutil.Process]) -> None:
    """End experiments and all that they started."""
    family = []
    for process in processes:
        try:
            family += [*process.children(recursive=True), process]
        except psutil.NoSuchProcess:
            continue
    for act in (psutil.Process.terminate, psutil.Process.kill):
        for member in family:
            try:
                act(member)
            except psutil.NoSuchProcess:
                continue
        _, family = psutil.wait_procs(family, STOP_S)


def result(name: str, file: str) -> dict[str, Any] | None:
    """What an experiment wrote into a JSON file that git keeps; nothing before it has succeeded."""
    refs = _git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    ref = next((ref for ref in refs if ref.rpartition("/")[2] == name), None)
    text = _git("show", f"{ref}:{file}") if ref else ""
    return dict(json.loads(text)) if text else None


def names() -> set[str]:
    """The experiments of this repository."""
    return {
        ref.rpartition("/")[2]
        for ref in _git("for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    }


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True).stdout
