"""What a recipe of this approach may say."""

from typing import Literal

from common.classifier import ClassifierRecipe
from common.field_data import FieldRecipe
from common.params import Params
from common.tta import Views


class CellParams(Params):
    """How a classifier of images speaks about cells."""

    scorer: Literal["tiled", "alone", "cam", "pooled"]
    """See ``scorers``."""
    views: Views = ("identity",)
    """Test-time views, of cells and images."""


class Recipe(ClassifierRecipe, FieldRecipe):
    """One competing system that learns from whole images."""

    cells: CellParams
    embeddings: bool = False
    """Whether the cells' features are published, too."""
