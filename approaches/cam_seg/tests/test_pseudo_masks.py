"""Planes of whole cells, by hand and against painting cell by cell; and where the mass of maps lies."""

import numpy as np

from approaches.cam_seg.cell_labels import CellLabels
from approaches.cam_seg.pointing import measure_mass, pointing
from approaches.cam_seg.pseudo_masks import paint_targets
from approaches.cam_seg.recipe import PseudoMaskParams
from common.classes import NEGATIVE

PARAMS = PseudoMaskParams()


def test_cells_are_painted_into_the_planes_of_what_they_show() -> None:
    cells = np.array([[1, 1, 2], [3, 0, 4]], np.uint16)
    confidence = np.zeros((3, 19))
    confidence[0, [2, 5]] = 0.225, 0.9
    confidence[1, 7] = 0.2249  # below the threshold: negative
    labels = CellLabels(np.array([1, 2, 3]), confidence, np.array([True, True, False]))
    planes = paint_targets(labels, cells, PARAMS)
    expected = np.zeros((20, 2, 3), np.uint8)
    expected[[2, 5], 0, :2] = 1
    expected[NEGATIVE, 0, 2] = 1
    expected[19, 1] = 1  # not judged, background, and a cell without labels
    np.testing.assert_array_equal(planes, expected)
    assert planes.dtype == np.uint8


def test_painting_at_once_is_painting_cell_by_cell() -> None:
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 12, (30, 40)).astype(np.uint16)
    ids = np.array([11, 3, 7, 1, 40])
    labels = CellLabels(ids, rng.random((5, 19)) ** 4, rng.random(5) < 0.7)
    expected = np.zeros((20, 30, 40), bool)
    for row, cell_id in enumerate(ids):
        if labels.judged[row]:
            shown = np.flatnonzero(labels.confidence[row] >= PARAMS.threshold).tolist()
            for class_id in shown or [NEGATIVE]:
                expected[class_id] |= cells == cell_id
    expected[19] = ~expected[:19].any(0)
    np.testing.assert_array_equal(paint_targets(labels, cells, PARAMS), expected)


def test_a_field_without_cells_is_background() -> None:
    labels = CellLabels(np.array([], int), np.zeros((0, 19)), np.array([], bool))
    planes = paint_targets(labels, np.zeros((4, 4), np.uint16), PARAMS)
    assert planes[19].all()
    assert not planes[:19].any()


def test_pointing_by_hand() -> None:
    cells = np.array([[1, 1, 2, 2, 2, 0]], np.uint16)
    maps = np.array([[[1.0, 0.5, 0.5, 0, 0, 2.0]], [[1, 1, 1, 1, 1, 1]], [[0, 0, 0, 0, 0, 0]]], np.float32)
    shows = np.array([[True, True, True], [False, True, False]])
    found = pointing([measure_mass(maps, cells, np.array([1, 2]), shows)])
    # class 0: 1.5 right, .5 wrong, 2 outside; class 1 shows in all cells; class 2 has an empty map
    np.testing.assert_allclose(found["hit"], [0.75, np.nan, np.nan])
    np.testing.assert_allclose(found["chance"], [0.4, np.nan, 0.4])
    np.testing.assert_allclose(found["outside"], [0.5, np.nan, np.nan])


def test_an_even_map_points_by_chance_and_a_perfect_one_always() -> None:
    rng = np.random.default_rng(1)
    masses: list[list] = [[], []]
    for _ in range(5):
        cells = rng.integers(0, 6, (16, 16)).astype(np.uint16)
        ids, shows = np.arange(1, 6), rng.random((5, 4)) < 0.4
        perfect = np.concatenate([np.zeros((1, 4), bool), shows])[cells].transpose(2, 0, 1)
        for kept, maps in zip(masses, (np.ones((4, 16, 16)), perfect), strict=True):
            kept.append(measure_mass(maps.astype(np.float32), cells, ids, shows))
    even, perfect_found = (pointing(each) for each in masses)
    np.testing.assert_allclose(even["hit"], even["chance"])
    np.testing.assert_allclose(perfect_found["hit"], 1)
