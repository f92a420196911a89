"""Which classes a simulated cell has, and the weak labels of its sample."""

import numpy as np
import numpy.typing as npt
import pytest

from common.classes import CLASSES, NEGATIVE
from common.simulate.fields import judge_truth
from common.simulate.labels import class_weights, label_sample


def truth_of(*cells: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    return np.array([np.isin(np.arange(len(CLASSES)), cell) for cell in cells], np.uint8)


@pytest.mark.parametrize(
    ("truths", "expected"),
    [
        ([truth_of((0,), (0, 7), (18,))], (0, 7)),
        ([truth_of((0,), (16,)), truth_of((0,), (18,)), truth_of((16,), (16,))], (0, 16)),
        ([truth_of((0,)), truth_of((16,))], (NEGATIVE,)),  # one of two fields is no majority
        ([truth_of((0,), *[(18,)] * 10)], (NEGATIVE,)),  # 1 of 11 cells is less than a tenth
        ([truth_of((12,), *[(18,)] * 10)], (12,)),  # one centrosome is enough
        ([truth_of((18,), (18,))], (NEGATIVE,)),
    ],
)
def test_labels_of_a_sample_by_hand(truths: list[npt.NDArray[np.uint8]], expected: tuple[int, ...]) -> None:
    assert label_sample(truths, np.random.default_rng(0), label_noise=0) == expected


def test_label_noise_misses_and_adds_at_its_rates() -> None:
    rng = np.random.default_rng(0)
    labels = [label_sample([truth_of((0,), (16,))], rng, label_noise=1) for _ in range(4000)]
    missed = 1 - np.mean([0 in given for given in labels])
    added = np.mean([bool(set(given) - {0, 16, NEGATIVE}) for given in labels])
    assert missed == pytest.approx(0.03, abs=0.01)
    assert added == pytest.approx(0.015 * (1 - class_weights()[[0, 16, 18]].sum()), abs=0.006)


def test_a_class_too_faint_to_see_is_not_true() -> None:
    energies = np.zeros((4, len(CLASSES)))
    energies[:3, 5] = [10, 10, 0.79]  # the median is 10, and 8 % of it .8
    truth = judge_truth(energies)
    assert truth[:, 5].tolist() == [1, 1, 0, 0]
    assert truth[:, NEGATIVE].tolist() == [0, 0, 1, 1]
