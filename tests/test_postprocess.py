"""The steps after the networks: their order, and system B's published constants."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.classes import PROBABILITIES
from common.errors import DataError, ParamsError
from common.measures import QUALITY
from common.params import build
from common.postprocess import ImageMean, Postprocess, postprocess, postprocess_images, towards_image_mean
from common.quality import Weights

PUBLISHED = Postprocess(negative="one_minus_max", quality=Weights(), image_mean=ImageMean())


def cells_of(image_ids: str, missing: str) -> pd.DataFrame:
    """A cell a letter of ``image_ids``, without any flaw but a missing nucleus where ``missing`` has an x."""
    sound = {name: 1.0 for name in QUALITY} | {"green_top": 0.0, "area_share": 0.1}
    flags = {"border_nucleus": False, "touches_border": False, "area_px": 100.0}
    table = pd.DataFrame([sound | flags] * len(image_ids))
    table["nucleus_blue_mean"] = [0.0 if mark == "x" else 1.0 for mark in missing]
    return table.assign(image_id=list(image_ids), cell_id=range(1, len(table) + 1), nucleus_area_px=10)


def table_of(cells: pd.DataFrame, probabilities: np.ndarray) -> pd.DataFrame:
    values = pd.DataFrame(probabilities.astype(np.float32), columns=list(PROBABILITIES))
    return pd.concat([cells[["image_id", "cell_id"]], values], axis=1)


def test_the_published_order_by_hand() -> None:
    """Negative first, then the weight, .01 of a cell without a nucleus, then .7 / .3."""
    cells = cells_of("aaa", "..x")
    given = np.zeros((3, 19))
    given[:, 2], given[:, 11] = (0.8, 0.4, 0.6), (0.1, 0.2, 0.3)
    found = postprocess(table_of(cells, given), cells, PUBLISHED)
    np.testing.assert_allclose(
        found["p_2"], [0.7 * 0.8 + 0.3 * 0.6, 0.7 * 0.4 + 0.3 * 0.6, 0.01 * 0.6], rtol=1e-5
    )
    np.testing.assert_allclose(found["p_11"], [0.1, 0.2, 0.003], rtol=1e-5)
    np.testing.assert_allclose(found["p_18"], [0.2, 0.6, 0.004], rtol=1e-5)


def test_as_published_debris_gets_the_whole_mean_again() -> None:
    cells = cells_of("aaa", "..x")
    given = np.zeros((3, 19))
    given[:, 2] = 0.8, 0.4, 0.5
    params = PUBLISHED.model_copy(update={"image_mean": ImageMean(discarded_too=True)})
    found = postprocess(table_of(cells, given), cells, params)
    assert found["p_2"].iloc[2] == pytest.approx(0.7 * 0.005 + 0.3 * 0.6)
    same = postprocess(table_of(cells, given), cells, PUBLISHED)
    np.testing.assert_array_equal(found.iloc[:2, 2:], same.iloc[:2, 2:])


def test_the_table_of_the_first_final_submission() -> None:
    weights = build(ImageMean, {"weight": 0.35, "by_class": "final_1"}, "").weights
    expected = np.full(19, 0.35)
    expected[[0, 11, 16, 18]], expected[[1, 14]], expected[13] = 0, 0.25, 0.4
    np.testing.assert_allclose(weights, expected)


def test_without_a_whole_cell_an_image_stays_as_it_is() -> None:
    cells = cells_of("ab", "x.")
    given = np.full((2, 19), 0.5)
    found = postprocess(table_of(cells, given), cells, Postprocess(quality=Weights(), image_mean=ImageMean()))
    assert found["p_3"].tolist() == pytest.approx([0.005, 0.5])


def test_cells_are_found_by_name_not_by_place() -> None:
    cells = cells_of("ab", "x.")
    table = table_of(cells, np.full((2, 19), 0.5))
    found = postprocess(table, cells.iloc[::-1], Postprocess(quality=Weights()))
    assert found["p_3"].tolist() == pytest.approx([0.005, 0.5])


@given(
    arrays(np.float32, (6, 19), elements=st.floats(0, 1, width=32)),
    arrays(np.float32, 6, elements=st.sampled_from([0.0, 0.01, 1.0])),
    st.booleans(),
)
def test_blended_values_stay_probabilities(found: np.ndarray, weight: np.ndarray, discarded: bool) -> None:
    image_ids, params = pd.Series(list("aaabbb")), ImageMean(discarded_too=discarded)
    blended = towards_image_mean(found * weight[:, None], image_ids, weight, params)
    assert ((blended >= 0) & (blended <= 1)).all()
    np.testing.assert_array_equal(blended[:, [11, 18]], (found * weight[:, None])[:, [11, 18]])
    if not discarded:
        assert (blended <= weight[:, None] + 1e-6).all()


def test_nothing_is_done_unless_it_is_named() -> None:
    cells = cells_of("ab", "x.")
    table = table_of(cells, np.random.default_rng(0).random((2, 19)))
    pd.testing.assert_frame_equal(postprocess(table, cells, Postprocess()), table)


def test_of_images_only_negative_follows_a_rule() -> None:
    table = pd.DataFrame([["a", *[0.25] * 19]], columns=["image_id", *PROBABILITIES])
    found = postprocess_images(table, PUBLISHED)
    assert (found["p_18"].item(), found["p_0"].item()) == (0.75, 0.25)


def test_a_cells_table_without_measures_is_refused() -> None:
    cells = cells_of("a", ".").drop(columns="red_mean")
    with pytest.raises(DataError, match="lacks the columns red_mean"):
        postprocess(table_of(cells, np.zeros((1, 19))), cells, PUBLISHED)


@pytest.mark.parametrize("wrong", [{"weight": 1.1}, {"by_class": {"19": 0.1}}, {"by_class": "final_2"}])
def test_weights_out_of_bounds_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ParamsError, match=next(iter(wrong))):
        build(Postprocess, {"image_mean": wrong}, "recipe")
