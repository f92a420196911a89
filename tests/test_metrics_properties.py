"""The competition's score by its properties, and against a plain loop over detections."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.metrics.matching import MODES, Detections, Mode
from tests.metric_cases import Image, image_of, images, loop_area, loop_average_precision, loop_matches, score


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
