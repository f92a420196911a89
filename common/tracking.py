"""The one door to Weights & Biases. Without account or network, runs are kept in ``wandb/`` for ``hpa track sync``.

``WANDB_MODE`` (online, offline, disabled) decides where it is set; else online if logged in and the server answers,
else offline. Nothing here changes what a stage writes, so no stage depends on this file.

A run's group is ``approach/recipe``, its job type the stage. Its keys mean the same everywhere:

========================  ==========================================================================================
``val/map_iou60``         the competition's mAP of out-of-fold predictions (score)
``val/map_cell_weak``     mean average precision of held-out cells against what labels say of them (score, training)
``val/map_image``         the same of held-out images (score, training)
``test/...``              these of the test part (score)
``<stage>/seconds``       what the stage took
========================  ==========================================================================================
"""

import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal, Protocol

from common.errors import MachineError, ParamsError
from common.files import exclusive
from common.redaction import redacted, redacted_words

ANSWER_S, INIT_S, FINISH_S = 3, 10, 20
"""How long a server may take to answer at all, to open a run, and to take what is left of it at the end."""
MODES = ("online", "offline", "disabled")
PROJECT = "hpa-arena"
UNSENT = "unsent"
"""A file in the folder of an online run whose end the server did not take."""
LOCKED = "run"
"""What a run holds in its folder while it is written, see ``common.files.exclusive``."""

Level = Literal["cells", "images"]
MAP_OF: dict[Level, str] = {"cells": "val/map_cell_weak", "images": "val/map_image"}
"""The key that compares trainings with each other and with scores, by what is classified."""


class Run(Protocol):
    """What a stage may do with its run."""

    def log(self, data: dict[str, Any]) -> None:
        """Record metrics; ``epoch`` among them is the x axis."""


class _Recorded:
    """A W&B run that records no secret, and ``val/map`` also under the key of its level."""

    def __init__(self, run: Any, level: Level | None) -> None:
        self.run, self.level = run, level

    def log(self, data: dict[str, Any]) -> None:
        known = {MAP_OF[self.level]: data["val/map"]} if self.level and "val/map" in data else {}
        self.run.log(redacted(data | known))


@contextmanager
def tracked_run(
    approach: str,
    recipe: str,
    stage: str,
    config: dict[str, Any],
    fold: int | None = None,
    level: Level | None = None,
) -> Iterator[Run]:
    """A run in the group ``approach/recipe``, finished however the block ends.

    Args:
        stage: the W&B job type.
        config: the parameters, as JSON could hold them.
        level: what a training classifies, if its validation tells ``val/map``.

    Raises:
        ParamsError: ``WANDB_MODE`` is none that there is.
    """
    import wandb

    run = _start(wandb, _described(approach, recipe, stage, config, fold))
    run.define_metric("*", step_metric="epoch")
    started, failed = time.monotonic(), True
    folder = Path(run.dir).parent
    with nullcontext() if run.disabled else exclusive(folder / LOCKED):
        try:
            yield _Recorded(run, level)
            failed = False
        finally:
            run.log({f"{stage}/seconds": time.monotonic() - started})
            _finish(run, folder, int(failed))


