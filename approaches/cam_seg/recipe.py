"""What a recipe of this approach may say; defaults are the values of system C (15th place) unless said otherwise."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from common.classes import CLASSES
from common.field_data import FieldRecipe
from common.params import Params
from common.tta import Views

Share = Annotated[float, Field(ge=0, le=1)]
Confidence = Literal["max", "mean", "cam_rate", "cam_rate_mean"]
"""A class' probability x the map's maximum, or the mean of what is above 0, in the cell; with ``rate`` x coverage.

System C made its pseudo labels by ``cam_rate`` and its submission by ``cam_rate_mean``.
"""


class SegmenterParams(Params):
    """The U-Net that learns pseudo masks."""

    encoder: str
    """A name that segmentation-models-pytorch knows, like ``resnet50``."""
    pretrained: bool
    decoder_channels: tuple[Annotated[int, Field(ge=1)], ...] = (256, 128, 64, 32, 16)


class SubcategoryParams(Params):
    """Sub-labels by clusters of features (SC-CAM, Chang et al. 2020)."""

    clusters: int = Field(default=10, ge=2)
    """Of each class."""
    scale: bool = True
    """Whether features are brought to mean 0 and standard deviation 1 over the images of the class."""
    iterations: int = Field(default=300, ge=1)
    starts: int = Field(default=10, ge=1)
    """So many runs from other centres, the tightest counts; what scikit-learn did in 2021 unless told."""
    seed: int = 0
    most_images: int = Field(default=50_000, ge=1)
    """A class finds its centres on so many images at most, drawn by ``seed`` (ours). Bounds time, and memory: twice
    their features in single precision, 0.8 GB of 2048 features."""
    views: tuple[Views, ...] = Field(default=(("identity",),), min_length=1)
    """Features are averaged over the views of a group; groups are joined. C's option with two scales:
    ``[[identity, hflip], [scale=1.2, scale=1.2+hflip]]`` with ``unit_length``."""
    unit_length: bool = False
    """Whether the features of a view are brought to length 1."""
    loss_weight: float = Field(default=5.0, gt=0)
    """Of the loss over sub-classes beside that over classes."""


class PuzzleParams(Params):
    """Consistency of a picture's maps with those of its tiles (Puzzle-CAM, Jo and Yu 2021)."""

    splits: int = Field(default=2, ge=2)
    """Tiles along a side: 2 is four tiles."""
    tile_weight: float = Field(default=1.0, ge=0)
    """Of the classification of tiles by the labels of their picture."""
    tiles: Literal["each", "merged"] = "each"
    """Whether each tile answers for its picture's labels (C), or their merged features do (Puzzle-CAM)."""
    most_weight: float = Field(default=4.0, ge=0)
    """Of the reconstruction, at the end of the ramp. C's published numbers are in effect those of 0: its code compared
    the maps of the whole picture with themselves."""
    ramp: Share = 0.5
    """The share of training over which that weight rises from 0."""
    target: Literal["cam", "features"] = "cam"
    """What has to agree: normalised maps, or features."""
    labels: Literal["ones", "given"] = "ones"
    """Whether the maps of all classes have to agree, or those of the picture's labels only."""
    sub: bool = False
    """Whether the maps of sub-classes have to agree, too."""


class FairParams(Params):
    """Single masked cells among the tiles of a training picture (fair activation, 1st place; values are ours)."""

    splits: int = Field(default=2, ge=1)
    """Tiles along a side."""
    share: Share = 0.5
    """The probability that a tile gives way to a cell."""


class MapParams(Params):
    """Class activation maps."""

    size_px: int = Field(default=64, ge=1)
    """Of a map on disk; a network of stride 32 gives 16 to 22 places to a side of 512 px (ours: bounds the cache)."""
    epsilon: float = Field(default=1e-5, gt=0)
    """Added to a map's maximum before the map is divided by it."""
    zero: float = Field(default=1e-6, ge=0)
    """Values up to this become 0."""
    views: Views = (
        *("identity", "hflip", "vflip"),
        *("scale=1.2", "scale=1.2+hflip", "scale=1.2+vflip"),
        *("scale=1.4", "scale=1.4+hflip", "scale=1.4+vflip"),
    )


