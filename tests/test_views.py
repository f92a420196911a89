"""What recipes see: every form of crop that the published systems use, by hand and against plain code."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from common.classes import CHANNELS, COLORS
from common.crops import CropParams, what_lacks
from common.images import Field, read_image
from common.segmentation.classical import ClassicalParams, segment
from common.views import OTHER, OWN, Frame, View, apply_view, nucleus_of, to_depth, window_of

RGB = CHANNELS[:3]
FOUR = {"channels": CHANNELS, "square": "pad", "size_px": 512}

# Facts of the published systems, in pixels of a field of 1024 px (theirs have 2048: B's margin of 16 px is 8 here).
SYSTEMS: dict[str, dict[str, Any]] = {
    "A, cells": {**FOUR, "mask": "others", "repeat_below": 0.5},
    "A, mitosis or not": {**FOUR, "mask": "own", "dim": 1 / 3, "margin_share": 0.5, "size_px": 224},
    "A, image network on a cell": {**FOUR, "mask": "others", "square": "tile", "size_px": 1024},
    "B, training": {**FOUR, "mask": "others", "box": "square", "margin_px": 8, "bit_depth": 16},
    "B, prediction": {**FOUR, "mask": "own", "bit_depth": 16},
    "D": {"channels": RGB, "mask": "own", "square": "stretch", "size_px": 260},
    "E, masked cell on a canvas": {
        "channels": RGB, "mask": "own", "window_px": 1024, "square": "stretch", "size_px": 1024
    },
    "a window on the nucleus": {**FOUR, "mask": "none", "window_px": 128, "centre": "nucleus"},
}  # fmt: skip
"""System C cuts nothing out: it learns from whole fields."""


def random_crop(seed: int, height: int, width: int, dtype: Any = np.uint8) -> np.ndarray:
    """(5, height, width) of noise, an ellipse of the cell itself, another cell in a corner."""
    rng = np.random.default_rng(seed)
    crop = rng.integers(0, np.iinfo(dtype).max, (5, height, width), dtype, endpoint=True)
    crop[4] = 0
    crop[4, : height // 3, : width // 3] = OTHER
    y, x = np.mgrid[:height, :width]
    crop[4][((y - height / 2) / height) ** 2 + ((x - width / 2) / width) ** 2 < 0.2] = OWN
    return crop


def view(**changes: Any) -> View:
    return View(**{"channels": ("protein",), "mask": "none", "square": "stretch", "size_px": 8, **changes})


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_published_form_of_crop_is_a_view(name: str) -> None:
    chosen = View(**SYSTEMS[name])
    crop = random_crop(0, 90, 60, np.uint16)
    seen = apply_view(crop, np.array([20, 20, 70, 40]), chosen)
    assert seen.shape == (chosen.size_px, chosen.size_px, len(chosen.channels))
    assert seen.dtype == f"uint{chosen.bit_depth}"
    assert what_lacks(CropParams(bit_depth=16, margin_share=0.5, window_px=128), chosen) == []


def view_before(crop: np.ndarray, box: np.ndarray, chosen: View) -> np.ndarray:
    """The first version of ``apply_view``, by which the first models were trained."""
    y0, x0 = np.maximum(box[:2] - chosen.margin_px, 0)
    y1, x1 = box[2:] + chosen.margin_px
    planes = crop[:, y0:y1, x0:x1]
    seen = {"none": planes[-1] >= 0, "own": planes[-1] == OWN, "others": planes[-1] != OTHER}[chosen.mask]
    pixels = (planes[[CHANNELS.index(channel) for channel in chosen.channels]] * seen).transpose(1, 2, 0)
    if chosen.square == "pad":
        height, width = pixels.shape[:2]
        y, x = max(0, width - height), max(0, height - width)
        pixels = np.pad(pixels, ((y // 2, y - y // 2), (x // 2, x - x // 2), (0, 0)))
    side = chosen.size_px
    how = cv2.INTER_AREA if max(pixels.shape[:2]) > side else cv2.INTER_LINEAR
    return cv2.resize(pixels, (side, side), interpolation=how).reshape(side, side, len(chosen.channels))


def test_a_stretched_view_averages_and_a_padded_one_keeps_the_form() -> None:
    crop = np.zeros((5, 4, 8), np.uint8)
    crop[1], crop[4] = np.arange(32).reshape(4, 8), 1
    box = np.array([0, 0, 4, 8])
    stretch = View(channels=("protein",), mask="own", square="stretch", margin_px=0, size_px=4)
    pairs = crop[1].reshape(4, 4, 2).mean(axis=2)
    assert np.abs(apply_view(crop, box, stretch)[..., 0] - pairs).max() <= 0.5
    pad = stretch.model_copy(update={"square": "pad"})
    padded = apply_view(crop, box, pad)[..., 0]
    assert (padded[[0, 3]] == 0).all()
    assert np.abs(padded[1:3] - crop[1].reshape(2, 2, 4, 2).mean(axis=(1, 3))).max() <= 0.5


@pytest.mark.parametrize("seed", range(12))
def test_trained_models_see_the_pixels_they_learned_from(seed: int) -> None:
    rng = np.random.default_rng(seed)
    crop = random_crop(seed, *rng.integers(30, 320, 2))
    box = np.array([5, 8, crop.shape[1] - 3, crop.shape[2] - 9])
    for mask in ("none", "own", "others"):
        for square in ("stretch", "pad"):
            for size in (64, 260):
                channels = tuple(rng.permutation(CHANNELS)[: rng.integers(1, 5)].tolist())
                chosen = view(
                    channels=channels, mask=mask, square=square, size_px=size, margin_px=int(rng.integers(4))
                )
                np.testing.assert_array_equal(apply_view(crop, box, chosen), view_before(crop, box, chosen))


def test_a_tall_box_becomes_a_square_with_a_margin() -> None:
    frame = Frame(box="square", margin_px=16)
    y0, x0, y1, x1 = window_of(np.array([100, 100, 140, 110]), frame)
    assert (y0, x0, y1, x1) == (84, 69, 156, 141)
    assert (y1 - y0, x1 - x0) == (72, 72)  # system B's own example


def test_a_margin_may_be_a_share_of_the_sides() -> None:
    assert window_of(np.array([50, 50, 90, 60]), Frame(margin_share=0.5)) == (30, 45, 110, 65)


def test_a_clipped_square_is_filled_with_zeros_on_both_sides() -> None:
    crop = np.full((5, 20, 6), 9, np.uint8)
    crop[4] = OWN
    seen = apply_view(crop, np.array([0, 0, 20, 6]), view(box="square", square="pad", size_px=20))[..., 0]
    assert (seen[:, 7:13] == 9).all()
    assert seen.sum() == 9 * 20 * 6


def test_what_is_hidden_is_dimmed_to_a_third() -> None:
    crop = np.full((5, 3, 3), 90, np.uint8)
    crop[4] = [[OWN, OWN, OWN], [OTHER, OTHER, OTHER], [0, 0, 0]]
    box = np.array([0, 0, 3, 3])
    rows = {
        mask: apply_view(crop, box, view(mask=mask, dim=1 / 3, size_px=3))[:, 0, 0].tolist()
        for mask in ("none", "own", "others")
    }
    assert rows == {"none": [90, 90, 90], "own": [90, 30, 30], "others": [90, 30, 90]}


@pytest.mark.parametrize(("height", "width"), [(7, 5), (20, 3), (3, 20), (40, 50)])
def test_a_canvas_is_filled_by_repeating_the_crop(height: int, width: int) -> None:
    crop = random_crop(1, height, width)
    seen = apply_view(crop, np.array([0, 0, height, width]), view(square="tile", size_px=16))[..., 0]
    for y in range(16):
        for x in range(16):
            assert seen[y, x] == crop[1, y % height, x % width]


@pytest.mark.parametrize(("width", "copies"), [(4, 2), (5, 1), (3, 2)])
def test_a_narrow_crop_is_repeated_once_along_its_short_side(width: int, copies: int) -> None:
    crop = random_crop(2, 10, width)
    for turned in (crop, crop.transpose(0, 2, 1)):
        box = np.array([0, 0, *turned.shape[1:]])
        seen = apply_view(turned, box, view(square="pad", repeat_below=0.5, size_px=10))[..., 0]
        expected = np.concatenate([crop[1]] * copies, axis=1)
        first = (10 - width * copies) // 2
        upright = seen if turned is crop else seen.T
        np.testing.assert_array_equal(upright[:, first : first + width * copies], expected)
        assert upright.sum() == expected.sum()


def test_a_fixed_window_lies_round_the_nucleus_whatever_the_size_of_the_cell() -> None:
    crop = np.zeros((5, 40, 60), np.uint8)
    crop[4] = OWN
    crop[2, 30:34, 10:14] = 200  # its middle is 32, 12
    crop[1] = np.arange(60)
    crop[4, :, 50:], crop[2, :, 50:] = OTHER, 255  # the light of another cell counts for nothing
    box = np.array([0, 0, 40, 50])
    assert nucleus_of(crop, box) == (32, 12)
    seen = apply_view(crop, box, view(window_px=20, centre="nucleus", size_px=20))[..., 0]
    np.testing.assert_array_equal(seen[5], range(2, 22))
    assert (seen[:18].any(), seen[18:].any()) == (True, False)  # the store ends 18 px below the window's top
    dark = np.where(np.arange(5)[:, None, None] == 2, 0, crop).astype(np.uint8)
    assert nucleus_of(dark, box) == (20, 25)


def test_a_fixed_window_in_the_middle_of_the_box_has_zeros_where_the_store_ends() -> None:
    crop = random_crop(3, 9, 7)
    seen = apply_view(crop, np.array([0, 0, 9, 7]), view(window_px=31, size_px=31))[..., 0]
    np.testing.assert_array_equal(seen[11:20, 12:19], crop[1])
    assert seen.sum() == crop[1].sum()


def test_depths_keep_black_and_white_and_go_both_ways() -> None:
    every = np.arange(256, dtype=np.uint8)
    wide = to_depth(every, 16)
    assert (wide.dtype, wide[0], wide[255]) == (np.uint16, 0, 65535)
    np.testing.assert_array_equal(to_depth(wide, 8), every)
    assert to_depth(wide, 16) is wide
    assert (view().white, view(bit_depth=16).white) == (255, 65535)


def test_a_view_of_sixteen_bit_crops_differs_from_one_of_eight_by_rounding_only() -> None:
    crop = random_crop(4, 50, 70, np.uint16)
    box = np.array([4, 4, 46, 66])
    fine = apply_view(crop, box, view(mask="own", size_px=32, bit_depth=16))
    np.testing.assert_allclose(apply_view(crop, box, view(mask="own", size_px=32)), fine / 257, atol=0.51)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"margin_px": 17}, ["margin_px 17, the store keeps 16"]),
        ({"margin_share": 0.2, "mask": "others"}, ["margin_share 0.2, the store keeps 0"]),
        ({"window_px": 64}, ["window_px 64, the store keeps 0"]),
        ({"bit_depth": 16, "mask": "own"}, ["bit_depth 16, the store keeps 8"]),
        ({"margin_px": 17, "mask": "own", "dim": 0.5}, ["margin_px 17, the store keeps 16"]),
        ({"margin_px": 17, "mask": "own"}, []),
        ({"margin_px": 16, "box": "square"}, []),
    ],
)
def test_a_view_of_what_is_not_stored_is_seen(changes: dict[str, Any], words: list[str]) -> None:
    assert what_lacks(CropParams(), view(**changes)) == words


def test_a_square_view_of_tight_crops_is_seen() -> None:
    words = what_lacks(CropParams(box="tight"), view(box="square"))
    assert words == ["box square, the store keeps tight"]


def test_real_nuclei_are_found_by_their_light(shared: Path) -> None:
    name = "5c27f04c-bb99-11e8-b2b9-ac1f6b6435d0"
    image = read_image(Field(name, tuple(shared / f"data/fields/{name}_{color}.png" for color in COLORS)))
    nuclei, cells = segment(image, ClassicalParams())
    ids = np.unique(cells)[1:]
    assert len(ids) > 5
    for cell in ids:
        crop = np.concatenate([image, (cells == cell)[None].astype(np.uint8)])
        found = nucleus_of(crop, np.array([0, 0, *cells.shape]))
        true = np.argwhere(nuclei == cell).mean(axis=0) + 0.5
        assert np.hypot(*(found - true)) < 12  # px of 2048; cells are 500 px wide
