"""What a recipe says about its training: one step or several, each with loss, optimiser, schedule and trainer."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from common.losses.recipe import LossParams
from common.params import Params
from common.sampling import SamplerParams, Shuffle
from common.schedules import OptimizerParams, ScheduleParams

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
Monitor = Literal["val/loss", "val/map", "val/macro_f1", "val/binned_accuracy", "val/soft_map"]


class TrainerParams(Params):
    """The section ``trainer`` of a step."""

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    """Items a batch, on all devices together."""
    precision: Precision
    seed: int = Field(ge=0)
    patience: int | None = Field(default=None, ge=0)
    """Epochs without a better ``monitor`` after which training stops; without a number it does not."""
    accumulate: int = Field(default=1, ge=1)
    """Batches a step of the optimiser. The gradient is the mean over their items, also where an epoch ends early."""
    clip_norm: float = Field(default=0.0, ge=0)
    """The gradient is made no longer than this; 0: left as it is."""
    ema: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the moving average of the weights, which is then validated and kept; 0: none."""
    swa_from: float | None = Field(default=None, ge=0, lt=1)
    """The share of the epochs after which the plain mean of the epochs' weights is validated and kept; C: 0.8."""
    monitor: Monitor = "val/loss"
    """What makes an epoch the best: the lowest loss, the highest of the others."""
    keep: Literal["best", "last"] = "best"
    """The weights that the network is left with."""
    top_k: int = Field(default=1, ge=1)
    """So many of the best epochs' weights are kept."""
    ensemble: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Weights of the last epochs, the last one's last, whose predictions are averaged; none: the network that ``keep``
    names predicts alone. A step that follows in the chain goes on from each of them."""
    channels_last: bool = False
    """Memory layout of the network and of the pictures: faster for convolutions in mixed precision."""
    devices: int = Field(default=1, ge=1)
    """GPUs a node."""
    nodes: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _fit_together(self) -> "TrainerParams":
        if self.batch_size % (self.devices * self.nodes):
            raise ValueError(
                f"batch_size {self.batch_size} cannot be divided among {self.devices * self.nodes} devices"
            )
        if self.ema and self.swa_from is not None:
            raise ValueError("ema and swa_from are two ways to average weights; choose one")
        if self.ensemble and (self.patience is not None or not any(self.ensemble)):
            raise ValueError(
                "ensemble needs a weight above 0, and no patience, by which its epochs may be missing"
            )
        if len(self.ensemble) > self.epochs:
            raise ValueError(f"ensemble has {len(self.ensemble)} weights for {self.epochs} epochs")
        return self

    @property
    def shares(self) -> list[float]:
        """Those of the networks that predict together; they add up to 1."""
        return [weight / sum(self.ensemble) for weight in self.ensemble if weight] or [1.0]


class TrainingStep(Params):
    """One step of a training."""

    loss: LossParams
    optimizer: OptimizerParams
    schedule: ScheduleParams
    trainer: TrainerParams
    sampler: SamplerParams = SamplerParams(shuffle=Shuffle())


Name = Annotated[str, Field(pattern=r"^\w+$")]
Chain = Annotated[dict[Name, TrainingStep], Field(min_length=1)]
"""The section ``steps`` of a recipe: named, in order; each goes on from the weights that the one before kept."""
