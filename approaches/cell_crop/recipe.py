"""What a recipe of this approach may say."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from common.augment import Name
from common.backbones import BackboneParams
from common.params import Params
from common.training_params import Chain, TrainerParams
from common.views import View


class Normalize(Params):
    """Mean and standard deviation of each channel of the view, of pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]


class Recipe(Params):
    """One competing system of cells cut out one by one."""

    labels: Literal["image"]
    """What a cell learns from: the labels of its image."""
    view: View
    predict_view: View | None = None
    """Where a system predicts crops in another form than it learns from; validation sees this one, too."""
    normalize: Normalize
    augment: tuple[Name, ...]
    backbone: BackboneParams
    steps: Chain

    @model_validator(mode="after")
    def _normalise_each_channel(self) -> "Recipe":
        if not len(self.normalize.mean) == len(self.normalize.std) == len(self.view.channels):
            raise ValueError("normalize.mean and normalize.std need one value for each of view.channels")
        shapes = [(view.channels, view.size_px, view.bit_depth) for view in (self.view, self.seen_at_the_end)]
        if shapes[0] != shapes[1]:
            raise ValueError("predict_view needs the channels, size_px and bit_depth of view")
        return self

    @property
    def seen_at_the_end(self) -> View:
        """The view of validation and prediction."""
        return self.predict_view or self.view

    @property
    def trainer(self) -> TrainerParams:
        """That of the last step."""
        return list(self.steps.values())[-1].trainer

    @property
    def seed(self) -> int:
        """Of the initial weights and of augmentation."""
        return next(iter(self.steps.values())).trainer.seed
