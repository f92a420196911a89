"""Label maps of any segmenter: renumbering, cleaning, smooth enlargement."""

import cv2
import numpy as np
from scipy import ndimage

SOFTNESS_PX = 1.0
"""Sigma of the blur of a label's outline before enlargement, px of the small map: rounds its steps off."""

MARGIN_PX = 5
"""Pixels round a label that its blur can reach."""


def renumber(labels: np.ndarray) -> np.ndarray:
    """Number the labels of (H, W) 1..n without gaps, in their old order; int32."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = False
    return np.where(present, np.cumsum(present), 0).astype(np.int32)[labels]


def areas(labels: np.ndarray) -> np.ndarray:
    """Count the pixels of each label of (H, W): (max + 1,) int. By runs: 3 x faster than ``np.bincount``."""
    flat = labels.ravel()
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]), flat.size - 1)
    return np.bincount(flat[ends], weights=np.diff(ends, prepend=-1)).astype(np.int64)


def drop_small(labels: np.ndarray, min_area: float) -> np.ndarray:
    """Remove labels of (H, W) with fewer than ``min_area`` pixels and renumber the rest; int32."""
    kept = areas(labels) >= max(min_area, 1)
    kept[0] = False
    return np.take(np.where(kept, np.cumsum(kept), 0).astype(np.int32), labels)


def by_first_pixel(labels: np.ndarray) -> np.ndarray:
    """Number the labels of (H, W) 1..n by their first pixel, row by row; int32."""
    flat = labels.ravel()
    starts = np.append(0, np.flatnonzero(flat[1:] != flat[:-1]) + 1)
    present, first = np.unique(flat[starts], return_index=True)
    order = present[np.argsort(first)]
    table = np.zeros(int(present[-1]) + 1, np.int32)
    table[order[order > 0]] = np.arange(1, np.count_nonzero(order) + 1)
    return np.take(table, labels)


def in_raster_order(nuclei: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number cells 1..n by their first pixel, row by row, and nuclei alike; drop cells without a nucleus.

    Args:
        nuclei: (H, W) int, 0 background, value k inside cell k.
        cells: (H, W) int, 0 background.

    Returns:
        nuclei and cells, int32.
    """
    with_nucleus = np.bincount(nuclei.ravel(), minlength=int(cells.max(initial=0)) + 1) > 0
    ordered = by_first_pixel(np.where(with_nucleus[cells], cells, 0))
    return np.where(nuclei > 0, ordered, 0), ordered


def split_parts(labels: np.ndarray) -> np.ndarray:
    """Give each 8-connected part of a label of (H, W) int32 a number of its own; int32."""
    out = np.zeros_like(labels)
    last = 0
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        count, parts = cv2.connectedComponents((labels[box] == label).view(np.uint8))
        np.copyto(out[box], parts + last, where=parts > 0)
        last += count - 1
    return out


def peel(labels: np.ndarray) -> np.ndarray:
    """Take a pixel off every label of (H, W) and fill all holes of what is left; bool."""
    body = labels > 0
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = labels[here] != labels[there]
        body[here] &= ~differ
        body[there] &= ~differ
    outside = cv2.copyMakeBorder(body.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.ascontiguousarray(outside[1:-1, 1:-1] != 2)


def fill_labels(labels: np.ndarray) -> np.ndarray:
    """Give each 8-connected part of a label of (H, W) a number of its own, and all that it encloses; int32."""
    outlines: list[np.ndarray] = []
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        own, corner = (labels[box] == label).view(np.uint8), (box[1].start, box[0].start)
        outlines.extend(cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE, offset=corner)[0])
    out = np.zeros(labels.shape, np.int32)
    for number, outline in enumerate(sorted(outlines, key=cv2.contourArea), 1):
        cv2.drawContours(out, [outline], 0, number, cv2.FILLED)  # the enclosing one last
    return out


def largest_parts(labels: np.ndarray) -> np.ndarray:
    """Keep the largest 4-connected part of each label of (H, W); the rest becomes background."""
    out = np.zeros_like(labels)
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        own = (labels[box] == label).astype(np.uint8)
        _, parts, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=4)
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        out[box][parts == largest] = label
    return out


def enlarge(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Bring a label map to another size with smooth outlines: the largest soft mask wins a pixel.

    Args:
        labels: (h, w) int32, 0 background.
        shape: (H, W) of the wanted map, px; may be smaller too.

    Returns:
        (H, W) int32.
    """
    step = np.divide(labels.shape, shape)
    background = _soften(labels == 0)
    best = cv2.resize(background, shape[::-1], interpolation=cv2.INTER_LINEAR)
    out = np.zeros(shape, np.int32)
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        box = tuple(slice(max(0, side.start - MARGIN_PX), side.stop + MARGIN_PX) for side in box)
        soft = _soften(labels[box] == label)
        stop = [start + length for start, length in zip((s.start for s in box), soft.shape, strict=True)]
        low = [int(side.start / by) for side, by in zip(box, step, strict=True)]
        high = [min(full, int(np.ceil(end / by))) for end, by, full in zip(stop, step, shape, strict=True)]
        big = _resample(soft, step, [side.start for side in box], low, high)
        target = np.s_[low[0] : high[0], low[1] : high[1]]
        won = big > best[target]
        best[target][won] = big[won]
        out[target][won] = label
    return out


def _soften(mask: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(mask.astype(np.float32), (0, 0), SOFTNESS_PX, borderType=cv2.BORDER_REPLICATE)


def _resample(
    soft: np.ndarray, step: np.ndarray, start: list[int], low: list[int], high: list[int]
) -> np.ndarray:
    """Read the crop that begins at ``start`` of the small map at the big map's pixels low..high."""
    shift = [(low[i] + 0.5) * step[i] - 0.5 - start[i] for i in (0, 1)]
    matrix = np.array([[step[1], 0, shift[1]], [0, step[0], shift[0]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (high[1] - low[1], high[0] - low[0])
    return cv2.warpAffine(soft, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
