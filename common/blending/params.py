"""The section ``blend`` of params.yaml."""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from common.blending.mixing import Mix
from common.params import Params
from common.postprocess import Postprocess

Calibration = Literal["none", "platt", "isotonic", "rank"]
Objective = Literal["log_loss", "ap"]


class ImageTerm(Params):
    """An image-level probability multiplied into that of each of its cells: see ``mixing.with_image``."""

    source: Literal["none", "published", "cells"]
    """published: the mean of what members publish of images; cells: the blend's own mean over an image's cells."""
    weight: float = Field(ge=0, lt=1)
    """Exponent of the image's probability; that of the cell's is the rest. Unused where it is learned."""
    learn: Literal["none", "all", "class"]
    """Choose the weight on out-of-fold rows: never, one for all classes, one a class."""


class BlendParams(Params):
    """How members become one. Rank mean: ``calibration: rank`` with equal weights."""

    labels: str
    """What is learned from: data/images (every cell has its image's labels), or a labels table. Never truth."""
    stacked: Literal["leave_out", "weigh"] = "leave_out"
    """Members that learned from other systems' out-of-fold tables: these knew the labels of the fold that the member is
    weighed on, so that it looks better there than it is. ``fixed`` weights may name them all the same."""
    calibration: Calibration
    mix: Mix
    weights: Literal["equal", "convex", "greedy", "fixed"]
    fixed: dict[str, float] = Field(default_factory=dict)
    """Weights by member (approach/recipe) of sum 1, for ``weights: fixed``; members not named are left out."""
    objective: Objective
    shrink: float = Field(ge=0, le=1)
    """Learned weights are drawn towards equal ones: 0 as learned, 1 equal."""
    image: ImageTerm
    postprocess: Postprocess = Postprocess()
    """What follows, as in a recipe. The report is of the mix before it."""
    most_cells: int = Field(ge=100)
    """Out-of-fold cells that are learned from; of more, whole images are drawn."""
    seed: int = Field(ge=0)

    @field_validator("labels")
    @classmethod
    def _no_truth(cls, labels: str) -> str:
        if "truth" in Path(labels).parts:
            raise ValueError("a blend that learned from the truth could not be scored with it")
        return labels

    @model_validator(mode="after")
    def _fixed_fit(self) -> "BlendParams":
        if (self.weights == "fixed") != bool(self.fixed):
            raise ValueError("fixed holds weights by member for weights: fixed, and is empty otherwise")
        if self.fixed and (min(self.fixed.values()) < 0 or abs(sum(self.fixed.values()) - 1) > 1e-6):
            raise ValueError("fixed weights must not be negative and have the sum 1")
        return self
