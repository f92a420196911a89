"""The proxies agree with scikit-learn, and undefined is NaN."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from common.metrics.ranking import (
    average_precision,
    cell_average_precision,
    image_average_precision,
    macro_f1,
    micro_f1,
    pool_images,
)


@pytest.mark.parametrize(
    ("scores", "truth", "expected"),
    [
        ([0.9, 0.8, 0.1], [1, 1, 0], 1.0),
        ([0.9, 0.8, 0.1], [0, 0, 1], 1 / 3),
        ([0.5, 0.5], [1, 0], 0.5),  # a tie cannot be ordered, so it counts half
        ([0.9, 0.5, 0.5], [1, 0, 1], (1 + 2 / 3) / 2),
    ],
)
def test_average_precision_by_hand(scores: list[float], truth: list[int], expected: float) -> None:
    assert average_precision(np.array(scores), np.array(truth)) == pytest.approx(expected)


def test_average_precision_without_positives_is_undefined() -> None:
    assert math.isnan(average_precision(np.array([0.3, 0.2]), np.array([0, 0])))
    assert math.isnan(average_precision(np.zeros(0), np.zeros(0)))


def test_a_score_without_a_place_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        average_precision(np.array([0.3, np.nan]), np.array([0, 1]))
    with pytest.raises(ValueError, match="do not fit"):
        average_precision(np.zeros(3), np.zeros(2))


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=60), st.randoms())
@settings(max_examples=200, deadline=None)
def test_average_precision_equals_scikit_learn_in_any_order_of_the_rows(
    rows: list[tuple[int, bool]], random: object
) -> None:
    scores, truth = np.array([row[0] / 6 for row in rows]), np.array([row[1] for row in rows])
    value = average_precision(scores, truth)
    if not truth.any():
        assert math.isnan(value)
        return
    assert value == pytest.approx(sklearn_metrics.average_precision_score(truth, scores), abs=1e-12)
    random.shuffle(rows)  # type: ignore[attr-defined]
    shuffled = average_precision(np.array([row[0] / 6 for row in rows]), np.array([row[1] for row in rows]))
    assert shuffled == pytest.approx(value, abs=1e-12)


def test_cell_average_precision_is_the_mean_over_classes_that_occur() -> None:
    rng = np.random.default_rng(1)
    probabilities, labels = rng.random((200, 19)), rng.random((200, 19)) < 0.1
    labels[:, [3, 11]] = False
    mean, per_class = cell_average_precision(probabilities, labels)
    present = [k for k in range(19) if k not in (3, 11)]
    expected = [sklearn_metrics.average_precision_score(labels[:, k], probabilities[:, k]) for k in present]
    np.testing.assert_allclose(per_class[present], expected, atol=1e-12)
    assert np.isnan(per_class[[3, 11]]).all()
    assert mean == pytest.approx(np.mean(expected))
    assert image_average_precision(probabilities, labels)[0] == mean


def test_cell_average_precision_without_any_label_is_undefined() -> None:
    assert math.isnan(cell_average_precision(np.zeros((4, 19)), np.zeros((4, 19)))[0])


def test_images_are_pooled_by_the_largest_cell() -> None:
    probabilities = np.array([[0.1, 0.9], [0.7, 0.2], [0.4, 0.3]])
    pooled = pool_images(probabilities, np.array([2, 0, 2]))
    np.testing.assert_array_equal(pooled[[0, 2]], [[0.7, 0.2], [0.4, 0.9]])
    assert np.isnan(pooled[1]).all()  # image 1 has no cell


def test_pooling_does_not_depend_on_the_order_of_the_cells() -> None:
    rng = np.random.default_rng(2)
    probabilities, image = rng.random((50, 19)), rng.integers(0, 7, 50)
    order = rng.permutation(50)
    np.testing.assert_array_equal(
        pool_images(probabilities, image), pool_images(probabilities[order], image[order])
    )
    assert pool_images(np.zeros((0, 19)), np.zeros(0, dtype=np.int64)).shape == (0, 19)


def test_f1_equals_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    probabilities, labels = rng.random((80, 19)), rng.random((80, 19)) < 0.3
    predicted = probabilities >= 0.5
    macro = sklearn_metrics.f1_score(labels, predicted, average="macro")
    assert macro_f1(probabilities, labels) == pytest.approx(macro)
    micro = sklearn_metrics.f1_score(labels, predicted, average="micro")
    assert micro_f1(probabilities, labels) == pytest.approx(micro)


def test_f1_leaves_out_classes_that_never_occur_and_is_undefined_without_any() -> None:
    probabilities, labels = np.zeros((3, 19)), np.zeros((3, 19))
    assert math.isnan(macro_f1(probabilities, labels))
    assert math.isnan(micro_f1(probabilities, labels))
    probabilities[0, 4] = labels[0, 4] = 1
    probabilities[:, 5] = 0.5  # the threshold is inclusive: predicted, never true
    assert macro_f1(probabilities, labels) == 0.5
    assert micro_f1(probabilities, labels) == pytest.approx(2 / (4 + 1))
