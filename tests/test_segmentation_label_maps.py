"""The parts of ``label_cells``: flooding, label maps, reducing, against libraries and by hand."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import watershed

from common.segmentation.flooding import flood
from common.segmentation.full_size import reduce
from common.segmentation.label_maps import areas, by_first_pixel, fill_labels, peel, split_parts


@pytest.mark.parametrize("seed", range(20))
def test_flood_is_the_watershed_of_scikit_image(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height = rng.permutation(256).astype(np.uint8).reshape(16, 16)
    seeds = np.where(rng.random((16, 16)) < 0.05, rng.integers(1, 5, (16, 16)), 0).astype(np.int32)
    mask = rng.random((16, 16)) < 0.8
    expected = watershed(255 - height, seeds, mask=mask)
    assert np.array_equal(flood(height, seeds, mask), expected)
    differ = flood(height, seeds, mask, level=128) != expected
    assert differ.sum() <= 2  # a pixel below all its neighbours may go to any of them
    apart = ndimage.label(seeds)[0]  # where seeds touch, scikit-image draws lines through them
    expected = watershed(255 - height, apart, mask=mask, watershed_line=True)
    assert np.array_equal(flood(height, apart, mask, lines=True), expected)


def test_areas_are_counts() -> None:
    labels = np.random.default_rng(0).integers(0, 9, (40, 50))
    assert areas(labels).tolist() == np.bincount(labels.ravel()).tolist()
    assert areas(np.full((2, 3), 4)).tolist() == [0, 0, 0, 0, 6]


def test_labels_are_numbered_by_their_first_pixel() -> None:
    assert by_first_pixel(np.array([[0, 7, 7], [3, 3, 7], [9, 0, 7]])).tolist() == [
        [0, 1, 1],
        [2, 2, 1],
        [3, 0, 1],
    ]
    assert by_first_pixel(np.array([[5, 2]])).tolist() == [[1, 2]]
    assert not by_first_pixel(np.zeros((2, 2), int)).any()


def test_parts_that_touch_at_a_corner_are_one() -> None:
    parts = split_parts(np.array([[4, 0, 0, 4], [0, 4, 2, 0], [0, 0, 2, 4]], np.int32))
    assert parts.tolist() == [[2, 0, 0, 3], [0, 2, 1, 0], [0, 0, 1, 4]]


def test_peeling_takes_a_pixel_off_and_fills_holes_but_not_gaps() -> None:
    labels = np.zeros((11, 20), np.int32)
    labels[1:10, 1:10], labels[1:10, 10:19] = 1, 2
    labels[5, 5] = 0
    expected = np.zeros((11, 20), bool)
    expected[2:9, 2:9] = expected[2:9, 11:18] = True
    assert np.array_equal(peel(labels), expected)
    labels[3, 8] = 0  # its peeled hole opens to the gap
    expected[[2, 3, 3, 4], [8, 7, 8, 8]] = False
    assert np.array_equal(peel(labels), expected)


def test_a_label_owns_what_it_encloses() -> None:
    labels = np.zeros((12, 20), np.int32)
    labels[1:11, 1:11] = 5
    labels[3:9, 3:9] = 0
    labels[4:8, 4:8] = 2
    labels[1:11, 14:18] = 5
    filled = fill_labels(labels)
    assert sorted(areas(filled)[1:].tolist(), reverse=True)[:2] == [100, 40]
    assert (filled[1:11, 1:11] == filled[1, 1]).all()
    assert filled[1, 14] != filled[1, 1]


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 6])
def test_reducing_averages_squares_and_repeats_the_edge(factor: int) -> None:
    full = np.random.default_rng(0).integers(0, 256, (4 * factor, 5 * factor)).astype(np.uint8)
    means = full.reshape(4, factor, 5, factor).mean((1, 3))
    assert np.abs(reduce(full, factor) - means).max() <= 1.01
    assert reduce(full[: 3 * factor + 1], factor).shape == (4, 5)
