"""Which true object each detection of one image looks at: by overlap alone, before any score is compared."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from common.classes import CLASSES

Mode = Literal["mask_all", "mask_gt"]
MODES: tuple[Mode, ...] = get_args(Mode)
IOU_THRESHOLD = np.float32(0.6)


@dataclass(frozen=True)
class Detections:
    """The detections of one image, those with an empty mask left out.

    Attributes:
        class_id: (n,) int, 0 to 18.
        score: (n,) float64, finite.
        mask: (n,) int, the row of ``Truth.overlap`` that holds the detection's mask.
    """

    class_id: np.ndarray
    score: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class Truth:
    """The true objects of one image: a cell of k classes is k objects.

    Attributes:
        class_id: (T,) int, 0 to 18.
        group_of: (T,) bool, objects that stand for a group: not counted, they only excuse detections.
        overlap: (M, T) float32, intersection over union of M distinct masks with an object, for a group the
            covered share of the mask.
        named: (19,) bool, classes that the truth speaks of in this image.
    """

    class_id: np.ndarray
    group_of: np.ndarray
    overlap: np.ndarray
    named: np.ndarray


@dataclass(frozen=True)
class Matches:
    """What the counted detections of one image look at.

    Attributes:
        class_id: (n,) int.
        score: (n,) float64.
        target: (n,) int, the ordinary object that the detection would take, -1 for none.
        in_group: (n,) bool, the detection lies in a group of its class: never a false positive.
        n_truth: (19,) int, ordinary objects of each class.
    """

    class_id: np.ndarray
    score: np.ndarray
    target: np.ndarray
    in_group: np.ndarray
    n_truth: np.ndarray


def match_image(detections: Detections, truth: Truth, mode: Mode = "mask_all") -> Matches:
    """Find what each detection of one image looks at.

    Args:
        detections: in the order that decides ties, see the module.
        truth: the image's objects; of equal overlaps the first object wins.
        mode: "mask_all" counts every detection, "mask_gt" only those of classes that the truth names here.
    """
    counted = np.ones(len(CLASSES), dtype=bool) if mode == "mask_all" else truth.named
    keep = counted[detections.class_id]
    class_id, mask = detections.class_id[keep], detections.mask[keep]
    ordinary, group = np.flatnonzero(~truth.group_of), np.flatnonzero(truth.group_of)
    target = _targets(truth.overlap[:, ordinary], truth.class_id[ordinary])
    in_group = _targets(truth.overlap[:, group], truth.class_id[group]) >= 0
    return Matches(
        class_id,
        detections.score[keep],
        target[mask, class_id],
        in_group[mask, class_id],
        np.bincount(truth.class_id[ordinary], minlength=len(CLASSES)),
    )


def _targets(overlap: np.ndarray, truth_class: np.ndarray) -> np.ndarray:
    """(M, 19) the object that each mask would take as a detection of each class, -1 for none."""
    table = np.full((len(overlap), len(CLASSES)), -1)
    for class_id in np.unique(truth_class):
        columns = np.flatnonzero(truth_class == class_id)
        most = overlap[:, columns].argmax(axis=1)
        enough = overlap[np.arange(len(overlap)), columns[most]] >= IOU_THRESHOLD
        table[:, class_id] = np.where(enough, columns[most], -1)
    return table
