"""Cell labels from maps: by hand, and against a loop over cells and classes."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from approaches.cam_seg.cell_labels import CellLabels, at_size, label_cells
from approaches.cam_seg.pooling import CellPixels, pool_maps
from approaches.cam_seg.recipe import CellLabelParams, Confidence
from common.classes import NEGATIVE

IDS = np.array([1, 2])


def two_cells() -> tuple[np.ndarray, np.ndarray]:
    """A field of 20 x 20 px with cells of 10 x 10 px, the first with a nucleus of 4 x 5."""
    cells = np.zeros((20, 20), np.uint16)
    cells[:10, :10], cells[10:, 10:] = 1, 2
    nuclei = np.zeros_like(cells)
    nuclei[:4, :5] = 1
    return cells, nuclei


def one_class(class_id: int, *places: tuple[slice, slice, float]) -> np.ndarray:
    maps = np.zeros((19, 20, 20), np.float32)
    for rows, columns, value in places:
        maps[class_id, rows, columns] = value
    return maps


def label(maps: np.ndarray, labels: list[int], protein: float = 50, **params: object) -> CellLabels:
    probabilities = np.zeros(19)
    probabilities[labels] = 1
    given = CellLabelParams.model_validate(params)
    return label_cells(maps, probabilities, two_cells(), np.full((20, 20), protein), IDS, given)


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [("max", 0.6), ("mean", 0.5), ("cam_rate", 0.6 * 0.2), ("cam_rate_mean", 0.5 * 0.2)],
)
def test_the_four_confidences_by_hand(confidence: Confidence, expected: float) -> None:
    # 20 of 100 pixels are active, outside the nucleus: half at .6, half at .4
    maps = one_class(3, (slice(8, 9), slice(0, 10), 0.6), (slice(9, 10), slice(0, 10), 0.4))
    found = label(maps, [3], confidence=confidence)
    assert found.confidence[0, 3] == pytest.approx(expected)
    assert np.count_nonzero(found.confidence[0]) == 1
    # the other cell shows nothing of it: 1 - r = 1
    assert found.confidence[1, NEGATIVE] == 0.75
    assert np.count_nonzero(found.confidence[1]) == 1


@pytest.mark.parametrize(
    ("active", "value", "kept"), [(9, 0.7, False), (10, 0.7, True), (3, 0.75, False), (4, 0.75, True)]
)
def test_a_class_is_kept_from_a_tenth_of_the_cell_or_a_twentyfifth_of_strong_activity(
    active: int, value: float, kept: bool
) -> None:
    found = label(one_class(3, (slice(9, 10), slice(0, active), value)), [3])
    assert (found.confidence[0, 3] > 0) == kept


def test_a_nucleus_counts_like_the_cell_or_by_its_own_limits() -> None:
    # 3 of 20 nuclear pixels: .15 of the nucleus, .03 of the cell
    maps = one_class(3, (slice(0, 1), slice(0, 3), 0.5))
    same, own = (label(maps, [3], nucleus=way).confidence[0] for way in ("same", "own"))
    assert same[3] == pytest.approx(0.5 * 0.15)
    assert own[3] == 0
    # 4 of 20: .2 of the nucleus, .04 of the cell, which is what the confidence has
    maps = one_class(3, (slice(0, 1), slice(0, 4), 0.5))
    assert label(maps, [3], nucleus="own").confidence[0, 3] == pytest.approx(0.5 * 0.04)


def test_a_cell_that_shows_little_may_be_negative() -> None:
    # r = .06 of the only label: .75 x ((1 - .06) - .9) / .1
    found = label(one_class(3, (slice(9, 10), slice(0, 6), 0.7)), [3])
    assert found.confidence[0, NEGATIVE] == pytest.approx(0.75 * 0.4)


def test_the_median_of_the_labels_tells_how_negative_a_dark_cell_is() -> None:
    maps = one_class(3, (slice(0, 10), slice(0, 10), 0.7))
    found = label(maps, [3, 5], protein=0.5)
    # 1 - r is 0 and 1: the median .5 is far below .9
    assert found.confidence[0, NEGATIVE] == pytest.approx(0.75e-6)
    assert found.confidence[1, NEGATIVE] == 0.75


def test_an_image_labelled_negative_has_negative_cells_only() -> None:
    maps = one_class(NEGATIVE, (slice(0, 20), slice(0, 20), 1.0))
    found = label(maps, [NEGATIVE])
    np.testing.assert_array_equal(found.confidence[:, NEGATIVE], [0.75, 0.75])
    assert not found.confidence[:, :NEGATIVE].any()


def test_negative_stays_alone_or_goes() -> None:
    maps = one_class(3, (slice(0, 20), slice(0, 20), 0.5))
    maps[NEGATIVE, :10], maps[NEGATIVE, 10:] = 0.9, 0.4
    found = label(maps, [3, NEGATIVE]).confidence
    np.testing.assert_allclose(found[:, [3, NEGATIVE]], [[0, 0.9], [0.5, 0]], rtol=1e-6)
    both = label(maps, [3, NEGATIVE], background_rule=False).confidence
    np.testing.assert_allclose(both[:, [3, NEGATIVE]], [[0.5, 0.9], [0.5, 0.4]], rtol=1e-6)


def test_a_small_cell_is_not_judged() -> None:
    cells, nuclei = two_cells()
    cells[cells == 2] = 0
    cells[-1, -1] = 2
    probabilities = np.eye(19)[3]
    maps = np.full((19, 20, 20), 0.5, np.float32)
    protein = np.full((20, 20), 50)
    params = CellLabelParams(least_side=0.05)  # of 20 px: an area above 1
    ids = np.array([2, 1, 9])
    found = label_cells(maps, probabilities, (cells, nuclei), protein, ids, params)
    np.testing.assert_array_equal(found.judged, [False, True, False])
    assert found.confidence[1, 3] == 0.5
    assert not found.confidence[[0, 2]].any()


def test_the_least_area_is_the_published_one() -> None:
    assert (512 * CellLabelParams().least_side) ** 2 == pytest.approx(26.2, abs=0.02)


def test_masks_keep_their_ids_when_they_shrink() -> None:
    cells, nuclei = two_cells()
    small = at_size(cells, nuclei, np.full((20, 20), 7, np.uint8), 10)
    assert [each.shape for each in small] == [(10, 10)] * 3
    np.testing.assert_array_equal(small[0], cells[::2, ::2])
    np.testing.assert_array_equal(small[2], 7)


def reference(
    maps: np.ndarray, p: np.ndarray, masks: tuple, protein: np.ndarray, ids: np.ndarray, q: CellLabelParams
) -> np.ndarray:
    """One cell and one class after the other."""
    cells, nuclei = masks
    least = (cells.shape[1] * q.least_side) ** 2  # a square picture
    confidence = np.zeros((len(ids), 19))
    nothing_labelled = q.background_rule and p[NEGATIVE] > p[:NEGATIVE].max()
    for row, cell_id in enumerate(ids):
        cell = cells == cell_id
        if cell.sum() <= least:
            continue
        nucleus = cell & (nuclei == cell_id)
        found, absent = {}, []
        for class_id in [c for c in range(19) if p[c] >= q.probability_from]:
            inside = maps[class_id][nucleus] if nucleus.sum() >= least else np.zeros(0)
            kept, rate, level = judge(maps[class_id][cell].astype(float), inside, q)
            absent.append(1 - rate)
            if kept and protein[cell].mean() >= q.least_green and not nothing_labelled:
                found[class_id] = p[class_id] * level
        if q.background_rule:
            found = settle(found)
        if not found:
            scale = (np.median(absent) - (1 - q.coverage)) / q.coverage if absent else 1
            found = {NEGATIVE: q.negative * (1 if nothing_labelled else max(1e-6, scale))}
        for class_id, value in found.items():
            confidence[row, class_id] = value
    return confidence


def judge(values: np.ndarray, nuclear: np.ndarray, q: CellLabelParams) -> tuple[bool, float, float]:
    """Whether a class is kept, its coverage, and the confidence for a probability of 1."""
    rate, high = (values > 0).mean(), (values >= q.high).mean()
    kept = False
    if len(nuclear):
        rates = (nuclear > 0).mean(), (nuclear >= q.high).mean()
        if q.nucleus == "same":
            rate, high = max(rate, rates[0]), max(high, rates[1])
        else:
            kept = rates[0] >= q.nucleus_coverage or rates[1] >= q.nucleus_high_coverage
    kept = kept or rate >= q.coverage or high >= q.high_coverage
    if not kept:
        return False, rate, 0.0
    level = values.max() if q.confidence in ("max", "cam_rate") else values[values > 0].mean()
    return True, rate, level * (rate if "rate" in q.confidence else 1)


def settle(found: dict[int, float]) -> dict[int, float]:
    """Negative alone, or without Negative."""
    others = {class_id: value for class_id, value in found.items() if class_id != NEGATIVE}
    if NEGATIVE not in found or not others:
        return found
    return {NEGATIVE: found[NEGATIVE]} if found[NEGATIVE] > max(others.values()) else others


CHOICES = list(
    itertools.product(("max", "mean", "cam_rate", "cam_rate_mean"), ("same", "own"), (True, False))
)


@given(st.integers(0, 10**6), st.sampled_from(CHOICES))
@settings(max_examples=60, deadline=None)
def test_all_cells_at_once_are_as_one_by_one(seed: int, choice: tuple[str, str, bool]) -> None:
    rng = np.random.default_rng(seed)
    cells = np.kron(rng.integers(0, 9, (6, 6)), np.ones((4, 4))).astype(np.uint16)
    nuclei = cells * (rng.random(cells.shape) < 0.3)
    nuclei[0] = 3  # a nucleus that reaches into another cell
    maps = rng.random((19, 24, 24)).astype(np.float32)
    for class_id in range(19):
        maps[class_id][rng.random((24, 24)) > rng.choice([0.0, 0.03, 0.2, 1.0])] = 0
    probabilities = np.where(rng.random(19) < 0.2, rng.random(19), 0) if seed % 3 else np.eye(19)[18]
    protein = rng.poisson(rng.choice([0.9, 1.1, 20.0]), (24, 24))
    confidence, nucleus, rule = choice
    params = CellLabelParams.model_validate(
        {"confidence": confidence, "nucleus": nucleus, "background_rule": rule, "least_side": 0.17}
    )
    ids = rng.permutation(12) + 1
    found = label_cells(maps, probabilities, (cells, nuclei), protein, ids, params)
    expected = reference(maps, probabilities, (cells, nuclei), protein, ids, params)
    np.testing.assert_allclose(found.confidence, expected, rtol=1e-6)


def test_maps_that_are_the_truth_give_the_truth() -> None:
    rng = np.random.default_rng(0)
    cells = np.kron(np.arange(16).reshape(4, 4), np.ones((8, 8))).astype(np.uint16)
    ids, shows = np.arange(1, 16), rng.random((15, 19)) < 0.2
    shows[:, NEGATIVE] = False
    painted = np.concatenate([np.zeros((1, 19)), shows])[cells].transpose(2, 0, 1).astype(np.float32)
    labels = CellLabelParams(confidence="cam_rate_mean")
    found = label_cells(painted, shows.any(0).astype(float), (cells, cells), 9 + cells, ids, labels)
    np.testing.assert_array_equal(found.confidence[:, :NEGATIVE], shows[:, :NEGATIVE])
    np.testing.assert_array_equal(found.confidence[:, NEGATIVE] > 0, ~shows.any(1))


@pytest.mark.parametrize("how", ["mean", "max", "positive_mean"])
def test_pooling_by_hand_and_for_cells_that_are_not_there(how: str) -> None:
    maps = np.array([[[0.0, 0.4, 0.8, 0.3]]])
    cells = np.array([[2, 2, 2, 5]], np.uint16)
    found = pool_maps(maps, cells, np.array([5, 2, 7]), how)  # type: ignore[arg-type]
    expected = {"mean": 0.4, "max": 0.8, "positive_mean": 0.6}[how]
    np.testing.assert_allclose(found, [[0.3], [expected], [0.0]])


def test_pooling_in_an_empty_mask() -> None:
    pixels = CellPixels(np.zeros((3, 3), np.uint16), np.array([1, 2]))
    assert pixels.maxima(pixels.gather(np.ones((4, 3, 3)))).tolist() == [[0.0] * 4] * 2
    none = CellPixels(np.ones((3, 3), np.uint16), np.array([], int))
    assert none.sums(none.gather(np.ones((4, 3, 3)))).shape == (0, 4)
