"""Trainings: one step or a chain of them, resumed where they were broken off."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn
from torch.utils.data import Dataset

from common.averaging import State, snapshot
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
        self.networks: list[tuple[float, State]] = keeper.networks
        """The shares, which add up to 1, and weights of the networks that predict together."""


class Learned(NamedTuple):
    """What a chain gave."""

    history: list[dict[str, Any]]
    """The metrics of all epochs of all steps."""
    networks: list[tuple[float, State]]
    """The shares, which add up to 1, and weights of the networks that predict together."""


def fit_chain(
    network: nn.Module,
    steps: Chain,
    train: Labelled | Mapping[str, Labelled],
    valid: Dataset[Any],
    scratch: Path,
    run: Run,
) -> Learned:
    """Train step by step, each from the weights that the one before kept; leave the network with those of the last.

    Where a step keeps an ensemble, the next is done from each of its networks.

    Args:
        train: what all steps learn from, or what each does, by its name.

    Raises:
        DataError: see ``fit``.
        MachineError: see ``fit``.
    """
    history: list[dict[str, Any]] = []
    networks = [(1.0, snapshot(network))]
    for name, params in steps.items():
        starts, networks = networks, []
        for number, (share, weights) in enumerate(starts):
            network.load_state_dict(weights)
            label = name if len(starts) == 1 else f"{name}-{number}"
            step = Step(network, params.loss, label, first_epoch=len(history))
            found = fit(
                step, train[name] if isinstance(train, Mapping) else train, valid, params, scratch, run
            )
            history += found
            networks += [(share * each, kept) for each, kept in found.networks]
    return Learned(history, networks)


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
