"""Means of a network's weights over time, which often judge better than any of them."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


def snapshot(network: nn.Module) -> State:
    """A copy of the weights, in main memory."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


class Average:
    """A moving average by step (``ema``), or the plain mean over the last epochs (``swa_from``), or neither.

    Running statistics of batch normalisation are averaged as the weights are.
    """

    def __init__(self, ema: float, swa_from: float | None, epochs: int) -> None:
        self.ema, self.first_epoch = ema, epochs if swa_from is None else swa_from * epochs
        self.weights: State = {}
        self.count = 0

    def after_step(self, network: nn.Module) -> None:
        """Take the weights in, if each step counts.

        The decay rises with the steps, as in TensorFlow's ``ExponentialMovingAverage``, else the first weights would
        linger.
        """
        if self.ema:
            self._add(network, 1 - min(self.ema, (1 + self.count) / (10 + self.count)))

    def after_epoch(self, network: nn.Module, epoch: int) -> None:
        """Take the weights in, if this epoch, counted from 0, counts."""
        if epoch >= self.first_epoch:
            self._add(network, 1 / (self.count + 1))

    def _add(self, network: nn.Module, share: float) -> None:
        now = network.state_dict()
        if not self.weights:
            self.weights = {name: value.detach().clone() for name, value in now.items()}
        for name, value in now.items():
            if value.is_floating_point():
                self.weights[name].lerp_(value.detach(), share)
            else:
                self.weights[name].copy_(value)
        self.count += 1

    def applied_to(self, network: nn.Module) -> nn.Module:
        """A copy of the network with the average as its weights; the network itself where there is no average."""
        if not self.weights:
            return network
        averaged = deepcopy(network)
        averaged.load_state_dict(self.weights)
        return averaged

    def state_dict(self) -> dict[str, Any]:
        """All that changes."""
        return {"weights": self.weights, "count": self.count}

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take back what ``state_dict`` gave."""
        self.weights = {name: value.to(device) for name, value in state["weights"].items()}
        self.count = state["count"]
