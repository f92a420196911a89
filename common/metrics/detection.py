"""The competition's score: mean average precision of instance masks at IoU 0.6.

The rules are those of the Open Images evaluator in TensorFlow's Object Detection API. A detection looks only
at the ordinary object of its class that it overlaps most (the first of equals); if another detection took it,
this one is false. So an object's true positive is the first detection, in the order of scores, that looks at
it, and all images are matched at once, without a loop over detections.

Ties. Equal scores have no defined order in the reference. The plain value repeats what the reference does:
numpy's default ``argsort``, reversed, first over an image's detections of a class in the order given, then
over all images in the order given. The same input on the same kind of processor gives the same value; numpy
sorts ties differently with AVX-512, with AVX2 (only from 257 detections of a class on) and without both. The
bounds ``best`` and ``worst`` are reached by some order and depend on none; without ties all three are equal.
"""

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Result:
    """Scores of a set of images. A class without truth has average precision NaN.

    Attributes:
        AP, AP_best, AP_worst: (19,) average precision, plain and at its bounds over the order of ties.
        num_gt, num_det, num_tp: (19,) int, ordinary objects, detections without the ignored, true positives.
    """

    AP: np.ndarray
    AP_best: np.ndarray
    AP_worst: np.ndarray
    num_gt: np.ndarray
    num_det: np.ndarray
    num_tp: np.ndarray

    @property
    def mAP(self) -> float:
        """Mean over the classes with truth; NaN where there is none."""
        return _mean(self.AP)

    @property
    def mAP_19(self) -> float:
        """The same sum over all 19 classes, as the competition's board divided."""
        return self.mAP * int(np.count_nonzero(self.num_gt)) / len(CLASSES)

    @property
    def best(self) -> float:
        """The highest ``mAP`` that an order of the ties can give."""
        return _mean(self.AP_best)

    @property
    def worst(self) -> float:
        """The lowest ``mAP`` that an order of the ties can give."""
        return _mean(self.AP_worst)


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


def evaluate(images: Sequence[Matches]) -> Result:
    """Score all images together.

    Args:
        images: one entry an image, in the order that decides ties (the reference's is that of ascending ids).
    """
    num_gt = np.zeros(len(CLASSES), dtype=np.int64)
    for image in images:
        num_gt += image.n_truth
    pooled = _pool(images)
    rows = [_evaluate_class(pooled.of_class(k), int(num_gt[k])) for k in range(len(CLASSES))]
    plain, best, worst, num_det, num_tp = (np.array(column) for column in zip(*rows, strict=True))
    return Result(plain, best, worst, num_gt, num_det, num_tp)


def average_precision(hits: np.ndarray, n_truth: int) -> float:
    """Area under the precision envelope, all points (VOC 2010).

    Args:
        hits: (n,) bool, true positives among the detections, highest score first.
        n_truth: objects that could be found.

    Returns:
        The area in [0, 1]; NaN where ``n_truth`` is 0, 0 where nothing was detected.
    """
    if n_truth == 0:
        return float("nan")
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / n_truth)


@dataclass(frozen=True)
class _Pool:
    """Detections of all images, image after image, each in its own order; no two images share a target."""

    class_id: np.ndarray
    image: np.ndarray
    score: np.ndarray
    target: np.ndarray
    in_group: np.ndarray

    def of_class(self, class_id: int) -> "_Pool":
        return self.take(np.flatnonzero(self.class_id == class_id))

    def take(self, index: np.ndarray) -> "_Pool":
        columns = (self.class_id, self.image, self.score, self.target, self.in_group)
        return _Pool(*(column[index] for column in columns))


def _pool(images: Sequence[Matches]) -> _Pool:
    first, targets = 0, []
    for image in images:
        targets.append(np.where(image.target < 0, -1, image.target + first))
        first += int(image.n_truth.sum())
    return _Pool(
        _joined([image.class_id for image in images], np.int64),
        np.repeat(np.arange(len(images)), [len(image.score) for image in images]),
        _joined([image.score for image in images], np.float64),
        _joined(targets, np.int64),
        _joined([image.in_group for image in images], np.bool_),
    )


def _evaluate_class(pool: _Pool, n_truth: int) -> tuple[float, float, float, int, int]:
    """Average precision plain, best and worst, and how many detections were counted and true."""
    ordered, hits = _matched(pool.take(_order_within_images(pool)))
    plain = average_precision(hits[np.argsort(ordered.score)[::-1]], n_truth)
    # Of equal scores that look at one object, taking the one outside groups leaves fewest false positives.
    kindly, kind_hits = _matched(pool.take(np.lexsort((pool.in_group, -pool.score))))
    best = average_precision(kind_hits[np.lexsort((~kind_hits, -kindly.score))], n_truth)
    harshly, harsh_hits = _matched(pool.take(np.lexsort((~pool.in_group, -pool.score))))
    worst = average_precision(harsh_hits[np.lexsort((harsh_hits, -harshly.score))], n_truth)
    return plain, best, worst, len(hits), int(hits.sum())


def _matched(pool: _Pool) -> tuple[_Pool, np.ndarray]:
    """The detections that count, and which are true: each object goes to the first that looks at it."""
    _, first = np.unique(pool.target, return_index=True)
    hits = np.zeros(len(pool.target), dtype=bool)
    hits[first] = True
    hits &= pool.target >= 0
    counted = np.flatnonzero(hits | ~pool.in_group)
    return pool.take(counted), hits[counted]


def _order_within_images(pool: _Pool) -> np.ndarray:
    """Images as they come, the detections of each by falling score, ties as the reference leaves them."""
    starts = np.flatnonzero(np.diff(pool.image, prepend=-1))
    bounds = zip(starts, np.append(starts, len(pool.image))[1:], strict=True)
    return _joined([first + np.argsort(pool.score[first:end])[::-1] for first, end in bounds], np.int64)


def _targets(overlap: np.ndarray, truth_class: np.ndarray) -> np.ndarray:
    """(M, 19) the object that each mask would take as a detection of each class, -1 for none."""
    table = np.full((len(overlap), len(CLASSES)), -1)
    for class_id in np.unique(truth_class):
        columns = np.flatnonzero(truth_class == class_id)
        most = overlap[:, columns].argmax(axis=1)
        enough = overlap[np.arange(len(overlap)), columns[most]] >= IOU_THRESHOLD
        table[:, class_id] = np.where(enough, columns[most], -1)
    return table


def _joined(arrays: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate(arrays, dtype=dtype) if arrays else np.zeros(0, dtype=dtype)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
