"""What a recipe says about its loss: a weighted sum of published ones."""

from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor

from common.classes import CLASSES
from common.losses.entrywise import Reduction, alpha_gamma, bce, focal
from common.losses.hard import hard_log, hard_log_symmetric
from common.losses.lovasz import symmetric_lovasz
from common.params import Params

Share = Annotated[float, Field(ge=0, le=1)]
ClassId = Annotated[int, Field(ge=0, lt=len(CLASSES))]


class Term(Params):
    """What all terms have."""

    weight: float = Field(default=1.0, gt=0)


class Bce(Term):
    """See ``bce``."""

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return bce(logits, targets)


class Focal(Term):
    """See ``focal``."""

    gamma: float = Field(default=2.0, ge=0)
    modulation: Literal["margin", "loss"] = "margin"
    reduction: Reduction = "sum_classes"

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return focal(logits, targets, self.gamma, self.modulation, self.reduction)


class Special(Params):
    """Classes with numbers of their own; system E: Nuclear membrane and Mitotic spindle, 0.25 and 1.5."""

    classes: tuple[ClassId, ...] = Field(min_length=1)
    alpha: Share
    gamma: float = Field(ge=0)


class AlphaGamma(Term):
    """See ``alpha_gamma``; the defaults are what system E calls BCE."""

    alpha: Share = 0.5
    gamma: float = Field(default=0.0, ge=0)
    reduction: Reduction = "mean"
    special: Special | None = None

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.special is None:
            return alpha_gamma(logits, targets, self.alpha, self.gamma, self.reduction)
        alpha, gamma = (logits.new_full((logits.shape[1],), each) for each in (self.alpha, self.gamma))
        special = list(self.special.classes)
        alpha[special], gamma[special] = self.special.alpha, self.special.gamma
        return alpha_gamma(logits, targets, alpha, gamma, self.reduction)


class Lovasz(Term):
    """See ``symmetric_lovasz``."""

    over: Literal["batch", "classes"] = "batch"

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return symmetric_lovasz(logits, targets, self.over)


class Mined(Term):
    """Which targets are positives and which negatives, for losses that mine hard ones."""

    positive_from: float = Field(default=0.5, gt=0, le=1)
    negative_below: float = Field(default=0.5, gt=0, le=1)

    @model_validator(mode="after")
    def _part_the_targets(self) -> "Mined":
        if self.negative_below > self.positive_from:
            raise ValueError("negative_below is above positive_from: a target would be both")
        return self

    @property
    def thresholds(self) -> tuple[float, float]:
        """As the functions want them."""
        return self.negative_below, self.positive_from


class HardLog(Mined):
    """See ``hard_log``."""

    more: int = Field(default=2, ge=1)
    least: Share = 0.5
    most: Share = 0.7

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return hard_log(logits, targets, self.more, self.least, self.most, self.thresholds)


class HardLogSymmetric(Mined):
    """See ``hard_log_symmetric``."""

    share: Share = 0.2
    at_least: int = Field(default=2, ge=1)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return hard_log_symmetric(logits, targets, self.share, self.at_least, self.thresholds)


class LossParams(Params):
    """The section ``loss`` of a recipe: the terms it names, each with a weight and its constants, are summed.

    ``loss: {focal: {weight: 0.5}, lovasz: {weight: 0.5}, hard_log: {weight: 0.5}}`` is that of system A.
    """

    bce: Bce | None = None
    focal: Focal | None = None
    alpha_gamma: AlphaGamma | None = None
    lovasz: Lovasz | None = None
    hard_log: HardLog | None = None
    hard_log_symmetric: HardLogSymmetric | None = None

    @model_validator(mode="after")
    def _name_a_loss(self) -> "LossParams":
        if all(term is None for _, term in self):
            raise ValueError(f"names no loss; name at least one of {', '.join(type(self).model_fields)}")
        return self

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The weighted sum for logits and targets (B, C); NaN targets are unknown and do not count."""
        losses = [term.weight * term.loss(logits, targets) for _, term in self if term is not None]
        total: Tensor = sum(losses[1:], losses[0])
        return total
