"""What the two networks of this approach are trained by, for the trainer that all approaches share."""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from approaches.cam_seg.losses import puzzle_loss, with_subcategories
from approaches.cam_seg.network import CamClassifier
from approaches.cam_seg.recipe import Recipe
from common.classes import CLASSES
from common.step import Step

PLACES = 8
"""A segmentation is judged on so many places along a side: at full size there are 8 million pixels a batch."""


class ClassifierStep(Step):
    """A round of the classifier: targets are (B, K), judged by the classes alone."""

    def __init__(self, network: CamClassifier, recipe: Recipe, name: str, first_epoch: int = 0) -> None:
        loss: Callable[[Tensor, Tensor], Tensor] = recipe.steps[name].loss
        if network.sub_classes is not None and recipe.subcategories is not None:
            loss = partial(with_subcategories, loss=loss, weight=recipe.subcategories.loss_weight)
        super().__init__(network, loss, name, first_epoch)
        self.puzzle = recipe.puzzle

    def training_loss(
        self, forward: Callable[..., Tensor], pixels: Tensor, targets: Tensor, share: float
    ) -> Tensor:
        """With a puzzle, the agreement of a picture with its tiles too."""
        if self.puzzle is None:
            return super().training_loss(forward, pixels, targets, share)
        asked = partial(puzzle_loss, targets=targets, loss=self.loss, params=self.puzzle, progress=share)
        return forward(pixels, asked)

    def judged(self, probabilities: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The columns of the classes."""
        return probabilities[:, : len(CLASSES)], targets[:, : len(CLASSES)]


class SegmenterStep(Step):
    """The U-Net: targets are (B, 20, H, W) uint8, judged place by place on a coarse grid, without the background."""

    def __init__(self, network: nn.Module, recipe: Recipe) -> None:
        of_floats = recipe.steps["segment"].loss
        super().__init__(network, lambda logits, planes: of_floats(logits, planes.float()), "segment")

    def judged(self, probabilities: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The means over each place, (B x 64, 19)."""
        coarse = [
            adaptive_avg_pool2d(each[:, : len(CLASSES)].float(), PLACES) for each in (probabilities, targets)
        ]
        rows = [each.permute(0, 2, 3, 1).flatten(0, 2) for each in coarse]
        return rows[0], rows[1]
