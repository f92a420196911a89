"""Single cells among the tiles of a picture."""

import numpy as np
import pytest

from approaches.cam_seg.fair import mix_single_cells
from approaches.cam_seg.recipe import FairParams


def field() -> tuple[np.ndarray, np.ndarray]:
    """Four channels of 40 x 60 px, three cells of 6 x 10 px that are 100 times their id in channel 0."""
    mask = np.zeros((40, 60), np.uint16)
    mask[0:6, 0:10], mask[10:16, 30:40], mask[30:36, 45:55] = 1, 2, 4
    image = np.random.default_rng(0).integers(1, 99, (4, 40, 60)).astype(np.uint16)
    image[0] = np.where(mask, mask * 100, image[0])
    return image, mask


def test_all_tiles_become_single_cells_in_their_middle() -> None:
    image, mask = field()
    mixed, places = mix_single_cells(image, mask, np.random.default_rng(0), FairParams(share=1.0))
    assert sorted(np.unique(places)) == [0, 1, 2, 4]
    for y, x in ((0, 0), (0, 30), (20, 0)):  # three cells fill three of four tiles
        tile = places[y : y + 20, x : x + 30]
        (cell_id,) = set(np.unique(tile)) - {0}
        expected = np.zeros((20, 30), np.uint16)
        expected[7:13, 10:20] = cell_id
        np.testing.assert_array_equal(tile, expected)
        np.testing.assert_array_equal(mixed[0, y : y + 20, x : x + 30], expected * 100)
        own = np.argwhere(mask == cell_id)[0]
        np.testing.assert_array_equal(
            mixed[:, y + 7 : y + 13, x + 10 : x + 20], image[:, own[0] : own[0] + 6, own[1] : own[1] + 10]
        )
        assert (mixed[:, y : y + 20, x : x + 30] > 0).sum() == 4 * 60
    np.testing.assert_array_equal(mixed[:, 20:, 30:], image[:, 20:, 30:])


def test_pixels_of_neighbours_in_the_box_of_a_cell_are_black() -> None:
    mask = np.array([[1, 1, 1, 1], [1, 2, 2, 1], [1, 1, 1, 1], [0, 0, 0, 0]], np.uint16)
    image = np.full((4, 4, 4), 9, np.uint8)
    seen = set()
    for seed in range(10):
        mixed, places = mix_single_cells(
            image, mask, np.random.default_rng(seed), FairParams(share=1.0, splits=1)
        )
        seen.add(int(places.max()))
        np.testing.assert_array_equal(mixed, np.where(places, 9, 0) * np.ones((4, 1, 1), int))
        assert np.count_nonzero(places) == (mask == places.max()).sum()
    assert seen == {1, 2}


def test_a_cell_larger_than_its_tile_shrinks_to_fit() -> None:
    mask = np.ones((40, 80), np.uint16)
    image = np.full((4, 40, 80), 7, np.uint8)
    mixed, places = mix_single_cells(image, mask, np.random.default_rng(0), FairParams(share=1.0, splits=4))
    assert (places[:10, :20] == 1).all()
    assert (mixed == 7).all()


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_mix_is_of_tiles_and_leaves_the_given_alone(share: float) -> None:
    image, mask = field()
    before = image.copy(), mask.copy()
    replaced = 0
    for seed in range(200):
        mixed, places = mix_single_cells(image, mask, np.random.default_rng(seed), FairParams(share=share))
        corners = [(slice(y, y + 20), slice(x, x + 30)) for y in (0, 20) for x in (0, 30)]
        replaced += sum((mixed[:, *at] != image[:, *at]).any() for at in corners)
        assert mixed.dtype == image.dtype
        assert places.dtype == mask.dtype
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])
    # three cells at most: of 0 to 4 tiles by a binomial, min(3, n) is 1.9375 on average
    assert replaced / 200 == pytest.approx(1.9375 if share else 0, abs=0.25)


def test_the_same_seed_mixes_the_same() -> None:
    image, mask = field()
    one, two = (mix_single_cells(image, mask, np.random.default_rng(3), FairParams())[0] for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_a_field_without_cells_stays_as_it_is() -> None:
    image, _ = field()
    mixed, _ = mix_single_cells(
        image, np.zeros((40, 60), np.uint16), np.random.default_rng(0), FairParams(share=1.0)
    )
    np.testing.assert_array_equal(mixed, image)
