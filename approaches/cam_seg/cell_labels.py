"""Labels of cells by the maps of their image (system C, 15th place).

n cells, C = 19 classes, k of them looked for, H x W pixels.
"""

from dataclasses import dataclass

import numpy as np

from approaches.cam_seg.pooling import CellPixels
from approaches.cam_seg.recipe import CellLabelParams, Confidence
from common.classes import NEGATIVE
from common.fields import fit


@dataclass(frozen=True)
class CellLabels:
    """(n,) ids; (n, 19) confidence, 0 where a class is not kept; (n,) whether a cell is large enough to be judged."""

    ids: np.ndarray
    confidence: np.ndarray
    judged: np.ndarray


@dataclass(frozen=True)
class Evidence:
    """Of each cell and class looked for, (n, k): the shares of it where the map is active and strongly active, whether
    they keep the class, and the maximum and the mean of the active places."""

    coverage: np.ndarray
    kept: np.ndarray
    peak: np.ndarray
    mean: np.ndarray


def label_cells(
    maps: np.ndarray,
    probabilities: np.ndarray,
    masks: tuple[np.ndarray, np.ndarray],
    protein: np.ndarray,
    ids: np.ndarray,
    params: CellLabelParams,
) -> CellLabels:
    """Give each cell the classes whose maps are active in it; a cell without any is Negative.

    Args:
        maps: (19, H, W) float32, normalised.
        probabilities: (19,) of the image. Pseudo labels of a training image: 1 for its labels, 0 for others.
        masks: cells and nuclei, (H, W) each, numbered alike.
        protein: (H, W) in grey levels of 8 bit.
        ids: (n,) the cells wanted; those that are not in the mask are not judged.
    """
    wanted = probabilities >= params.probability_from
    pixels = CellPixels(masks[0], ids)
    judged = pixels.areas > _least_area(maps, params)
    found = gather_evidence(maps[wanted], masks, pixels, ids, params)
    bright = pixels.sums(pixels.gather(protein[None]))[:, 0] >= params.least_green * pixels.areas
    nothing_labelled = (
        params.background_rule and probabilities.argmax() == NEGATIVE and probabilities[NEGATIVE] > 0
    )
    kept = found.kept & (judged & bright)[:, None] & (not nothing_labelled)
    confidence = np.zeros((len(ids), len(probabilities)))
    strength = probabilities[wanted] * _strength(found, params.confidence)
    confidence[:, wanted] = np.where(kept, strength, 0)
    if params.background_rule:
        _settle_negative(confidence)
    empty = judged & ~confidence.any(axis=1)
    absence = np.ones(len(ids)) if nothing_labelled else _absence(found.coverage, params.coverage)
    confidence[empty, NEGATIVE] = params.negative * absence[empty]
    return CellLabels(ids, confidence, judged)


def gather_evidence(
    maps: np.ndarray,
    masks: tuple[np.ndarray, np.ndarray],
    pixels: CellPixels,
    ids: np.ndarray,
    params: CellLabelParams,
) -> Evidence:
    """What the maps (k, H, W) of the classes looked for show in each cell and its nucleus."""
    cells, nuclei = masks
    in_nuclei = CellPixels(np.where(nuclei == cells, cells, 0), ids)
    values, nuclear = pixels.gather(maps), in_nuclei.gather(maps)
    coverage, high = _shares(pixels, values, params.high)
    seen = (in_nuclei.areas >= _least_area(maps, params))[:, None]
    nuclear_shares = [np.where(seen, share, 0) for share in _shares(in_nuclei, nuclear, params.high)]
    if params.nucleus == "same":
        coverage, high = np.maximum(coverage, nuclear_shares[0]), np.maximum(high, nuclear_shares[1])
    kept = (coverage >= params.coverage) | (high >= params.high_coverage)
    if params.nucleus == "own":
        limits = (params.nucleus_coverage, params.nucleus_high_coverage)
        passed = [share >= limit for share, limit in zip(nuclear_shares, limits, strict=True)]
        kept |= seen & (passed[0] | passed[1])
    mean = pixels.sums(values) / np.maximum(pixels.sums(values > 0), 1)
    return Evidence(coverage, kept, pixels.maxima(values), mean)


def at_size(
    cells: np.ndarray, nuclei: np.ndarray, protein: np.ndarray, size_px: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks and the protein channel of a field as a square of ``size_px``, fitted as networks see the field."""
    return fit(cells, size_px, nearest=True), fit(nuclei, size_px, nearest=True), fit(protein, size_px)


def _least_area(maps: np.ndarray, params: CellLabelParams) -> float:
    return float(params.least_side**2 * maps.shape[1] * maps.shape[2])


def _shares(pixels: CellPixels, values: np.ndarray, high: float) -> tuple[np.ndarray, np.ndarray]:
    areas = np.maximum(pixels.areas, 1)[:, None]
    return pixels.sums(values > 0) / areas, pixels.sums(values >= high) / areas


def _strength(found: Evidence, confidence: Confidence) -> np.ndarray:
    level = found.peak if confidence in ("max", "cam_rate") else found.mean
    return level * found.coverage if confidence.startswith("cam_rate") else level


def _settle_negative(confidence: np.ndarray) -> None:
    """Negative stays alone where it is the most confident class of a cell, and goes where it is not."""
    negative = confidence[:, NEGATIVE] > 0
    first = confidence.argmax(axis=1) == NEGATIVE  # a tie is lost: Negative is the last class
    confidence[negative & ~first, NEGATIVE] = 0
    confidence[negative & first, :NEGATIVE] = 0


def _absence(coverage: np.ndarray, limit: float) -> np.ndarray:
    """How sure nothing is there, (n,): 1 where the median map is active nowhere, about 0 where it covers ``limit``.

    System C's (median(1 - r) - (1 - limit)) / limit, which is 1 - median(r) / limit.
    """
    if not coverage.shape[1] or not limit:
        return np.ones(len(coverage))
    absence: np.ndarray = np.maximum(1e-6, 1 - np.median(coverage, axis=1) / limit)
    return absence
