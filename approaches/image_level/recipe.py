"""What a recipe of this approach may say."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from common.augment import Augmentation
from common.backbones import BackboneParams
from common.fields import FieldView
from common.negative_class import NegativeRule
from common.params import Params
from common.training_params import Chain
from common.tta import Views


class Normalize(Params):
    """Mean and standard deviation of each channel of the view, of pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[Annotated[float, Field(gt=0)], ...]


class Head(Params):
    """From the map of features to one logit a class."""

    pool: Literal["avg", "avg+max"] = "avg"
    """The mean over the picture, or that and the highest value, side by side."""
    hidden: int = Field(default=0, ge=0)
    """Units of a layer before the last one, with batch normalisation and dropout on both sides; 0: none."""
    dropout: float = Field(default=0, ge=0, lt=1)


class CellParams(Params):
    """How a classifier of images speaks about cells."""

    scorer: Literal["tiled", "alone", "cam", "pooled"]
    """See ``scorers``."""
    views: Views = ("identity",)
    """Test-time views, of cells and images."""


class Recipe(Params):
    """One competing system that learns from whole images."""

    view: FieldView
    normalize: Normalize
    augment: tuple[Augmentation, ...]
    backbone: BackboneParams
    extra_stem_pool: bool = False
    """Another 2 x 2 max pooling behind the stem (system A), which makes pictures of 1024 px affordable."""
    head: Head = Head()
    steps: Chain
    cells: CellParams
    negative: NegativeRule = "output"
    embeddings: bool = False
    """Whether the cells' features are published, too."""

    @model_validator(mode="after")
    def _normalise_each_channel(self) -> "Recipe":
        if not len(self.normalize.mean) == len(self.normalize.std) == len(self.view.channels):
            raise ValueError("normalize.mean and normalize.std need one value for each of view.channels")
        return self
