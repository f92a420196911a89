"""How a stage that trains begins and ends: one writer, a whole output or none, a scratch folder, a W&B run."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from common.costs import write_cost
from common.files import atomic, exclusive
from common.resuming import kept_until_success, scratch_path
from common.tracking import Level, Run, tracked_run

RANKS = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
"""What Lightning, torchrun and SLURM call the number of a process; a lone one has none, or 0."""


class Place(NamedTuple):
    """Where a training writes."""

    out: Path
    """A folder that takes the place of the stage's output when the block succeeds."""
    scratch: Path
    run: Run


class NoRun:
    """The run of all processes but the first."""

    def log(self, data: dict[str, Any]) -> None:
        """Say nothing: the first process does."""


@contextmanager
def training_run(
    approach: str,
    recipe: str,
    fold: int,
    config: dict[str, Any],
    out: Path,
    *inputs: Path,
    level: Level | None = None,
) -> Iterator[Place]:
    """Give a training its place; where several processes share a training, the first alone writes.

    Args:
        config: the parameters, as JSON could hold them.
        inputs: files that the training follows from, beside ``config`` and ``fold``.
        level: what is classified; W&B gets ``val/map`` also under the key that compares such trainings.

    Raises:
        MachineError: another process is writing ``out``, or runs the same training.
    """
    scratch = scratch_path(f"{approach}/{recipe}/fold-{fold}", json.dumps(config), *inputs)
    if any(os.environ.get(rank, "0") != "0" for rank in RANKS):
        with tempfile.TemporaryDirectory() as nowhere:
            yield Place(Path(nowhere), scratch, NoRun())
        return
    with (
        exclusive(out),
        atomic(out) as part,
        kept_until_success(scratch),
        tracked_run(approach, recipe, "train", config, fold, level) as run,
    ):
        part.mkdir()
        started = time.monotonic()
        yield Place(part, scratch, run)
        write_cost(part, time.monotonic() - started)
