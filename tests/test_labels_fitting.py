"""Predictions fitted to scores: probabilities that are as high as scored cells are often."""

import numpy as np
import pytest
from scipy.special import expit

from common.errors import DataError
from common.labels.fitting import fit_to_scores


def test_the_noise_of_labels_is_found_again() -> None:
    rng = np.random.default_rng(0)
    raw, offsets = rng.normal(-2, 1, (20000, 3)), np.array([0.0, 2.0, 4.0])
    chance = expit(1.5 * raw + offsets)
    shown = (rng.random(raw.shape) < chance).astype(float)
    found = fit_to_scores(expit(raw), shown, np.ones_like(shown, bool), "pseudo")
    np.testing.assert_allclose(found, chance, atol=0.03)


def test_few_scores_of_a_class_leave_it_near_the_others() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.uniform(0.05, 0.4, (400, 2))
    shown = (rng.random((400, 2)) < 0.7).astype(float)
    scored = np.ones((400, 2), bool)
    scored[1:, 1], shown[0, 1] = False, 0
    found = fit_to_scores(predicted, shown, scored, "pseudo")
    assert 0.4 < found[:, 1].mean() < found[:, 0].mean() < 0.8


def test_order_within_a_class_stays_and_unknown_stays_unknown() -> None:
    predicted = np.array([[0.1], [0.2], [np.nan], [0.4], [0.6]])
    shown, scored = np.array([[0.0], [0], [0], [1], [1]]), np.array([[True], [True], [False], [True], [True]])
    found = fit_to_scores(predicted, shown, scored, "pseudo")[:, 0]
    assert np.isnan(found[2])
    assert (np.diff(found[~np.isnan(found)]) > 0).all()


def test_a_soft_score_counts_on_both_sides() -> None:
    predicted, scored = np.full((60, 1), 0.2), np.ones((60, 1), bool)
    found = fit_to_scores(predicted, np.tile([[0.9], [0.4]], (30, 1)), scored, "pseudo")
    np.testing.assert_allclose(found, 0.65, atol=0.02)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_scores_of_one_kind_tell_nothing(score: float) -> None:
    scored = np.array([[True], [True], [False]])
    with pytest.raises(
        DataError, match="pseudo: 2 scored cells are predicted, and fitted_to needs some that show"
    ):
        fit_to_scores(np.full((3, 1), 0.5), np.full((3, 1), score), scored, "pseudo")
