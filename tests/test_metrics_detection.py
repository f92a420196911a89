"""The competition's score by hand, by its properties and against a plain loop over detections."""

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.metrics.detection import (
    MODES,
    Detections,
    Mode,
    Result,
    Truth,
    average_precision,
    evaluate,
    match_image,
)

Image = tuple[Detections, Truth]


def image_of(
    detections: list[tuple[int, float, int]],
    truth: list[int],
    overlap: list[list[float]],
    group_of: list[bool] | None = None,
    named: list[int] | None = None,
) -> Image:
    """One image: (class, score, mask row) of each detection, class of each object, their overlaps."""
    class_id, score, mask = (
        (np.array(column) for column in zip(*detections, strict=True)) if detections else ([],) * 3
    )
    names = np.zeros(19, dtype=bool)
    names[truth + (named or [])] = True
    return (
        Detections(
            np.array(class_id, dtype=np.int64), np.array(score, dtype=np.float64), np.array(mask, np.int64)
        ),
        Truth(
            np.array(truth, dtype=np.int64),
            np.array(group_of or [False] * len(truth), dtype=bool),
            np.array(overlap, dtype=np.float32).reshape(len(overlap), len(truth)),
            names,
        ),
    )


def score(images: list[Image], mode: Mode = "mask_all") -> Result:
    return evaluate([match_image(detections, truth, mode) for detections, truth in images])


def loop_matches(images: list[Image], class_id: int, mode: Mode) -> tuple[list[tuple[float, bool]], int]:
    """The specification's matching, one detection at a time: score and hit of each, and how many objects."""
    found: list[tuple[float, bool]] = []
    count = 0
    for detections, truth in images:
        objects = [t for t, c in enumerate(truth.class_id) if c == class_id and not truth.group_of[t]]
        groups = [t for t, c in enumerate(truth.class_id) if c == class_id and truth.group_of[t]]
        count += len(objects)
        if mode == "mask_gt" and not truth.named[class_id]:
            continue
        taken = set()
        mine = [d for d, c in enumerate(detections.class_id) if c == class_id]
        for d in sorted(mine, key=lambda d: -detections.score[d]):
            overlaps = truth.overlap[detections.mask[d]]
            best = max(objects, key=lambda t: overlaps[t], default=None)
            if best is not None and overlaps[best] >= np.float32(0.6) and best not in taken:
                taken.add(best)
                found.append((detections.score[d], True))
            elif not any(overlaps[t] >= np.float32(0.6) for t in groups):
                found.append((detections.score[d], False))
    return found, count


def loop_area(hits: list[bool], count: int) -> float:
    precision = [sum(hits[: k + 1]) / (k + 1) for k in range(len(hits))]
    return sum(max(precision[k:]) for k, hit in enumerate(hits) if hit) / count if count else math.nan


def loop_average_precision(images: list[Image], class_id: int, mode: Mode) -> float:
    """For scores without ties."""
    found, count = loop_matches(images, class_id, mode)
    return loop_area([hit for _, hit in sorted(found, key=lambda pair: -pair[0])], count)