class Member(Params):
    """A network's part in an ensemble."""

    weight: float = Field(gt=0)
    role: Literal["both", "maps", "probabilities"]
    """What it gives; C's U-Nets give maps only."""


class CellLabelParams(Params):
    """Which classes a cell shows, by maps."""

    size_px: int = Field(default=512, ge=1)
    """Maps and masks are brought to this size."""
    least_side: float = Field(default=0.01, ge=0)
    """A cell or nucleus is looked at if its area is above the square of this share of the picture's side."""
    probability_from: float = Field(default=0.01, gt=0, le=1)
    """Classes of the image from this probability on are looked for."""
    high: float = Field(default=0.75, ge=0, le=1)
    """The map is strongly active from here on."""
    coverage: Share = 0.10
    """A class is kept where its map is active in this share of the cell,"""
    high_coverage: Share = 0.04
    """or strongly active in this one."""
    nucleus: Literal["same", "own"] = "same"
    """Whether the shares are the larger of cell and nucleus; or the nucleus alone may keep a class, by the next two."""
    nucleus_coverage: Share = 0.2
    nucleus_high_coverage: Share = 0.08
    least_green: float = Field(default=1.0, ge=0)
    """A cell whose mean protein channel (8 bit) is below this shows nothing."""
    confidence: Confidence = "cam_rate"
    background_rule: bool = True
    """Whether Negative excludes other classes of a cell: on for pseudo labels, off for C's submission."""
    negative: Share = 0.75
    """The confidence of Negative in a cell where no map is active."""


class PseudoMaskParams(Params):
    """What the U-Net learns."""

    threshold: Share = 0.225
    """A cell shows the classes with at least this confidence; C tuned it on the public leaderboard (0.15 before)."""


class Ensemble(Params):
    """The part of each kind of network in the prediction; folds have equal parts of it."""

    classifier: Member = Member(weight=0.5, role="both")
    segmenter: Member = Member(weight=0.5, role="maps")


class Recipe(FieldRecipe):
    """A competing system that goes from maps over pseudo masks to a segmentation network.

    Its steps are ``round_0`` and ``round_1`` of the classifier, and ``segment``.
    """

    subcategories: SubcategoryParams | None
    """Without them round 1 is off, and the classifier is that of round 0."""
    round_1_from: Literal["backbone", "round_0"] = "backbone"
    """Round 1 starts anew, like the published commands; or from the weights of round 0."""
    puzzle: PuzzleParams | None = None
    fair: FairParams | None = None
    maps: MapParams = MapParams()
    pseudo_maps: Literal["out_of_fold", "in_fold"] = "out_of_fold"
    """Whether the maps of a training image come from the classifier that did not see it, or, as published, from those
    that did."""
    pseudo: CellLabelParams = CellLabelParams()
    """How training images' cells are labelled."""
    pseudo_masks: PseudoMaskParams = PseudoMaskParams()
    segmenter: SegmenterParams
    segmenter_views: Views = ("identity", "hflip", "vflip")
    cells: CellLabelParams = CellLabelParams(confidence="cam_rate_mean", background_rule=False)
    """How cells are predicted."""
    ensemble: Ensemble = Ensemble()

    @model_validator(mode="after")
    def _name_the_steps(self) -> "Recipe":
        if tuple(self.steps) != ("round_0", "round_1", "segment"):
            raise ValueError(
                "steps are round_0, round_1 and segment; `subcategories: null` turns round_1 off"
            )
        return self

    @model_validator(mode="after")
    def _one_network_a_step(self) -> "Recipe":
        if named := [name for name, step in self.steps.items() if step.trainer.ensemble]:
            raise ValueError(
                f"steps.{named[0]}.trainer.ensemble has no effect here; swa_from averages weights"
            )
        return self

    @property
    def sub_classes(self) -> int:
        """Outputs of the final classifier beside those of the classes."""
        return len(CLASSES) * self.subcategories.clusters if self.subcategories else 0
