"""Fits a blend on out-of-fold cells and applies it to others: no cell is blended by what was fitted on its group."""

from dataclasses import dataclass

import numpy as np

from common.blending.calibration import Calibrator, fit_calibrator, ranks
from common.blending.members import Part
from common.blending.mixing import Mix, mix, with_image
from common.blending.params import BlendParams
from common.blending.weights import convex, greedy, objective
from common.classes import CLASSES
from common.progress import track

IMAGE_WEIGHTS = tuple(round(0.1 * tenth, 1) for tenth in range(10))


@dataclass(frozen=True)
class ClassBlend:
    """What was fitted for one class: a calibrator and a weight a member, and the image's weight."""

    calibrators: list[Calibrator]
    weights: np.ndarray
    mix: Mix
    image_weight: float = 0.0

    def of_cells(self, stack: np.ndarray) -> np.ndarray:
        """Blend (members, N) probabilities of cells into (N,)."""
        calibrated = [fix(row) for fix, row in zip(self.calibrators, stack.astype(np.float64), strict=True)]
        return mix(np.stack(calibrated), self.weights, self.mix)


@dataclass(frozen=True)
class Known:
    """Cells that a blend may learn from.

    Attributes:
        rows: (n,) int, of a part.
        targets: (n, 19) in [0, 1] or NaN (unknown).
    """

    rows: np.ndarray
    targets: np.ndarray


def fit_blend(part: Part, known: Known, params: BlendParams, fixed: np.ndarray | None) -> list[ClassBlend]:
    """Fit calibration, weights and the image's weight on the known cells of ``part``; one result a class.

    Args:
        fixed: (members,) weights that are given and not learned.
    """
    rng = np.random.default_rng(params.seed)
    rows, targets = _drawn(part, known, params.most_cells, rng)
    blends, scores = [], np.zeros((len(CLASSES), len(IMAGE_WEIGHTS)))
    for k in range(len(CLASSES)):
        labelled = np.flatnonzero(~np.isnan(targets[:, k]))
        here, wanted = rows[labelled], targets[labelled, k]
        blends.append(_fit_class(part.cell[:, here, k], wanted, params, fixed, rng))
        if params.image.learn != "none" and _has_both(wanted):
            image = _image_values(part, blends[k], k, params)
            if image is not None:
                cell, score = blends[k].of_cells(part.cell[:, here, k]), objective(wanted, params.objective)
                scores[k] = [score(with_image(cell, image[here], weight)) for weight in IMAGE_WEIGHTS]
    weights = _image_weights(scores, params)
    return [
        ClassBlend(b.calibrators, b.weights, b.mix, float(w)) for b, w in zip(blends, weights, strict=True)
    ]


def _drawn(part: Part, known: Known, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows and targets of all known cells, or of whole images of them, about ``most`` cells."""
    if len(known.rows) <= most:
        return known.rows, known.targets
    image = part.image[known.rows]
    kept = rng.random(image.max() + 1) < most / len(known.rows)
    return known.rows[kept[image]], known.targets[kept[image]]


def _fit_class(
    stack: np.ndarray,
    targets: np.ndarray,
    params: BlendParams,
    fixed: np.ndarray | None,
    rng: np.random.Generator,
) -> ClassBlend:
    kind = params.calibration if len(stack) > 1 else "none"  # alone there is nobody to be comparable with
    calibrators = [fit_calibrator(row.astype(np.float64), targets, kind) for row in stack]
    equal = np.full(len(stack), 1 / len(stack))
    if fixed is not None:
        return ClassBlend(calibrators, fixed, params.mix)
    if params.weights == "equal" or not _has_both(targets):
        return ClassBlend(calibrators, equal, params.mix)
    calibrated = np.stack([fix(row) for fix, row in zip(calibrators, stack.astype(np.float64), strict=True)])
    score = objective(targets, params.objective)
    if params.weights == "convex":
        learned = convex(calibrated, score, params.mix)
    else:
        learned = greedy(calibrated, score, params.mix, rng)
    return ClassBlend(calibrators, (1 - params.shrink) * learned + params.shrink * equal, params.mix)


def _has_both(targets: np.ndarray) -> bool:
    return bool(len(targets)) and targets.max() >= 0.5 > targets.min()


def _image_values(part: Part, blend: ClassBlend, class_id: int, params: BlendParams) -> np.ndarray | None:
    """(N,) the probability of the class in the image of each cell; None without an image term."""
    if params.image.source == "published":
        return None if part.of_image is None else part.of_image[:, class_id].astype(np.float64)
    if params.image.source == "none":
        return None
    cell = blend.of_cells(part.cell[:, :, class_id])
    return np.asarray((np.bincount(part.image, cell) / np.bincount(part.image))[part.image])


def _image_weights(scores: np.ndarray, params: BlendParams) -> np.ndarray:
    """(19,) the image's weight for each class, from (19, weights) scores where it is learned."""
    if params.image.learn == "none":
        return np.full(len(CLASSES), params.image.weight)
    if params.image.learn == "all":
        scores = np.broadcast_to(scores.mean(axis=0), scores.shape)
    return np.asarray(IMAGE_WEIGHTS)[scores.argmax(axis=1)]


def apply_blend(part: Part, blends: list[ClassBlend], params: BlendParams) -> np.ndarray:
    """Blend all cells of ``part``: (N, 19) float32."""
    blended = np.empty(part.cell.shape[1:], np.float32)
    for k, blend in enumerate(blends):
        cell, image = blend.of_cells(part.cell[:, :, k]), _image_values(part, blend, k, params)
        blended[:, k] = cell if image is None else with_image(cell, image, blend.image_weight)
    return blended


def cross_fit(
    part: Part, targets: np.ndarray, fold: np.ndarray, params: BlendParams, fixed: np.ndarray | None
) -> np.ndarray:
    """Blend out-of-fold cells, those of each fold by what was fitted on the others.

    Args:
        targets: (N, 19) in [0, 1] or NaN (unknown).
        fold: (N,) int; folds hold whole groups of images.

    Returns:
        (N, 19) float32.
    """
    blended = np.empty(part.cell.shape[1:], np.float32)
    folds = np.unique(fold)
    for held_out in track(folds, len(folds), "blend, folds"):
        rows = np.flatnonzero(fold != held_out)
        blends = fit_blend(part, Known(rows, targets[rows]), params, fixed)
        mine = np.flatnonzero(fold == held_out)
        blended[mine] = apply_blend(part.take(mine), blends, params)
    return blended


def ranked(part: Part) -> Part:
    """The part with every member's probabilities of a class replaced by their ranks among its cells."""
    cell = np.empty_like(part.cell)
    for member in range(len(cell)):
        for k in range(cell.shape[2]):
            cell[member, :, k] = ranks(part.cell[member, :, k])
    return Part(part.cells, part.image, cell, part.of_image)
