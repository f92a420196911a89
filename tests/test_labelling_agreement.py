"""Agreement by hand and by scikit-learn, and what several scores of a cell amount to."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from common.labelling.agreement import agreement, disputed, settle, weighted_kappa


def table(*rows: tuple[str, int, int | None] | tuple[str, int, int | None, str]) -> pd.DataFrame:
    """Standing events: rater, x, score and perhaps the kind."""
    given = [(rater, x, score, *(kind or ["score"])) for rater, x, score, *kind in rows]
    events = pd.DataFrame(given, columns=["rater", "x", "score", "kind"]).assign(
        image_id="a", y=0, class_id=11
    )
    return events.astype({"score": "Int64"})


def test_kappa_by_hand() -> None:
    first, second = np.array([0, 5, 0, 5]), np.array([0, 5, 5, 5])
    # apart: 25 once; by chance 2 * 3 / 4 + 2 * 1 / 4 = 2 cells of 4 apart by 5
    assert weighted_kappa(first, second) == pytest.approx(1 - 25 / 50)
    assert weighted_kappa(first, first) == 1
    assert np.isnan(weighted_kappa(np.array([3, 3]), np.array([3, 3])))
    assert np.isnan(weighted_kappa(np.array([], int), np.array([], int)))


def test_kappa_as_scikit_learn_has_it() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        first = rng.integers(0, 6, 50)
        second = np.clip(first + rng.integers(-2, 3, 50), 0, 5)
        expected = cohen_kappa_score(first, second, weights="quadratic", labels=range(6))
        assert weighted_kappa(first, second) == pytest.approx(expected)


def test_raters_are_compared_on_the_cells_of_both() -> None:
    found = agreement(
        table(("Ann", 1, 5), ("Ann", 2, 0), ("Ann", 3, 3), ("Bob", 1, 5), ("Bob", 2, 1), ("Bob", 4, 1))
    )
    assert found[["first", "second", "cells", "same"]].to_numpy().tolist() == [["Ann", "Bob", 2, 0.5]]
    assert agreement(table(("Ann", 1, 5), ("Bob", 2, 5))).empty


def test_the_middle_score_counts_the_lower_of_two_and_a_review_before_all() -> None:
    events = table(
        *(("Ann", 1, 0), ("Bob", 1, 5), ("Cy", 1, 4)),
        *(("Ann", 2, 2), ("Bob", 2, 3)),
        *(("Ann", 3, 0), ("Bob", 3, 5), ("Cy", 3, 3, "review")),
        *(("Ann", 4, None, "skip"),),
        *(("Ann", 5, 4, "review"),),
    )
    settled = settle(events)
    assert settled[["x", "score", "raters", "lowest", "highest", "reviewed"]].to_numpy().tolist() == [
        [1, 4, 3, 0, 5, False],
        [2, 2, 2, 2, 3, False],
        [3, 3, 2, 0, 5, True],
        [5, 4, 0, 4, 4, True],
    ]
    assert disputed(settled)["x"].tolist() == [1]


def test_disputes_come_widest_first() -> None:
    settled = settle(
        table(("Ann", 1, 1), ("Bob", 1, 3), ("Ann", 2, 0), ("Bob", 2, 5), ("Ann", 3, 4), ("Bob", 3, 5))
    )
    assert disputed(settled)["x"].tolist() == [2, 1]
