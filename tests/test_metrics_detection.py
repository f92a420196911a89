"""The competition's score by hand."""

import math

import numpy as np
import pytest

from common.metrics.detection import average_precision, evaluate, precision_curve
from common.metrics.matching import MODES
from tests.metric_cases import image_of, score


@pytest.mark.parametrize(
    ("hits", "n_truth", "expected"),
    [
        ([True, True], 2, 1.0),
        ([False, True], 1, 0.5),
        ([True, False, True], 2, (1 + 2 / 3) / 2),
        ([False, True, True], 3, (2 / 3 + 2 / 3) / 3),  # the envelope lifts 1/2 to 2/3
        ([], 2, 0.0),
        ([False], 3, 0.0),
    ],
)
def test_average_precision_by_hand(hits: list[bool], n_truth: int, expected: float) -> None:
    assert average_precision(np.array(hits, dtype=bool), n_truth) == pytest.approx(expected)


def test_average_precision_without_objects_is_undefined() -> None:
    assert math.isnan(average_precision(np.array([False]), 0))


def test_the_threshold_is_inclusive() -> None:
    three_of_five = np.float32(3) / np.float32(5)
    assert score([image_of([(0, 0.9, 0)], [0], [[float(three_of_five)]])]).AP[0] == 1
    assert score([image_of([(0, 0.9, 0)], [0], [[0.599999]])]).AP[0] == 0


def test_there_is_no_second_choice() -> None:
    overlap = [[0.9, 0.7], [0.95, 0.7]]  # both masks look at object 0, the second also covers object 1
    result = score([image_of([(2, 0.9, 0), (2, 0.8, 1)], [2, 2], overlap)])
    assert result.num_tp[2] == 1
    assert result.AP[2] == 0.5


def test_the_first_of_equal_overlaps_is_looked_at() -> None:
    result = score([image_of([(2, 0.9, 0), (2, 0.8, 1)], [2, 2], [[0.7, 0.7], [0.0, 0.8]])])
    assert result.num_tp[2] == 2


def test_a_duplicate_is_a_false_positive() -> None:
    result = score([image_of([(1, 0.9, 0), (1, 0.8, 0), (1, 0.7, 1)], [1, 1], [[1, 0], [0, 1]])])
    assert (result.num_det[1], result.num_tp[1]) == (3, 2)
    assert result.AP[1] == pytest.approx((1 + 2 / 3) / 2)


def test_a_detection_inside_a_group_is_ignored_unless_it_is_true() -> None:
    overlap = [[0.9, 1.0], [0.1, 0.6], [0.1, 0.5]]
    result = score([image_of([(1, 0.9, 1), (1, 0.8, 0), (1, 0.7, 2)], [1, 1], overlap, [False, True])])
    assert (result.num_gt[1], result.num_det[1], result.num_tp[1]) == (1, 2, 1)
    assert result.AP[1] == 1


def test_a_group_excuses_only_its_own_class() -> None:
    result = score([image_of([(1, 0.9, 1), (1, 0.8, 0)], [1, 2], [[1, 0], [0, 1]], [False, True])])
    assert result.AP[1] == 0.5


def test_ties_between_group_and_other_detections_widen_the_bounds() -> None:
    # Two detections look at one object with one score; if the one in the group takes it, the other is false.
    overlap = [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    rows = [(1, 0.9, 0), (1, 0.9, 1), (1, 0.5, 2)]
    result = score([image_of(rows, [1, 1, 1], overlap, [False, True, False])])
    assert result.AP_best[1] == 1
    assert result.AP_worst[1] == pytest.approx(2 / 3)


def test_mask_gt_counts_detections_only_where_the_truth_names_the_class() -> None:
    found = image_of([(1, 0.5, 0)], [1], [[1.0]])
    absent = image_of([(1, 0.9, 0)], [], [[]])
    named = image_of([(1, 0.9, 0)], [], [[]], named=[1])
    assert score([found, absent]).AP[1] == 0.5
    assert score([found, absent], "mask_gt").AP[1] == 1
    assert score([found, named], "mask_gt").AP[1] == 0.5


def test_the_mean_skips_classes_without_truth_and_the_board_divides_by_19() -> None:
    result = score([image_of([(0, 0.9, 0), (5, 0.9, 1), (7, 0.9, 0)], [0, 5, 6], [[1, 0, 0], [0, 0, 0]])])
    assert np.isnan(result.AP[7])
    assert result.AP[6] == 0  # truth and no detection
    assert result.mAP == pytest.approx(1 / 3)
    assert result.mAP_19 == pytest.approx(1 / 19)


def test_no_truth_at_all_is_undefined() -> None:
    result = score([image_of([(0, 0.9, 0)], [], [[]])])
    assert math.isnan(result.mAP)
    assert math.isnan(result.mAP_19)
    assert math.isnan(evaluate([]).best)


def test_perfect_predictions_score_one_in_both_modes() -> None:
    rows = [(k, 0.5 + k / 100, k) for k in range(19)]
    perfect = image_of(rows, list(range(19)), np.eye(19).tolist())
    for mode in MODES:
        result = score([perfect, perfect], mode)
        assert result.mAP == result.mAP_19 == result.best == result.worst == 1


def test_an_image_without_detections_still_counts_its_objects() -> None:
    result = score([image_of([], [3, 3], []), image_of([(3, 0.1, 0)], [3], [[1.0]])])
    assert result.AP[3] == pytest.approx(1 / 3)


def test_a_curve_is_the_envelope_at_even_recalls() -> None:
    hits = np.array([True, False, True, False])
    assert precision_curve(hits, 4, 4).tolist() == pytest.approx([1, 2 / 3, 0, 0])
    assert precision_curve(hits, 4, 8).tolist() == pytest.approx([1, 1, 2 / 3, 2 / 3, 0, 0, 0, 0])
    assert precision_curve(hits, 2, 3).tolist() == pytest.approx([1, 2 / 3, 2 / 3])
    assert precision_curve(hits[:0], 3, 2).tolist() == [0, 0]


def test_the_mean_of_a_fine_curve_is_the_average_precision() -> None:
    hits = np.random.default_rng(0).random(300) < np.linspace(0.9, 0.1, 300)
    assert precision_curve(hits, 200, 200).mean() == pytest.approx(average_precision(hits, 200))
