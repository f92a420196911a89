"""Metrics of soft labels: by hand, by property, against plain loops."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.metrics.ranking import cell_average_precision, macro_f1, micro_f1
from common.metrics.soft import binned_accuracy, soft_ranking, soft_ranking_map
from common.metrics.validation import validation_metrics

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("probabilities", "targets", "expected"),
    [
        ([0.04, 0.05, 0.99], [0.0, 0.0, 1.0], 2 / 3),  # .05 opens a bin, 1 lies in the last
        ([0.36, 0.349], [0.35, 0.35], 0.5),
        ([0.9, 0.1], [math.nan, 0.1], 1.0),
    ],
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_binned_accuracy_by_hand(
    probabilities: list[float], targets: list[float], expected: float, kind: type[np.floating]
) -> None:
    found = binned_accuracy(np.array([probabilities], kind), np.array([targets], kind))
    assert found == pytest.approx(expected)


def test_binned_accuracy_equals_numbering_the_twentieths() -> None:
    rng = np.random.default_rng(0)
    probabilities, targets = rng.random((2, 500, 19))
    same = np.minimum(np.floor(probabilities * 20), 19) == np.minimum(np.floor(targets * 20), 19)
    assert binned_accuracy(probabilities, targets) == pytest.approx(same.mean())
    assert binned_accuracy(targets, targets) == 1
    assert math.isnan(binned_accuracy(targets[:0], targets[:0]))


@pytest.mark.parametrize(
    ("scores", "targets", "expected"),
    [
        ([3, 2, 1], [1.0, 0.5, 0.0], 1.0),
        ([1, 2, 3], [1.0, 0.5, 0.0], (0 + 0.5 / 2 + 1.5 / 3) / (1 + 1.5 / 2 + 1.5 / 3)),
        ([1, 1], [1.0, 0.0], (0.5 + 0.5) / (1 + 0.5)),  # either order counts half
        ([3, 2, 1], [math.nan, 0.5, 0.0], 1.0),
    ],
)
def test_soft_ranking_by_hand(scores: list[int], targets: list[float], expected: float) -> None:
    assert soft_ranking(np.array(scores, float), np.array(targets)) == pytest.approx(expected)


@given(ROWS)
@settings(max_examples=100, deadline=None)
def test_soft_ranking_is_the_mean_over_all_orders_of_equal_scores(rows: list[tuple[int, int]]) -> None:
    def mean_so_far(labels: list[float]) -> float:
        return sum(sum(labels[: rank + 1]) / (rank + 1) for rank in range(len(labels)))

    orders = [
        order
        for order in itertools.permutations(rows)
        if [s for s, _ in order] == sorted((s for s, _ in rows))[::-1]
    ]
    found = soft_ranking(np.array([s for s, _ in rows], float), np.array([t / 4 for _, t in rows]))
    best = mean_so_far(sorted((t / 4 for _, t in rows), reverse=True))
    if best == 0:
        assert math.isnan(found)
        return
    assert found == pytest.approx(
        np.mean([mean_so_far([t / 4 for _, t in order]) for order in orders]) / best
    )
    assert 0 < found <= 1 + 1e-12


def test_the_soft_ranking_of_several_classes_is_the_mean_over_those_that_occur() -> None:
    rng = np.random.default_rng(1)
    scores, targets = rng.random((2, 30, 3))
    targets[:, 1] = 0
    expected = (soft_ranking(scores[:, 0], targets[:, 0]) + soft_ranking(scores[:, 2], targets[:, 2])) / 2
    assert soft_ranking_map(scores, targets) == pytest.approx(expected)
    assert soft_ranking_map(targets, targets) == pytest.approx(1)
    assert math.isnan(soft_ranking_map(scores, np.zeros((30, 3))))


def test_validation_measures_what_the_metrics_say() -> None:
    rng = np.random.default_rng(2)
    probabilities, targets = rng.random((2, 40, 5)).astype(np.float32)
    assert validation_metrics(probabilities, targets) == {
        "val/map": cell_average_precision(probabilities, targets > 0.5)[0],
        "val/macro_f1": macro_f1(probabilities, targets > 0.5),
        "val/micro_f1": micro_f1(probabilities, targets > 0.5),
        "val/binned_accuracy": binned_accuracy(probabilities, targets),
        "val/soft_map": soft_ranking_map(probabilities, targets),
    }


def test_unknown_labels_count_nowhere() -> None:
    rng = np.random.default_rng(3)
    probabilities, targets = rng.random((2, 40, 1))
    unknown = rng.random(40) < 0.3
    blank = np.where(unknown[:, None], np.nan, targets)
    assert validation_metrics(probabilities, blank) == pytest.approx(
        validation_metrics(probabilities[~unknown], targets[~unknown])
    )


def test_without_a_positive_the_rankings_are_undefined() -> None:
    found = validation_metrics(np.full((4, 3), 0.2), np.zeros((4, 3)))
    assert math.isnan(found["val/map"])
    assert math.isnan(found["val/soft_map"])
    assert found["val/binned_accuracy"] == 0
