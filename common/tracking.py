"""The one door to Weights & Biases. Without an account or a network, runs are kept in ``wandb/`` for ``wandb sync``.

``WANDB_MODE`` (online, offline, disabled) decides where it is set; else online if logged in, else offline. Nothing here
changes what a stage writes, so no stage depends on this file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

INIT_TIMEOUT_S = 20


class Run(Protocol):
    """What a stage may do with its run."""

    def log(self, data: dict[str, Any]) -> None:
        """Record metrics; ``epoch`` among them is the x axis."""


@contextmanager
def tracked_run(
    approach: str, recipe: str, stage: str, config: dict[str, Any], fold: int | None = None
) -> Iterator[Run]:
    """A run in the group ``approach/recipe``, finished however the block ends.

    Args:
        stage: the W&B job type.
        config: the parameters, as JSON could hold them.
    """
    import wandb

    part = "" if fold is None else f"-fold{fold}"
    experiment = {"exp": os.environ.get("DVC_EXP_NAME"), "baseline": os.environ.get("DVC_EXP_BASELINE_REV")}
    arguments: dict[str, Any] = {
        "project": os.environ.get("WANDB_PROJECT", "hpa-arena"),
        "group": f"{approach}/{recipe}",
        "job_type": stage,
        "name": f"{recipe}{part}",
        "tags": [f"approach:{approach}", f"recipe:{recipe}", *([f"fold:{fold}"] if part else [])],
        "config": {"approach": approach, "recipe": recipe, "fold": fold, "params": config, "dvc": experiment},
        # DVC's temporary experiments run in a folder that is deleted with them; DVC_ROOT is the real one.
        "dir": os.environ.get("DVC_ROOT", Path.cwd()),
    }
    run = _start(wandb, arguments)
    run.define_metric("*", step_metric="epoch")
    failed = True
    try:
        yield run
        failed = False
    finally:
        run.finish(exit_code=int(failed))


def _start(wandb: Any, arguments: dict[str, Any]) -> Any:
    quiet = wandb.Settings(console="off", silent=True, x_save_requirements=False, init_timeout=INIT_TIMEOUT_S)
    mode = os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False) else "offline")
    try:
        return wandb.init(mode=mode, settings=quiet, **arguments)
    except wandb.errors.CommError as error:
        print(f"W&B cannot be reached ({error}); this run is kept in wandb/: upload it later with wandb sync")
        return wandb.init(mode="offline", settings=quiet, **arguments)
