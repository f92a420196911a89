"""What a training trains on, and what it makes small."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn


class Labelled(Protocol):
    """A training set, indexed by ``(epoch, index)``: (pixels (C, H, W), targets, row).

    Targets are (classes,), or what the step's loss and ``judged`` know how to read.
    """

    targets: np.ndarray
    """(N, classes), for samplers."""

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any) -> tuple[Tensor, Tensor, int]: ...

    def name(self, row: int) -> str:
        """What a reader knows a row by: its image's id, and its cell's."""


class Step:
    """A network, the loss it learns by, and its place in a chain."""

    def __init__(
        self,
        network: nn.Module,
        loss: Callable[[Tensor, Tensor], Tensor],
        name: str = "train",
        first_epoch: int = 0,
    ) -> None:
        self.network, self.loss = network, loss
        self.name, self.first_epoch = name, first_epoch

    def training_loss(
        self, forward: Callable[..., Tensor], pixels: Tensor, targets: Tensor, share: float
    ) -> Tensor:
        """What is made small; a subclass may ask for more than the logits.

        Args:
            forward: the network, on as many devices as there are.
            share: of the step that is behind us, from 0.
        """
        return self.loss(forward(pixels), targets)

    def judged(self, probabilities: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What the metrics of validation compare, (n, classes) each; a subclass may choose columns or pool maps."""
        return probabilities, targets
