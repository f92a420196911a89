"""Which classes a simulated cell has, and the weak labels of its sample."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest

from common.classes import CLASSES, NEGATIVE
from common.simulate.difficulty import conditions_at
from common.simulate.fields import judge_truth
from common.simulate.label_sets import class_shares, deal_label_sets, label_sets
from common.simulate.labels import SHOWN, blur_labels, express, label_sample
from common.simulate.shapes import Cell


def truth_of(*cells: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    return np.array([np.isin(np.arange(len(CLASSES)), cell) for cell in cells], np.uint8)


def stub(mitotic: bool) -> Cell:
    """All that ``express`` asks of a cell."""
    return cast(Cell, SimpleNamespace(mitotic=mitotic))


@pytest.mark.parametrize(
    ("truths", "expected"),
    [
        ([truth_of((0,), (0, 7), (18,))], (0, 7)),
        ([truth_of((0,), (16,)), truth_of((0,), (18,)), truth_of((16,), (16,))], (0, 16)),
        (
            [truth_of((0,), (16,)), truth_of((16,)), truth_of((16,))],
            (16,),
        ),  # one of three fields is no majority
        ([truth_of((0,), *[(16,)] * 10)], (16,)),  # 1 of 11 cells is less than a tenth
        ([truth_of((0,)), truth_of((16,), (16,))], (16,)),  # no majority: what shows in most cells
        ([truth_of((12,), *[(18,)] * 10)], (12,)),  # one centrosome is enough
        ([truth_of((18,), (18,))], (NEGATIVE,)),
    ],
)
def test_labels_of_a_sample_by_hand(truths: list[npt.NDArray[np.uint8]], expected: tuple[int, ...]) -> None:
    assert label_sample(truths) == expected


def test_label_noise_misses_and_adds_at_its_rates() -> None:
    rng = np.random.default_rng(0)
    labels = [blur_labels((0, 16), rng, label_noise=1) for _ in range(4000)]
    missed = 1 - np.mean([0 in given for given in labels])
    added = np.mean([bool(set(given) - {0, 16}) for given in labels])
    shares = class_shares()[:NEGATIVE]
    assert missed == pytest.approx(0.03, abs=0.01)
    assert added == pytest.approx(0.015 * (1 - shares[[0, 16]].sum() / shares.sum()), abs=0.006)


def test_people_never_miss_the_only_label_and_never_add_negative() -> None:
    rng = np.random.default_rng(0)
    for labels in ((5,), (NEGATIVE,)):
        blurred = [blur_labels(labels, rng, label_noise=10) for _ in range(500)]
        assert all(set(labels) <= set(given) for given in blurred)
    assert {blur_labels((NEGATIVE,), rng, label_noise=10) for _ in range(100)} == {(NEGATIVE,)}
    assert {blur_labels((0, 5, 16), rng, label_noise=0) for _ in range(100)} == {(0, 5, 16)}


def test_label_sets_are_as_frequent_as_in_the_atlas(shared: Path) -> None:
    real = json.loads((shared / "data/labels/label_sets.json").read_text())["combos"]
    shares = dict(zip(*label_sets(), strict=True))
    images = sum(real.values())
    named = {tuple(sorted(map(int, key.split("|")))): count / images for key, count in real.items()}
    distance = sum(abs(shares.get(s, 0) - named.get(s, 0)) for s in {*shares, *named}) / 2
    assert distance < 0.05


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_dealt_label_sets_follow_their_distribution(balance: float) -> None:
    dealt = deal_label_sets(np.random.default_rng(0), 20_000, balance, frozenset(range(len(CLASSES))))
    counts = np.bincount([c for classes in dealt for c in classes], minlength=len(CLASSES))
    if balance:
        assert counts.min() > 20_000 / len(CLASSES) * 0.9, "each class is the rarest of as many sets"
    else:
        np.testing.assert_allclose(counts / len(dealt), class_shares(), atol=0.03)


def test_the_share_of_positive_cells_is_that_of_the_checked_cells() -> None:
    rng, cells = np.random.default_rng(0), [stub(mitotic=False)] * 20
    shown = [express(rng, (5,), cells, conditions_at(0.4)).brightness[:, 5] > 0 for _ in range(400)]
    assert np.mean(shown) == pytest.approx(SHOWN[5, 0], abs=0.05)
    per_field = np.mean(shown, axis=1)
    assert np.mean((per_field < 0.25) | (per_field > 0.75)) > 0.5, "U-shaped"


def test_dividing_cells_show_a_spindle_and_no_nucleus() -> None:
    cells = [stub(mitotic=True), stub(mitotic=False)] * 50
    shown = express(np.random.default_rng(0), (0, 10), cells, conditions_at(0.4)).brightness > 0
    dividing, resting = shown[::2], shown[1::2]
    assert not dividing[:, [0, 10]].any()
    assert dividing[:, 11].any()
    assert dividing[:, 16].any()
    assert not resting[:, 11].any()


def test_a_class_too_faint_to_see_is_not_true() -> None:
    energies = np.zeros((4, len(CLASSES)))
    energies[:3, 5] = [10, 10, 0.79]  # the median is 10, and 8 % of it .8
    truth = judge_truth(energies)
    assert truth[:, 5].tolist() == [1, 1, 0, 0]
    assert truth[:, NEGATIVE].tolist() == [0, 0, 1, 1]


def test_no_silent_cell_shows_a_class_not_even_a_spindle() -> None:
    expression = express(np.random.default_rng(0), (11,), [stub(mitotic=True)] * 500, conditions_at(0.4))
    assert not expression.brightness[expression.silent].any()
    waiting = express(np.random.default_rng(0), (16,), [stub(mitotic=False)] * 500, conditions_at(0.4))
    assert waiting.silent.any()