def _described(
    approach: str, recipe: str, stage: str, config: dict[str, Any], fold: int | None
) -> dict[str, Any]:
    part = "" if fold is None else f"-fold{fold}"
    experiment = os.environ.get("DVC_EXP_NAME", "")
    sweep = sweep_of(experiment)
    tags = [f"approach:{approach}", f"recipe:{recipe}", f"stage:{stage}"]
    tags += ([f"fold:{fold}"] if part else []) + ([f"sweep:{sweep}"] if sweep else [])
    known = {
        "approach": approach,
        "recipe": recipe,
        "stage": stage,
        "fold": fold,
        "sweep": sweep,
        "params": redacted(config),
        "dvc": {
            "exp": experiment or None,
            "baseline": os.environ.get("DVC_EXP_BASELINE_REV"),
            "rev": _git("rev-parse", "HEAD"),
            "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        },
        "command": redacted_words(sys.argv),
    }
    return {
        "project": os.environ.get("WANDB_PROJECT", PROJECT),
        "group": f"{approach}/{recipe}",
        "job_type": stage,
        "name": "-".join([*([experiment] if experiment else []), f"{recipe}{part}"]),
        "tags": [tag[:64] for tag in tags],  # a longer tag is an error
        "config": known,
        # DVC's temporary experiments run in a folder that is deleted with them; DVC_ROOT is the real one.
        "dir": os.environ.get("DVC_ROOT", Path.cwd()),
    }


def sweep_of(experiment: str) -> str | None:
    """The sweep that a DVC experiment belongs to: ``lr`` for ``lr-3``, as queued grids and searches name theirs."""
    found = re.fullmatch(r"(.+)-\d+", experiment)
    return found[1] if found else None


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=30)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.strip()


def _start(wandb: Any, arguments: dict[str, Any]) -> Any:
    # W&B's own metadata hold the command line as it was given, and the address of the git remote.
    quiet = wandb.Settings(
        console="off",
        silent=True,
        x_save_requirements=False,
        x_disable_meta=True,
        disable_git=True,
        disable_code=True,
        init_timeout=INIT_S,
        finish_timeout=FINISH_S,
        finish_timeout_raises=True,
    )
    mode = _mode()
    if mode == "online" and not _answers(wandb.setup().settings.base_url):
        _say_kept("the server does not answer")
        mode = "offline"
    try:
        return wandb.init(mode=mode, settings=quiet, **arguments)
    except (wandb.errors.CommError, wandb.errors.UsageError) as error:
        if mode != "online":
            raise
        _say_kept(str(error).splitlines()[0])
        return wandb.init(mode="offline", settings=quiet, **arguments)


def _mode() -> str:
    mode = os.environ.get("WANDB_MODE")
    if mode is None:
        return "online" if logged_in() else "offline"
    if mode not in MODES:
        raise ParamsError(f"WANDB_MODE is {mode!r}, expected {', '.join(MODES[:-1])} or {MODES[-1]}")
    return mode


def logged_in() -> bool:
    """Whether there is a key for W&B. Never asks for one, nor the server about it."""
    import wandb

    try:
        return bool(wandb.login(prompt=False, verify=False))
    except wandb.errors.AuthenticationError as error:
        print(f"W&B: {redacted(str(error))}; this run stays here")
        return False


@contextmanager
def server_faults() -> Iterator[None]:
    """Say in one line what W&B did not do.

    Raises:
        MachineError: instead of W&B's own errors.
    """
    import wandb

    try:
        yield
    except wandb.errors.Error as error:
        raise MachineError(
            f"W&B: {redacted(str(error))}; try again later, or: wandb login --relogin"
        ) from None


def _answers(server: str) -> bool:
    """Whether a server answers at all, be it with a refusal; W&B itself would try for minutes."""
    found = threading.Event()

    def ask() -> None:
        try:
            urllib.request.urlopen(server, timeout=ANSWER_S).close()
        except urllib.error.HTTPError as error:
            if error.code >= 500:
                return
        except (OSError, ValueError):
            return
        found.set()

    asking = threading.Thread(target=ask, daemon=True)  # looking up a name has no time limit of its own
    asking.start()
    asking.join(ANSWER_S)
    return found.is_set()


def _finish(run: Any, folder: Path, exit_code: int) -> None:
    try:
        run.finish(exit_code=exit_code)
    except TimeoutError:
        (folder / UNSENT).touch()
        _say_kept("the server no longer answers")


def _say_kept(why: str) -> None:
    print(f"W&B: {redacted(why)}; this run is kept in wandb/: send it later with hpa track sync", flush=True)
