"""What a recipe of this approach may say."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from common.augment import Name
from common.backbones import BackboneParams
from common.crops import View
from common.params import Params
from common.schedules import OptimizerParams, TrainerParams, WarmRestarts


class Normalize(Params):
    """Mean and standard deviation of each channel of the view, of pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]


class Recipe(Params):
    """One competing system of cells cut out one by one."""

    labels: Literal["image"]
    """What a cell learns from: the labels of its image."""
    view: View
    normalize: Normalize
    augment: tuple[Name, ...]
    backbone: BackboneParams
    loss: Literal["bce"]
    optimizer: OptimizerParams
    schedule: WarmRestarts
    trainer: TrainerParams

    @model_validator(mode="after")
    def _normalise_each_channel(self) -> "Recipe":
        if not len(self.normalize.mean) == len(self.normalize.std) == len(self.view.channels):
            raise ValueError("normalize.mean and normalize.std need one value for each of view.channels")
        return self
