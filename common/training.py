"""Trainings: one step or a chain of them, resumed where they were broken off."""

from pathlib import Path
from typing import Any

from torch import nn
from torch.utils.data import Dataset

from common.averaging import State
from common.devices import build_fabric
from common.engine import quiet_lightning
from common.epochs import Training
from common.keeping import Keeper
from common.resuming import Checkpoint, StopSignals
from common.step import Labelled, Step
from common.tracking import Run
from common.training_params import Chain, TrainingStep


class History(list[dict[str, Any]]):
    """A row an epoch, and the weights that were kept."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__(keeper.history)
        self.kept: list[tuple[float, State]] = keeper.kept
        """The value of ``trainer.monitor`` and the weights of the ``trainer.top_k`` best epochs, best first."""
        self.last: State = keeper.last
        """The weights of the last epoch."""


def fit_chain(
    network: nn.Module, steps: Chain, train: Labelled, valid: Dataset[Any], scratch: Path, run: Run
) -> list[dict[str, Any]]:
    """Train step by step, each from the weights that the one before kept; leave the network with those of the last.

    Returns:
        The metrics of all epochs of all steps.

    Raises:
        DataError: see ``fit``.
        MachineError: see ``fit``.
    """
    history: list[dict[str, Any]] = []
    for name, params in steps.items():
        step = Step(network, params.loss, name, first_epoch=len(history))
        history += fit(step, train, valid, params, scratch, run)
    return history


def fit(
    step: Step, train: Labelled, valid: Dataset[Any], params: TrainingStep, scratch: Path, run: Run
) -> History:
    """Train ``step.network`` and leave it with the weights that ``params.trainer.keep`` names.

    Killed at any moment and called again with the same arguments, it ends at the same weights, bit by bit.

    Args:
        valid: as ``train``, but indexed by a number alone.
        scratch: a folder for checkpoints.

    Raises:
        DataError: loss or gradient became NaN or infinite, which names the items of the batch; ``monitor`` is NaN.
        MachineError: there are fewer devices than the recipe asks for.
        SystemExit: SIGTERM or Ctrl-C came; a checkpoint is written.
    """
    quiet_lightning()
    fabric = build_fabric(params.trainer)
    with StopSignals() as signals:
        training = Training(fabric, step, params, train, valid)
        training.run(Checkpoint(scratch / f"{step.name}.ckpt"), signals, run)
    step.network.load_state_dict(training.keeper.chosen)
    return History(training.keeper)
