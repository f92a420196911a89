"""Pictures of predictions: what is drawn where."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageColor
from scipy import ndimage

from common.classes import CLASSES, PROBABILITIES
from common.overlay import (
    FLAWED,
    PALETTE,
    WIDTH_PX,
    display_colors,
    draw_masks,
    draw_overlay,
    short_name,
    write_overlay,
)

DARK = np.zeros((4, 140, 140), np.uint8)
MASK = np.zeros((140, 140), np.uint16)
MASK[20:60, 20:60], MASK[80:130, 70:135] = 1, 5


def predictions_of(classes: dict[int, int]) -> pd.DataFrame:
    table = pd.DataFrame(0.1, index=range(len(classes)), columns=list(PROBABILITIES))
    table.insert(0, "image_id", "a")
    table.insert(1, "cell_id", list(classes))
    for row, class_id in enumerate(classes.values()):
        table.loc[row, f"p_{class_id}"] = 0.87
    return table


def places_of(picture: Image.Image, class_id: int, height: int) -> np.ndarray:
    """Where the class's own colour is, in the part with pixels."""
    return (np.asarray(picture)[:height] == ImageColor.getrgb(PALETTE[class_id])).all(axis=-1)


@pytest.mark.parametrize(("first", "second"), [(0, 16), (18, 7), (12, 3)])
def test_each_cell_is_outlined_in_the_colour_of_its_class(first: int, second: int) -> None:
    picture = draw_overlay(DARK, MASK, predictions_of({1: first, 5: second}))
    assert picture.width == WIDTH_PX
    for cell_id, class_id in ((1, first), (5, second)):
        large = np.kron(np.equal(MASK, cell_id), np.ones((10, 10), bool))
        near_edge = ndimage.binary_dilation(large, iterations=3) & ~ndimage.binary_erosion(
            large, iterations=4
        )
        edge = large & ~ndimage.binary_erosion(large)
        places = places_of(picture, class_id, WIDTH_PX)
        assert places[edge].mean() > 0.9
        assert not (places & ~near_edge & ~large).any()  # the name lies within the cell


def test_masks_alone_are_outlined_flawed_cells_in_orange() -> None:
    nuclei = np.zeros_like(MASK)
    nuclei[30:40, 30:40] = 1
    shown = np.asarray(draw_masks(DARK, nuclei, MASK, {5}))
    for cell_id, color in ((1, "#ffffff"), (5, FLAWED)):
        large = np.kron(np.equal(MASK, cell_id), np.ones((10, 10), bool))
        edge = large & ~ndimage.binary_erosion(large)
        assert (shown[edge] == ImageColor.getrgb(color)).all(axis=-1).mean() > 0.9
    yellow = (shown[..., 0] > 150) & (shown[..., 2] < 150) & (shown[..., 1] > shown[..., 2])
    assert yellow[300, 300:400].mean() > 0.9
    assert not yellow[202:290, 202:590].any()
    assert not yellow[410:590, 202:590].any()


def test_a_cell_without_a_prediction_is_not_drawn() -> None:
    picture = np.asarray(draw_overlay(DARK, MASK, predictions_of({1: 0})))
    assert not picture[750:1330, 650:].any()


def test_an_image_without_cells_says_so() -> None:
    picture = np.asarray(draw_overlay(DARK, np.zeros_like(MASK), predictions_of({})))
    assert not picture[:WIDTH_PX].any()
    assert (picture[WIDTH_PX:] == 0xDD).any()


def test_a_cell_too_small_to_be_seen_is_no_error() -> None:
    mask = np.zeros((1, 5000), np.uint16)
    mask[0, 3] = 9
    image = np.zeros((4, 1, 5000), np.uint8)
    assert (
        draw_overlay(np.repeat(image, 20, axis=1), np.repeat(mask, 20, axis=0), predictions_of({9: 2})).width
        == 1400
    )


def test_pixels_are_those_of_the_first_three_channels(draw_image: Callable[..., np.ndarray]) -> None:
    image = draw_image(0, 140)
    shown = np.asarray(draw_overlay(image, np.zeros_like(MASK), predictions_of({})))[5:WIDTH_PX:10, 5::10]
    expected = display_colors(image).astype(int)
    assert np.abs(shown - expected).mean() < 4  # enlarged ten times and sampled back
    assert np.abs(shown[..., ::-1] - expected).mean() > 20  # nor are red and blue exchanged


def test_each_channel_is_stretched_to_its_own_brightest() -> None:
    image = np.zeros((4, 64, 64), np.uint8)
    image[0, 32:], image[1, 32:], image[2] = 100, 200, 5
    shown = display_colors(image)
    assert (shown[40, 40, :2] == 255).all()
    assert (shown[:32, :, :2] == 0).all()
    assert shown[..., 2].max() < 64  # a channel of noise stays dark
    np.testing.assert_array_equal(display_colors(image.astype(np.uint16) * 257), shown)


def test_the_nineteen_classes_have_nineteen_colours_and_names() -> None:
    assert len(set(PALETTE)) == len(CLASSES)
    assert len({short_name(class_id) for class_id in range(len(CLASSES))}) == len(CLASSES)
    assert max(len(short_name(class_id)) for class_id in range(len(CLASSES))) < 24


def test_the_file_is_the_picture(tmp_path: Path) -> None:
    predictions = predictions_of({1: 0, 5: 4})
    write_overlay(tmp_path / "a.png", DARK, MASK, predictions)
    written = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(written, np.asarray(draw_overlay(DARK, MASK, predictions)))
