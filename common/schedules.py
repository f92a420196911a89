"""What a recipe says about its training: optimiser, learning rate over time, epochs."""

from typing import Literal

from common.params import Params


class OptimizerParams(Params):
    """The section ``optimizer`` of a recipe."""

    name: Literal["adam", "adamw"]
    lr: float
    weight_decay: float = 0.0


class WarmRestarts(Params):
    """Cosine annealing with warm restarts, stepped by epoch (Loshchilov and Hutter 2017)."""

    first_period: int
    period_factor: int
    lowest_lr: float


class TrainerParams(Params):
    """The section ``trainer`` of a recipe."""

    epochs: int
    batch_size: int
    patience: int
    """Epochs without a lower validation loss after which training stops."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"]
    seed: int
