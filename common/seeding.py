"""How much of a score is luck: a recipe trained anew from other seeds, as DVC experiments."""

import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from common import experiments
from common.errors import DataError, MachineError
from common.files import atomic
from common.params import read_yaml

POLL_S = 0.5
APART = 1000
"""Steps of one recipe keep seeds of their own: each is moved by the same multiple of this."""


@dataclass(frozen=True)
class Seeded:
    """A system and its files."""

    approach: str
    recipe: str

    @property
    def file(self) -> Path:
        """The recipe's."""
        return Path("approaches") / self.approach / "recipes" / f"{self.recipe}.yaml"

    @property
    def entry(self) -> str:
        """What its score stage writes."""
        return f"leaderboard/entries/{self.approach}.{self.recipe}.json"

    @property
    def target(self) -> str:
        """Its score stage."""
        return f"approaches/{self.approach}/dvc.yaml:score@{self.recipe}"

    def changes(self, number: int) -> list[str]:
        """What makes another seed of every step, as DVC's ``-S`` takes it."""
        steps: dict[str, Any] = read_yaml(self.file)["steps"]
        moved = {name: step["trainer"]["seed"] + APART * number for name, step in steps.items()}
        return [f"{self.file}:steps.{name}.trainer.seed={seed}" for name, seed in moved.items()]


def train_seeds(
    system: Seeded, count: int, workers: int, logs: Path, command: Sequence[str] = experiments.DVC
) -> list[float]:
    """Train ``system`` from ``count`` other seeds; test mAP of each. What is known of this commit is not run again.

    Raises:
        MachineError: an experiment failed; names its log.
    """
    logs.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    names = {f"{system.recipe}-{commit}-seed-{number}": number for number in range(1, count + 1)}
    waiting = [name for name in names if not experiments.result(name, system.entry)]
    running: dict[str, psutil.Process] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                name = waiting.pop(0)
                log, changes = logs / f"{name}.log", system.changes(names[name])
                running[name] = experiments.start(name, changes, system.target, log, command)
                print(f"{name}: started; {log}", flush=True)
            time.sleep(POLL_S)
            for name in [name for name, process in running.items() if experiments.ended(process)]:
                del running[name]
                print(f"{name}: test mAP {_mean_ap(system, name, logs):.4f}", flush=True)
    finally:
        experiments.stop(list(running.values()))
    return [_mean_ap(system, name, logs) for name in names]


def _mean_ap(system: Seeded, name: str, logs: Path) -> float:
    entry = experiments.result(name, system.entry)
    if entry is None:
        raise MachineError(f"{name}: failed; see {logs / name}.log. The same command tries it again")
    if not entry["test"]:
        raise DataError(f"{name}: no cell of the test part is known, so that seeds cannot be compared")
    return float(entry["test"]["competition"]["mAP"])


def write_seeds(system: Seeded, found: list[float], folder: Path) -> Path:
    """Keep what the board shows: test mAP from other seeds, beside the one that they are compared with."""
    own = json.loads(Path(system.entry).read_text())["test"]["competition"]["mAP"]
    path = folder / f"{system.approach}.{system.recipe}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        part.write_text(json.dumps({"mAP": own, "others": found}, indent=1) + "\n")
    return path
