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

import numpy as np

from common.classes import CLASSES
from common.metrics.matching import Matches


@dataclass(frozen=True)
class Ranked:
    """The counted detections of one class, highest score first.

    Attributes:
        hits: (n,) bool, true positives.
        image: (n,) int, the place of each detection's image among those scored.
    """

    hits: np.ndarray
    image: np.ndarray


@dataclass(frozen=True)
class Result:
    """Scores of a set of images. A class without truth has average precision NaN.

    Attributes:
        AP, AP_best, AP_worst: (19,) average precision, plain and at its bounds over the order of ties.
        num_gt, num_det, num_tp: (19,) int, ordinary objects, detections without the ignored, true positives.
        objects: (images, 19) int, ordinary objects of each image.
        ranked: the detections behind the plain values, a class each.
    """

    AP: np.ndarray
    AP_best: np.ndarray
    AP_worst: np.ndarray
    num_gt: np.ndarray
    num_det: np.ndarray
    num_tp: np.ndarray
    objects: np.ndarray
    ranked: list[Ranked]

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


def evaluate(images: Sequence[Matches]) -> Result:
    """Score all images together.

    Args:
        images: one entry an image, in the order that decides ties (the reference's is that of ascending ids).
    """
    objects = np.array([image.n_truth for image in images], dtype=np.int64).reshape(-1, len(CLASSES))
    num_gt = objects.sum(axis=0)
    pooled = _pool(images)
    rows = [_evaluate_class(pooled.of_class(k), int(num_gt[k])) for k in range(len(CLASSES))]
    plain, best, worst = (np.array(column) for column in zip(*(values for values, _ in rows), strict=True))
    ranked = [one for _, one in rows]
    num_det, num_tp = (np.array([fold(one.hits) for one in ranked]) for fold in (len, np.count_nonzero))
    return Result(plain, best, worst, num_gt, num_det, num_tp, objects, ranked)


def average_precision(hits: np.ndarray, n_truth: int) -> float:
    """Area under the precision envelope, all points (VOC 2010).

    Args:
        hits: (n,) bool, true positives among the detections, highest score first.
        n_truth: objects that could be found.

    Returns:
        The area in [0, 1]; NaN where ``n_truth`` is 0, 0 where nothing was detected.
    """
    return float(_envelope(hits)[hits].sum() / n_truth) if n_truth else float("nan")


def precision_curve(hits: np.ndarray, n_truth: int, points: int) -> np.ndarray:
    """The precision envelope at the recalls 1 / points, 2 / points, ... 1: (points,), 0 where none is reached."""
    reached = _envelope(hits)[hits]
    wanted = np.ceil(np.arange(1, points + 1) / points * n_truth - 1e-9).astype(int)  # true positives
    return np.append(reached, 0.0)[np.minimum(np.maximum(wanted, 1) - 1, len(reached))]


def _envelope(hits: np.ndarray) -> np.ndarray:
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return np.asarray(np.maximum.accumulate(precision[::-1])[::-1])


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


def _evaluate_class(pool: _Pool, n_truth: int) -> tuple[tuple[float, float, float], Ranked]:
    """Average precision plain, best and worst, and the detections behind the plain one."""
    ordered, hits = _matched(pool.take(_order_within_images(pool)))
    order = np.argsort(ordered.score)[::-1]
    ranked = Ranked(hits[order], ordered.image[order])
    plain = average_precision(ranked.hits, n_truth)
    # Of equal scores that look at one object, taking the one outside groups leaves fewest false positives.
    kindly, kind_hits = _matched(pool.take(np.lexsort((pool.in_group, -pool.score))))
    best = average_precision(kind_hits[np.lexsort((~kind_hits, -kindly.score))], n_truth)
    harshly, harsh_hits = _matched(pool.take(np.lexsort((~pool.in_group, -pool.score))))
    worst = average_precision(harsh_hits[np.lexsort((harsh_hits, -harshly.score))], n_truth)
    return (plain, best, worst), ranked


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


def _joined(arrays: list[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate(arrays, dtype=dtype) if arrays else np.zeros(0, dtype=dtype)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
