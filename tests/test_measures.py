"""What is measured of a cell's pixels: by hand, by property, and against scikit-image."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import regionprops

from common.cells import measure_cells, read_mask
from common.classes import COLORS
from common.images import find_fields, read_image
from common.measures import QUALITY, free_shares, measure_quality, sharpness
from common.simulate.fields import simulate
from common.simulate.samples import SimulateParams

Draw = Callable[..., np.ndarray]


def measured(image: np.ndarray, nuclei: np.ndarray, cells: np.ndarray) -> pd.DataFrame:
    return measure_quality(image, nuclei, cells, measure_cells("a", nuclei, cells)).set_index("cell_id")


def field_with(nuclei: dict[int, tuple[slice, slice]], side_px: int = 512) -> pd.DataFrame:
    """Measures of cells that are boxes round their nuclei, in a grey picture."""
    masks = np.zeros((2, side_px, side_px), np.uint16)
    for cell_id, (y, x) in nuclei.items():
        masks[1, max(0, y.start - 5) : y.stop + 5, max(0, x.start - 5) : x.stop + 5] = cell_id
        masks[0, y, x] = cell_id
    return measured(np.full((4, side_px, side_px), 50, np.uint8), *masks)


def test_brightness_by_hand() -> None:
    cells = np.zeros((8, 8), np.uint16)
    cells[1:3, 1:4], cells[5:7, 5:7] = 2, 7
    nuclei = np.zeros_like(cells)
    nuclei[1, 1:3] = 2
    image = np.arange(4 * 64).reshape(4, 8, 8).astype(np.uint8)
    found = measured(image, nuclei, cells)
    assert list(found.columns[-len(QUALITY) :]) == QUALITY
    assert found["area_share"].tolist() == [6 / 64, 4 / 64]
    for channel, color in enumerate(COLORS):
        assert found[f"{color}_mean"].tolist() == [64 * channel + 14, 64 * channel + 49.5]
    assert found["nucleus_blue_mean"].tolist()[0] == 128 + 9.5
    assert np.isnan(found["nucleus_blue_mean"].tolist()[1])
    assert found["green_top"].tolist() == [64 + 19, 64 + 54]  # a picture so small: one pixel


def test_measures_do_not_depend_on_bit_depth_or_on_numbers(draw_image: Draw) -> None:
    image, (nuclei, cells) = draw_image(0, 96), round_masks(96)
    found = measured(image, nuclei, cells)
    deep = measured(image.astype(np.uint16) * 257, nuclei, cells)
    pd.testing.assert_frame_equal(deep, found, rtol=1e-4)
    renumbered = measured(image, nuclei * np.uint16(3), cells * np.uint16(3))
    pd.testing.assert_frame_equal(renumbered.reset_index(drop=True), found.reset_index(drop=True))


def round_masks(side_px: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:side_px, :side_px] / side_px
    distance = np.stack([np.hypot(y - a, x - b) for a, b in ((0.2, 0.25), (0.7, 0.3), (0.45, 0.75), (1, 1))])
    nearest = distance.argmin(axis=0) + 1
    nuclei, cells = (np.where(distance.min(axis=0) < r, nearest, 0).astype(np.uint16) for r in (0.1, 0.2))
    return nuclei, cells


@pytest.mark.parametrize("seed", range(4))
def test_means_and_tops_as_by_scikit_image(draw_image: Draw, seed: int) -> None:
    image, (nuclei, cells) = draw_image(seed, 120), round_masks(120)
    found = measured(image, nuclei, cells)
    for region in regionprops(cells, np.moveaxis(image, 0, -1)):
        row = found.loc[region.label]
        assert row[[f"{c}_mean" for c in COLORS]].tolist() == pytest.approx(region.intensity_mean.tolist())
        assert row["green_top"] == image[1][cells == region.label].max()
    for region in regionprops(nuclei, image[2]):
        assert found.loc[region.label, "nucleus_blue_mean"] == pytest.approx(region.intensity_mean)


def test_the_top_is_of_ten_pixels_at_2048_and_of_an_equal_area_elsewhere() -> None:
    for side_px, count in ((2048, 10), (4096, 40), (1024, 2)):
        cells = np.zeros((side_px, side_px), np.uint16)
        cells[:8, :8] = 1
        image = np.zeros((4, side_px, side_px), np.uint8)
        image[1, :8, :8] = np.arange(64).reshape(8, 8)
        expected = np.arange(64)[-count:].mean()
        assert measured(image, cells, cells)["green_top"].tolist() == [expected]


def test_free_shares_by_hand() -> None:
    cross = np.array([[0, 1, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]], np.uint8)
    assert free_shares(cross) == (0.5, 2 / 3)
    assert free_shares(np.ones((3, 9), np.uint8)) == (0, 0)
    assert np.isnan(free_shares(np.zeros((0, 0), np.uint8))).all()


@given(st.integers(0, 10_000), st.integers(3, 30))
def test_a_round_nucleus_ends_free_and_its_half_does_not(seed: int, radius: int) -> None:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (np.hypot(y, x) <= radius).astype(np.uint8)
    assert min(free_shares(disc)) > 0.4
    assert free_shares(disc[radius:])[0] == 0
    assert free_shares(disc[:, : radius + 1])[1] == 0
    assert free_shares(disc[::-1]) == free_shares(disc.T) == free_shares(disc)


FULL = {1: np.s_[100:140, 100:140], 2: np.s_[200:240, 200:240], 3: np.s_[300:340, 200:240]}


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (np.s_[0:10, 250:290], True),  # a sliver at the top
        (np.s_[502:512, 250:290], True),
        (np.s_[250:290, 1:11], True),  # one pixel off the border
        (np.s_[250:290, 3:13], False),  # three off it
        (np.s_[0:30, 250:290], False),  # most of a nucleus
        (np.s_[250:260, 250:290], False),  # in the middle
    ],
)
def test_a_border_nucleus_is_small_and_at_the_border(box: tuple[slice, slice], expected: bool) -> None:
    found = field_with({**FULL, 9: box})["border_nucleus"]
    assert found.to_dict() == {1: False, 2: False, 3: False, 9: expected}


def test_a_long_sliver_that_leaves_the_band_is_no_border_nucleus() -> None:
    wide = {cell_id: np.s_[y : y + 20, 100:120] for cell_id, y in ((1, 100), (2, 200), (3, 300))}
    # the median nucleus has 400 px, so the band is 60 px wide and a small box has less than 133 px
    assert field_with({**wide, 9: np.s_[400:402, 0:59]})["border_nucleus"].tolist() == [False] * 3 + [True]
    assert field_with({**wide, 9: np.s_[400:402, 0:61]})["border_nucleus"].tolist() == [False] * 4


def test_no_nucleus_no_border_nucleus() -> None:
    nuclei, cells = round_masks(64)
    found = measured(np.zeros((4, 64, 64), np.uint8), np.zeros_like(nuclei), cells)
    assert not found["border_nucleus"].any()
    assert found[["nucleus_free_rows", "nucleus_free_columns", "nucleus_blue_mean"]].isna().all(axis=None)


def test_an_image_without_cells_has_all_columns() -> None:
    empty = np.zeros((16, 16), np.uint16)
    assert list(measured(np.zeros((4, 16, 16), np.uint8), empty, empty).columns[-len(QUALITY) :]) == QUALITY


def test_sharpness_as_by_scipy(draw_image: Draw) -> None:
    plane = np.random.default_rng(0).integers(20, 200, (1, 512, 512)).astype(np.uint8)
    _, cells = round_masks(512)
    found = sharpness(plane, cells, pd.Series([4, 1]))[0]
    kernel = [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    smooth = ndimage.gaussian_filter(plane[0].astype(float), 1, mode="mirror")
    detail = ndimage.convolve(smooth, kernel, mode="mirror")
    for value, cell_id in zip(found, (4, 1), strict=True):
        own = cells == cell_id
        assert value == pytest.approx(detail[own].var() / plane[0][own].mean() ** 2, rel=0.02)


def test_sharpness_is_the_same_for_a_picture_half_as_bright_or_of_another_size() -> None:
    field = next(iter(simulate(SimulateParams(fields=1, test_fields=0, side_px=1024, seed=2))))
    planes, ids = field.image[:3:2], pd.Series([1, 2, 3])
    sharp = sharpness(planes, round_masks(1024)[1], ids)
    np.testing.assert_allclose(sharpness(planes // 2, round_masks(1024)[1], ids), sharp, rtol=0.15)
    larger = np.stack([cv2.resize(plane, (2048, 2048)) for plane in planes])
    np.testing.assert_allclose(sharpness(larger, round_masks(2048)[1], ids), sharp, rtol=0.15)


def test_a_cell_that_vanishes_has_no_sharpness() -> None:
    cells = np.zeros((2048, 2048), np.uint16)
    cells[0, 0], cells[500:900, 500:900] = 1, 2
    found = sharpness(np.full((1, 2048, 2048), 9, np.uint8), cells, pd.Series([1, 2]))[0]
    assert np.isnan(found[0])
    assert found[1] == 0


@pytest.mark.parametrize("sigma_um", [1.0, 2.0])
def test_defocus_is_seen_in_real_cells(shared: Path, sigma_um: float) -> None:
    fields, _ = find_fields(shared / "data/fields")
    field = fields[0]
    image = read_image(field)
    cells = read_mask(shared / f"data/fields_masks/{field.image_id}_cell.png")
    blurred = [
        cv2.GaussianBlur(plane.astype(np.float32), (0, 0), sigma_um / 164 * 2048) for plane in image[:3:2]
    ]
    noise = np.random.default_rng(0).normal(0, 1, (2, *cells.shape)) * np.sqrt(np.stack(blurred) + 1)
    ids = pd.Series(range(1, int(cells.max()) + 1))
    focus = sharpness(image[:3:2], cells, ids).max(axis=0)
    defocused = sharpness(np.clip(blurred + noise, 0, 255).astype(np.uint8), cells, ids).max(axis=0)
    assert focus.min() > 0.03
    assert defocused.max() < 0.015
