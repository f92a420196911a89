"""What a recipe says about its optimiser and about the learning rate over time."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts, LambdaLR, LRScheduler

from common.params import Params

Clock = Literal["epoch", "step"]
ADAM10 = ((1, 1.0), (3, 0.5), (5, 0.2), (7, 0.1), (9, 0.05))
"""System A's (23rd place) hand-made table "Adam10": from this epoch on, this share of the first rate, 1e-5."""


class OptimizerParams(Params):
    """The section ``optimizer`` of a recipe."""

    name: Literal["adam", "adamw", "sgd"]
    lr: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Of sgd alone; system C: 0.9."""

    @model_validator(mode="after")
    def _give_momentum_to_sgd(self) -> "OptimizerParams":
        if self.momentum and self.name != "sgd":
            raise ValueError(f"{self.name} takes no momentum; it belongs to sgd")
        return self

    def build(self, weights: Iterable[nn.Parameter], precision: str) -> Optimizer:
        """The optimiser of these weights.

        Args:
            weights: all of floating point.
            precision: that of the training. One kernel makes a step, in a sixth of the time on one thread of a CPU,
                but in 16-mixed, where Fabric could not measure the gradients.
        """
        fused = precision != "16-mixed"
        if self.name == "sgd":
            return SGD(weights, self.lr, self.momentum, weight_decay=self.weight_decay, fused=fused)
        kind = {"adam": Adam, "adamw": AdamW}[self.name]
        return kind(weights, self.lr, weight_decay=self.weight_decay, fused=fused)


class WarmRestarts(Params):
    """Cosine annealing with warm restarts, stepped by epoch (Loshchilov and Hutter 2017)."""

    first_period: int = Field(ge=1)
    period_factor: int = Field(ge=1)
    lowest_lr: float = Field(ge=0)


class EpochTable(Params):
    """The rate by a table of epochs, counted from 1; before the first epoch of the table it is ``optimizer.lr``.

    System A multiplies its table by a number: Adam10 x 4 is ``rows: adam10`` with ``optimizer.lr: 4e-5``.
    """

    rows: Literal["adam10"] | tuple[tuple[Annotated[int, Field(ge=1)], Annotated[float, Field(ge=0)]], ...]
    """Pairs of an epoch and the share of ``optimizer.lr`` that holds from it on; or the name of a table."""
    offset: int = Field(default=0, ge=0)
    """The table is entered so many epochs later: training goes on where another run ended."""

    @model_validator(mode="after")
    def _ascend(self) -> "EpochTable":
        if any(early >= late for (early, _), (late, _) in pairwise(self.table)):
            raise ValueError("the epochs of rows do not ascend")
        return self

    @property
    def table(self) -> tuple[tuple[int, float], ...]:
        """The rows, whether named or written out."""
        return ADAM10 if self.rows == "adam10" else self.rows

    def share(self, epoch: int) -> float:
        """The share of ``optimizer.lr`` in an epoch, counted from 0."""
        passed = [share for first, share in self.table if first <= epoch + 1 + self.offset]
        return passed[-1] if passed else 1.0


class Cosine(Params):
    """Half a cosine by epoch, from ``optimizer.lr`` down to ``lowest_lr``, where it stays.

    System E (46th place): over all epochs to 0, which the epoch after the last would have. System B (4th): over 15
    epochs to 1e-5, of a training of 16; its rate would rise again in a longer one.
    """

    lowest_lr: float = Field(default=0.0, ge=0)
    epochs: int | None = Field(default=None, ge=1)
    """Epochs from the highest to the lowest rate; as many as the training has, where not given."""

    def share(self, epoch: int, epochs: int, lr: float) -> float:
        """The share of ``lr`` in an epoch, counted from 0, of a training of ``epochs``."""
        lowest = self.lowest_lr / lr
        return lowest + (1 - lowest) * half_cosine(epoch / (self.epochs or epochs))


class WarmUpCosine(Params):
    """A straight line up to ``optimizer.lr``, then half a cosine down to 0, by step of the optimiser.

    System C (15th place), whose steps ignored accumulation and the number of GPUs. The first step is at 1 / warm-up
    steps of the rate: a step at rate 0 would be lost.
    """

    warmup: float = Field(default=0.1, ge=0, lt=1)
    """The share of all steps that goes up."""

    def share(self, step: int, steps: int) -> float:
        """The share of ``optimizer.lr`` at a step, counted from 0, of ``steps``."""
        rising = round(self.warmup * steps)
        return (step + 1) / rising if step < rising else half_cosine((step - rising) / max(steps - rising, 1))


class ScheduleParams(Params):
    """The section ``schedule`` of a recipe: exactly one of these."""

    warm_restarts: WarmRestarts | None = None
    table: EpochTable | None = None
    cosine: Cosine | None = None
    warmup_cosine: WarmUpCosine | None = None

    @model_validator(mode="after")
    def _name_one(self) -> "ScheduleParams":
        named = [name for name, schedule in self if schedule is not None]
        if len(named) != 1:
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"names {' and '.join(named) or 'none'}; name exactly one of {known}")
        return self


def half_cosine(share: float) -> float:
    """1 at 0, 0 from 1 on (Loshchilov and Hutter 2017, eq. 5)."""
    return (1 + math.cos(math.pi * min(share, 1.0))) / 2


def build_schedule(
    optimizer: Optimizer, params: ScheduleParams, epochs: int, steps: int
) -> tuple[LRScheduler, Clock]:
    """The rate over time, and what it is stepped by.

    All but the warm restarts are functions of the epoch or step alone: a checkpoint needs to hold only the clock.

    Args:
        epochs: of the whole training.
        steps: of the optimiser in the whole training.
    """
    lr = optimizer.param_groups[0]["lr"]
    if (restarts := params.warm_restarts) is not None:
        shape = (restarts.first_period, restarts.period_factor, restarts.lowest_lr)
        return CosineAnnealingWarmRestarts(optimizer, *shape), "epoch"
    if (table := params.table) is not None:
        return LambdaLR(optimizer, table.share), "epoch"
    if (cosine := params.cosine) is not None:
        return LambdaLR(optimizer, lambda epoch: cosine.share(epoch, epochs, lr)), "epoch"
    warmup = params.warmup_cosine
    assert warmup is not None, "checked by ScheduleParams"
    return LambdaLR(optimizer, lambda step: warmup.share(step, steps)), "step"
