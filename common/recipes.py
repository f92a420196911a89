"""What recipes of all approaches that train networks have in common."""

from typing import Annotated

from pydantic import Field

from common.augment import Augmentation
from common.backbones import BackboneParams
from common.params import Params
from common.postprocess import Postprocess
from common.training_params import Chain, TrainerParams


class Normalize(Params):
    """Mean and standard deviation of each channel of the view, of pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]

    def check(self, channels: int) -> None:
        """Refuse another number of values than of channels.

        Raises:
            ValueError: says what is needed.
        """
        if not len(self.mean) == len(self.std) == channels:
            raise ValueError("normalize.mean and normalize.std need one value for each of view.channels")


class NetworkRecipe(Params):
    """A competing system that trains a network in one step or several."""

    normalize: Normalize
    augment: tuple[Augmentation, ...]
    backbone: BackboneParams
    steps: Chain
    postprocess: Postprocess = Postprocess()

    @property
    def trainer(self) -> TrainerParams:
        """That of the last step."""
        return list(self.steps.values())[-1].trainer

    @property
    def seed(self) -> int:
        """Of the initial weights and of augmentation."""
        return next(iter(self.steps.values())).trainer.seed
