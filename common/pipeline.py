"""The stages of the pipeline, several at a time: DVC runs each and keeps the books, this decides when."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import psutil

from common.errors import MachineError, UserError
from common.experiments import DVC, stop
from common.files import atomic
from common.parallel import worker_count

POLL_S = 0.2
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**32)}
"""Lets glibc keep what a step of a training frees: else a tenth of the time goes into asking for these pages again."""
SECONDS = "seconds.json"
"""In the folder of the logs: how long each stage took when it last ran."""
After = Mapping[str, frozenset[str]]
"""Stages, by DVC's name, with those that each of them waits for."""


class StagesFailed(UserError):
    """Stages ended with an error; the exit code is that of the first."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass
class Running:
    """A stage at work."""

    process: psutil.Popen
    log: Path
    since: float

    @property
    def says(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").replace("\r", "\n").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Pipeline:
    """Stages that wait, run, are done or failed. A stage starts as soon as all that it waits for are done."""

    def __init__(self, after: After, folder: Path, jobs: int, command: Sequence[str] = DVC) -> None:
        """Prepare to run the stages of ``after``, with logs in ``folder``.

        Args:
            jobs: so many stages run at a time, each on its share of this machine's cores.
        """
        self.after, self.folder, self.jobs, self.command = after, folder, jobs, command
        self.waiting, self.running = list(after), dict[str, Running]()
        self.done, self.failed = list[str](), dict[str, Path]()
        folder.mkdir(parents=True, exist_ok=True)
        seconds = folder / SECONDS
        self.seconds: dict[str, float] = json.loads(seconds.read_text()) if seconds.exists() else {}
        self.ways = _ways(after, self.seconds)

    def run(self, show: Callable[["Pipeline"], None]) -> None:
        """Run all stages that can be run, and call ``show`` again and again meanwhile.

        Raises:
            StagesFailed: after all else is done. What is done stays; the same command goes on from there.
        """
        try:
            while self._start_ready() or self.running:
                show(self)
                time.sleep(POLL_S)
                self._collect()
            show(self)
        finally:
            stop([each.process for each in self.running.values()])
        if self.failed:
            raise self._failure()

    @property
    def left_s(self) -> float | None:
        """About how long the rest takes, where every stage of it ran before."""
        rest = [*self.waiting, *self.running]
        if any(name not in self.seconds for name in rest):
            return None
        spent = sum(time.monotonic() - each.since for each in self.running.values())
        whole = (sum(self.seconds[name] for name in rest) - spent) / self.jobs
        return max(whole, *(self.ways[name] for name in self.waiting), 0.0)

    def _start_ready(self) -> bool:
        held = {*self.waiting, *self.running, *self.failed}
        ready = [name for name in self.waiting if not self.after[name] & held]
        ready.sort(key=lambda name: -self.ways[name])
        for name in ready[: self.jobs - len(self.running)]:
            self._start(name)
        return bool(ready)

    def _start(self, name: str) -> None:
        log = self.folder / f"{short(name).replace(' ', '.')}.log"
        share = max(1, worker_count() // self.jobs)
        with log.open("wb") as said:
            process = psutil.Popen(
                [*self.command, "--wait-for-lock", "repro", "--single-item", name],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={"OMP_NUM_THREADS": str(share), **KEEP_MEMORY, **os.environ},
            )
        self.waiting.remove(name)
        self.running[name] = Running(process, log, time.monotonic())

    def _collect(self) -> None:
        ended = [name for name, each in self.running.items() if each.process.poll() is not None]
        for name in ended:
            each = self.running.pop(name)
            if each.process.returncode:
                self.failed[name] = each.log
            else:
                self.done.append(name)
                self.seconds[name] = round(time.monotonic() - each.since, 1)
        if ended:
            with atomic(self.folder / SECONDS) as part:
                part.write_text(json.dumps(self.seconds, indent=1))

    def _failure(self) -> StagesFailed:
        logs = {name: log.read_text(errors="replace") for name, log in self.failed.items()}
        parts = [
            f"{short(name)}: {_reason(logs[name])} (all of it: {log})" for name, log in self.failed.items()
        ]
        if self.waiting:
            parts.append(f"not run, as they wait for these: {', '.join(map(short, self.waiting))}")
        code = re.search(r"exited with (\d+)", "".join(logs.values()))
        return StagesFailed(
            "\n  ".join([f"{len(self.failed)} of {len(self.after)} stages failed; the rest is kept", *parts]),
            int(code[1]) if code else MachineError.exit_code,
        )


def _ways(after: After, seconds: Mapping[str, float]) -> dict[str, float]:
    """The seconds from each stage's start to the end of the longest chain of stages behind it."""
    behind, ways = {name: 0.0 for name in after}, dict[str, float]()
    for name in reversed(list(TopologicalSorter(after).static_order())):
        ways[name] = seconds.get(name, 1.0) + behind[name]
        for before in after[name]:
            behind[before] = max(behind[before], ways[name])
    return ways


def short(name: str) -> str:
    """A stage's name for people: ``cell_crop train@effb2_cell-0``."""
    return name.removeprefix("approaches/").replace("/dvc.yaml:", " ")


def _reason(log: str) -> str:
    errors = [line for line in log.splitlines() if line.lower().startswith("error")]
    return errors[0] if errors else "it said nothing of an error"


def changed_stages(target: str | None = None) -> dict[str, frozenset[str]]:
    """The stages that are not up to date and all behind them, each with those of them that it waits for.

    Args:
        target: a stage, as DVC names it: only it and what it needs.

    Raises:
        UserError: where DVC cannot read the pipeline; it says why.
    """
    graph = _dvc("dag", "--dot", *([target] if target else []))
    needs: dict[str, set[str]] = {name: set() for name in re.findall(r'^"([^"]+)";', graph, re.M)}
    for before, name in re.findall(r'^"([^"]+)" -> "([^"]+)"', graph, re.M):
        needs[name].add(before)
    stale = set(json.loads(_dvc("status", "--json"))) & set(needs)
    while behind := {name for name, before in needs.items() if before & stale} - stale:
        stale |= behind
    return {name: frozenset(before & stale) for name, before in needs.items() if name in stale}


def _dvc(*words: str) -> str:
    done = subprocess.run([*DVC, *words], capture_output=True, text=True)
    if done.returncode:
        raise UserError((done.stderr.strip() or f"dvc {words[0]} failed").removeprefix("ERROR: "))
    return done.stdout
