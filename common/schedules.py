"""What a recipe says about its training: optimiser, learning rate over time, epochs."""

from typing import Literal

from pydantic import Field

from common.params import Params


class OptimizerParams(Params):
    """The section ``optimizer`` of a recipe."""

    name: Literal["adam", "adamw"]
    lr: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)


class WarmRestarts(Params):
    """Cosine annealing with warm restarts, stepped by epoch (Loshchilov and Hutter 2017)."""

    first_period: int = Field(ge=1)
    period_factor: int = Field(ge=1)
    lowest_lr: float = Field(ge=0)


class TrainerParams(Params):
    """The section ``trainer`` of a recipe."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    patience: int = Field(ge=0)
    """Epochs without a lower validation loss after which training stops."""
    precision: Literal["32-true", "16-mixed", "bf16-mixed"]
    seed: int = Field(ge=0)