@st.composite
def images(draw: st.DrawFn, levels: int | None = None) -> list[Image]:
    """Up to four images of three classes; scores distinct, or of a few levels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = []
    for _ in range(draw(st.integers(1, 4))):
        masks, objects, n = rng.integers(1, 5), rng.integers(0, 5), rng.integers(0, 12)
        scores = rng.random(n) if levels is None else rng.integers(0, levels, n) / levels
        rows = list(
            zip(
                rng.integers(0, 3, n).tolist(),
                scores.tolist(),
                rng.integers(0, masks, n).tolist(),
                strict=True,
            )
        )
        truth = rng.integers(0, 3, objects).tolist()
        group_of = (rng.random(objects) < 0.25).tolist()
        overlap = rng.choice([0, 0.3, 0.6, 0.8, 1], (masks, objects)).tolist()
        made.append(image_of(rows, truth, overlap, group_of, rng.integers(0, 3, 1).tolist()))
    return made


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


@given(images(), st.sampled_from(MODES))
@settings(max_examples=300, deadline=None)
def test_without_ties_the_score_equals_a_plain_loop_and_its_bounds(made: list[Image], mode: Mode) -> None:
    result = score(made, mode)
    expected = [loop_average_precision(made, class_id, mode) for class_id in range(19)]
    np.testing.assert_allclose(result.AP, expected, atol=1e-12)
    np.testing.assert_allclose(result.AP_best, expected, atol=1e-12)
    np.testing.assert_allclose(result.AP_worst, expected, atol=1e-12)


@given(images(), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_without_ties_the_order_of_detections_and_images_does_not_matter(
    made: list[Image], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shuffled = []
    for detections, truth in made:
        order = rng.permutation(len(detections.score))
        columns = (detections.class_id[order], detections.score[order], detections.mask[order])
        shuffled.append((Detections(*columns), truth))
    np.testing.assert_allclose(score(shuffled[::-1]).AP, score(made).AP, atol=1e-12)


@given(images(levels=3), st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_every_order_of_ties_stays_within_the_bounds(made: list[Image], seed: int) -> None:
    result = score(made)
    known = ~np.isnan(result.AP)
    jitter = np.random.default_rng(seed)
    broken = [
        (replace(detections, score=detections.score + jitter.uniform(0, 1e-6, len(detections.score))), truth)
        for detections, truth in made
    ]
    for average in (result.AP[known], score(broken).AP[known]):
        assert (average <= result.AP_best[known] + 1e-12).all()
        assert (average >= result.AP_worst[known] - 1e-12).all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_bounds_are_the_extremes_over_all_orders_of_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    overlap = rng.choice([0, 0.3, 0.6, 0.8, 1], (3, 3)).tolist()
    rows = [(0, float(rng.integers(1, 3)), int(rng.integers(0, 3))) for _ in range(4)]
    detections, truth = image_of(rows, [0, 0, 0], overlap, [False, False, bool(rng.random() < 0.5)])
    values = []
    for within in permutations(range(4)):  # the image and the pool are sorted apart, so both orders vary
        jittered = replace(detections, score=detections.score + np.array(within) / 100)
        found, count = loop_matches([(jittered, truth)], 0, "mask_all")
        for pooled in permutations((int(value), hit) for value, hit in found):
            values.append(loop_area([hit for _, hit in sorted(pooled, key=lambda pair: -pair[0])], count))
    result = score([(detections, truth)])
    assert result.AP_best[0] == pytest.approx(max(values), abs=1e-12)
    assert result.AP_worst[0] == pytest.approx(min(values), abs=1e-12)


@given(images(levels=4), st.integers(0, 2**32 - 1))
@settings(max_examples=200, deadline=None)
def test_adding_detections_below_all_others_never_lowers_the_score(made: list[Image], seed: int) -> None:
    rng = np.random.default_rng(seed)
    added = []
    for detections, truth in made:
        n = int(rng.integers(0, 6))
        more = Detections(
            np.append(detections.class_id, rng.integers(0, 3, n)),
            np.append(detections.score, -1 - rng.random(n)),
            np.append(detections.mask, rng.integers(0, len(truth.overlap), n)),
        )
        added.append((more, truth))
    before, after = score(made), score(added)
    known = ~np.isnan(before.AP)
    assert (after.AP_best[known] >= before.AP_best[known] - 1e-12).all()
    assert (after.AP_worst[known] >= before.AP_worst[known] - 1e-12).all()


def test_an_image_without_detections_still_counts_its_objects() -> None:
    result = score([image_of([], [3, 3], []), image_of([(3, 0.1, 0)], [3], [[1.0]])])
    assert result.AP[3] == pytest.approx(1 / 3)
