"""The class Negative by rule."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.negative_class import NegativeRule, with_negative

RULES: tuple[NegativeRule, ...] = ("output", "one_minus_max", "product")


def test_the_rules_by_hand() -> None:
    cell = np.zeros((1, 19))
    cell[0, [3, 16, 18]] = 0.5, 0.2, 0.9
    found = {rule: with_negative(cell, rule)[0, 18] for rule in RULES}
    assert found == pytest.approx({"output": 0.9, "one_minus_max": 0.5, "product": 0.4})


@given(arrays(np.float32, (5, 19), elements=st.floats(0, 1, width=32)), st.sampled_from(RULES))
def test_the_patterns_stay_and_negative_is_a_probability(cells: np.ndarray, rule: NegativeRule) -> None:
    before = cells.copy()
    found = with_negative(cells, rule)
    np.testing.assert_array_equal(found[:, :18], cells[:, :18])
    np.testing.assert_array_equal(cells, before)
    assert found.shape == (5, 19)
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    if rule != "output":
        np.testing.assert_array_equal(with_negative(cells[:, :18], rule), found)


@given(arrays(np.float64, (4, 18), elements=st.floats(0, 1)))
def test_the_product_never_exceeds_the_smallest_factor(cells: np.ndarray) -> None:
    least, product = (with_negative(cells, rule)[:, 18] for rule in RULES[1:])
    np.testing.assert_array_equal(least, [min(1 - p for p in cell) for cell in cells])
    np.testing.assert_allclose(
        product, [np.exp(np.sum(np.log1p(-cell[cell < 1]))) * (cell < 1).all() for cell in cells]
    )
    assert (product <= least).all()


def test_no_cells_stay_no_cells() -> None:
    assert with_negative(np.empty((0, 18), np.float32), "one_minus_max").shape == (0, 19)


@pytest.mark.parametrize(("columns", "rule"), [(18, "output"), (17, "product"), (20, "one_minus_max")])
def test_other_numbers_of_classes_are_refused(columns: int, rule: NegativeRule) -> None:
    with pytest.raises(ValueError, match=rf"the rule {rule} has no use for probabilities \(2, {columns}\)"):
        with_negative(np.zeros((2, columns)), rule)
