"""Searches for good values of a recipe: Optuna proposes, DVC experiments answer; what is known survives a kill."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import psutil
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from common import experiments
from common.errors import ParamsError
from common.files import exclusive
from common.search_space import Range, Space, as_override

POLL_S = 0.5
RANDOM_FIRST = 5
"""So many trials are drawn at random before the sampler learns from them."""
Distribution = FloatDistribution | IntDistribution | CategoricalDistribution


@dataclass(frozen=True)
class Plan:
    """What is searched, and how."""

    name: str
    """Of the search; its trials are the experiments ``name-1``, ``name-2``, ..."""
    space: Space
    target: str
    """The stage that a trial runs, as DVC names it."""
    entry: str
    """The JSON file that the target writes."""
    metric: str
    """A number in it, by keys with dots between them."""
    minimize: bool
    trials: int
    """Without those that were tried again."""
    workers: int
    seed: int
    retry: bool
    """Whether trials that failed before are tried again."""

    @property
    def identity(self) -> dict[str, Any]:
        """What may not change while trials are compared."""
        space = {key: repr(value) for key, value in self.space.dimensions.items()}
        return {"space": space, "target": self.target, "metric": self.metric, "minimize": self.minimize}


class Search:
    """A search as far as it has come: a study in ``folder``, beside the logs of its trials."""

    def __init__(self, plan: Plan, folder: Path, command: Sequence[str] = experiments.DVC) -> None:
        """Begin a search, or go on with the one in ``folder``.

        Raises:
            ParamsError: the one in ``folder`` is another; there are experiments of its name, but no search.
        """
        self.plan, self.folder, self.command = plan, folder, command
        self.running: dict[int, psutil.Process] = {}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        begun = (folder / "study.sqlite").exists()
        if not begun and (taken := {n for n in experiments.names() if n.startswith(f"{plan.name}-")}):
            raise ParamsError(
                f"{plan.name}: there are experiments {', '.join(sorted(taken))} of another search; "
                "choose another name, or remove them: dvc exp remove"
            )
        folder.mkdir(parents=True, exist_ok=True)
        self.study = optuna.create_study(
            storage=f"sqlite:///{folder / 'study.sqlite'}",
            study_name=plan.name,
            load_if_exists=True,
            direction="minimize" if plan.minimize else "maximize",
        )
        known = self.study.user_attrs.get("identity")
        if known not in (None, plan.identity):
            raise ParamsError(
                f"{plan.name}: was begun with {known}, found {plan.identity}; choose another name"
            )
        self.study.set_user_attr("identity", plan.identity)
        # Another seed each time, or a search that goes on would draw the same trials again.
        self.study.sampler = optuna.samplers.TPESampler(
            seed=plan.seed + len(self.trials), n_startup_trials=RANDOM_FIRST, constant_liar=plan.workers > 1
        )

    @property
    def trials(self) -> list[FrozenTrial]:
        """All, in order."""
        return self.study.get_trials(deepcopy=False)

    def run(self) -> None:
        """Run trials until there are as many as planned.

        Left by a signal or an error it stops its experiments; killed it leaves them running. Either way the next search
        of this name takes up each trial where it is: adopts what has ended or still runs, and starts the rest again.

        Raises:
            MachineError: this search is already running.
        """
        with exclusive(self.folder / "study"):
            if self.plan.retry:
                self._try_again()
            broken = [trial for trial in self.trials if trial.state == TrialState.RUNNING]
            try:
                while self._begin(broken) or self.running:
                    time.sleep(POLL_S)
                    for number in [n for n, process in self.running.items() if experiments.ended(process)]:
                        del self.running[number]
                        self._conclude(number)
            finally:
                experiments.stop(list(self.running.values()))

    def _try_again(self) -> None:
        for trial in self.failed():
            self.study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number})

    def _begin(self, broken: list[FrozenTrial]) -> bool:
        """Start trials while a worker is free; whether any was."""
        before = len(self.running)
        while len(self.running) < self.plan.workers:
            if broken:
                trial = broken.pop(0)
                number, values = trial.number, trial.params
            elif len(self._counted()) < self.plan.trials:
                asked = self.study.ask({k: _distribution(v) for k, v in self.plan.space.dimensions.items()})
                number, values = asked.number, asked.params
            else:
                break
            self._take_up(number, values)
        return len(self.running) > before

    def _take_up(self, number: int, values: dict[str, Any]) -> None:
        name = self.name(number)
        if len(values) < len(self.plan.space.dimensions):
            self._fail(number, "the search was killed while it drew this trial")
        elif experiments.result(name, self.plan.entry):
            self._conclude(number)
        elif process := experiments.running(name):
            self._say(f"{name}: still runs as process {process.pid}; waiting for it")
            self.running[number] = process
        else:
            changes = [as_override(key, value) for key, value in values.items()]
            self._say(f"{name}: {' '.join(_short(changes))}")
            self.running[number] = experiments.start(
                name, changes, self.plan.target, self.log(number), self.command
            )

    def _conclude(self, number: int) -> None:
        entry = experiments.result(self.name(number), self.plan.entry)
        if entry is None:
            self._fail(number, _last_line(self.log(number)))
            return
        value: Any = entry
        for key in self.plan.metric.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._fail(number, f"{self.plan.entry} holds no number {self.plan.metric}")
            return
        self.study.tell(number, float(value))
        best = self.study.best_trial
        self._say(
            f"{self.name(number)}: {self.plan.metric} {value:.4g}; best {self.name(best.number)}: {best.value:.4g}"
        )

    def _fail(self, number: int, reason: str) -> None:
        self.study._storage.set_trial_user_attr(self.trials[number]._trial_id, "reason", reason)
        self.study.tell(number, state=TrialState.FAIL)
        self._say(f"{self.name(number)}: failed: {reason}; see {self.log(number)}")

    def _say(self, text: str) -> None:
        done = sum(trial.state.is_finished() for trial in self._counted())
        print(f"[{done}/{self.plan.trials}] {text}", flush=True)

    def _counted(self) -> list[FrozenTrial]:
        """The trials that were begun and not tried again."""
        again = {trial.user_attrs.get("retry_of") for trial in self.trials}
        return [t for t in self.trials if t.number not in again and t.state != TrialState.WAITING]

    def failed(self) -> list[FrozenTrial]:
        """The trials that failed and were not tried again."""
        return [trial for trial in self._counted() if trial.state == TrialState.FAIL]

    def succeeded(self) -> list[FrozenTrial]:
        """Best first."""
        found = [trial for trial in self.trials if trial.state == TrialState.COMPLETE]
        return sorted(found, key=lambda trial: (trial.value or 0) * (1 if self.plan.minimize else -1))

    def name(self, number: int) -> str:
        """Of a trial's experiment."""
        return f"{self.plan.name}-{number + 1}"

    def log(self, number: int) -> Path:
        """What a trial's experiment said."""
        return self.folder / f"{self.name(number)}.log"

    def summary(self) -> str:
        """The trials, best first, then those that failed, with their logs."""
        lines = []
        for trial in self.succeeded():
            changes = _short([as_override(key, value) for key, value in trial.params.items()])
            lines.append(f"{self.name(trial.number):<16} {trial.value:8.4f}  {' '.join(changes)}")
        for trial in self.failed():
            reason = trial.user_attrs.get("reason", "")
            lines.append(f"{self.name(trial.number):<16}   failed  {reason}; see {self.log(trial.number)}")
        return "\n".join(lines)


def _distribution(dimension: Range | list[Any]) -> Distribution:
    if not isinstance(dimension, Range):
        return CategoricalDistribution(dimension)
    low, high = dimension.low, dimension.high
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, dimension.log)
    return FloatDistribution(low, high, dimension.log)


def _short(changes: list[str]) -> list[str]:
    return [change.rpartition(":")[2] for change in changes]


def _last_line(log: Path) -> str:
    lines = (
        [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if log.exists()
        else []
    )
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["it said nothing"])[-1].strip()
