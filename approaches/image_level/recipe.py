"""What a recipe of this approach may say."""

from typing import Literal

from pydantic import Field

from common.field_data import FieldRecipe
from common.params import Params
from common.tta import Views


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


class Recipe(FieldRecipe):
    """One competing system that learns from whole images."""

    extra_stem_pool: bool = False
    """Another 2 x 2 max pooling behind the stem (system A), which makes pictures of 1024 px affordable."""
    head: Head = Head()
    cells: CellParams
    embeddings: bool = False
    """Whether the cells' features are published, too."""
