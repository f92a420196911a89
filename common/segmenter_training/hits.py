"""How well a segmenter finds cells whose masks are known."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from common.metrics.overlap import overlap_matrix
from common.simulate.fields import simulate_field
from common.simulate.samples import SimulateParams, plan

MIN_IOU = 0.6
"""The competition's: a cell counts as found where its mask overlaps the true one so much."""

HELD_OUT_SEED = 1_000_003
"""Of the simulated fields that a network is judged on; none of its training."""


@dataclass(frozen=True)
class Hits:
    """Cells there are, cells that were said to be there, and how many of these are the former."""

    cells: int
    found: int
    matched: int

    @property
    def recall(self) -> float:
        """Share of the true cells that were found, NaN where there are none."""
        return self.matched / self.cells if self.cells else float("nan")

    @property
    def precision(self) -> float:
        """Share of what was found that is a cell, NaN where nothing was found."""
        return self.matched / self.found if self.found else float("nan")


def count_hits(pairs: Iterable[tuple[np.ndarray, np.ndarray]], min_iou: float = MIN_IOU) -> Hits:
    """Count over pairs of found and true cell masks, (H, W) unsigned integers each.

    Above an IoU of .5 a cell has one match at most.
    """
    sizes = []
    for found, truth in pairs:
        iou = overlap_matrix(found, truth).iou
        sizes.append((iou.shape[1], iou.shape[0], int((iou >= min_iou).sum())))
    return Hits(*(sum(column) for column in zip(*sizes, strict=True)))


def judge(segment: Callable[[np.ndarray], np.ndarray], fields: int, difficulty: float) -> Hits:
    """Count on simulated fields of one difficulty.

    Args:
        segment: image (4, H, W) uint8 to cell mask (H, W) uint16.
    """
    params = SimulateParams(
        fields=fields, test_fields=0, seed=HELD_OUT_SEED, difficulty=difficulty, duplicates=0
    )
    drawn = (simulate_field(entry, params) for entry in plan(params))
    return count_hits((segment(field.image), field.cells) for field in drawn)
