"""Overlap counted over pixels, over runs and from label maps is the same, bit for bit."""

import numpy as np
import pytest
from pycocotools import mask as coco

from common.metrics.overlap import overlap_matrix, rle_overlap


def _random_maps(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.zeros((40, 50), dtype=np.uint16)
    for cell in (3, 9, 4, 60000):
        y, x = rng.integers(0, 30), rng.integers(0, 40)
        truth[y : y + 12, x : x + 12] = cell
    return np.roll(truth, rng.integers(-4, 4, 2), (0, 1)), truth


@pytest.mark.parametrize("seed", range(5))
def test_overlap_of_maps_equals_that_of_runs_and_of_pixels(seed: int) -> None:
    predicted, truth = _random_maps(seed)
    overlap = overlap_matrix(predicted, truth)
    masks = [[m == k for k in ids] for m, ids in ((predicted, overlap.predicted), (truth, overlap.truth))]
    assert overlap.truth.tolist() == sorted(set(truth.ravel().tolist()) - {0})
    expected = [[np.float32((a & b).sum()) / np.float32((a | b).sum()) for b in masks[1]] for a in masks[0]]
    np.testing.assert_array_equal(overlap.iou, np.array(expected, dtype=np.float32))
    runs = [[coco.encode(np.asfortranarray(m.astype(np.uint8))) for m in side] for side in masks]
    ordinary = np.zeros(len(runs[1]), dtype=bool)
    np.testing.assert_array_equal(rle_overlap(runs[0], runs[1], ordinary), overlap.iou)


def test_overlap_with_a_group_is_the_covered_share_of_the_mask() -> None:
    small, large = np.zeros((10, 10), dtype=np.uint8), np.zeros((10, 10), dtype=np.uint8)
    small[0:2, 0:5], large[0:10, 0:3] = 1, 1
    runs = [coco.encode(np.asfortranarray(m)) for m in (small, large)]
    share = rle_overlap(runs[:1], [runs[1]] * 2, np.array([True, False]))
    np.testing.assert_array_equal(share, np.array([[6 / 10, 6 / 34]], dtype=np.float32))


def test_maps_without_cells_or_of_different_shape() -> None:
    empty, full = np.zeros((4, 4), dtype=np.uint16), np.ones((4, 4), dtype=np.uint16)
    assert overlap_matrix(empty, full).iou.shape == (0, 1)
    assert overlap_matrix(full, empty).iou.shape == (1, 0)
    with pytest.raises(ValueError, match="one shape"):
        overlap_matrix(full, np.ones((4, 5), dtype=np.uint16))
