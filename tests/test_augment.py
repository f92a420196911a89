"""Augmentation: orientations, evenly and by the seed."""

from collections import Counter

import numpy as np
import pytest

from common.augment import augment, check_entry

PIXELS = np.arange(3 * 4 * 2, dtype=np.uint8).reshape(3, 4, 2)
ALL = ("hflip", "vflip", "transpose")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hflip", np.flip(PIXELS, 1)),
        ("vflip", np.flip(PIXELS, 0)),
        ("transpose", np.transpose(PIXELS, (1, 0, 2))),
    ],
)
def test_a_transform_is_applied_half_of_the_time(name: str, expected: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    changed = 0
    for _ in range(400):
        result = augment(PIXELS, (name,), rng)
        if result.shape == expected.shape and (result == expected).all():
            changed += 1
        else:
            np.testing.assert_array_equal(result, PIXELS)
    assert 160 < changed < 240


def test_all_eight_orientations_are_equally_likely() -> None:
    square = PIXELS.reshape(2, 2, 6)
    rng = np.random.default_rng(0)
    counts = Counter(np.ascontiguousarray(augment(square, ALL, rng)).tobytes() for _ in range(1600))
    turned = [np.rot90(square, turns) for turns in range(4)]
    expected = {np.ascontiguousarray(t).tobytes() for turn in turned for t in (turn, turn[::-1])}
    assert set(counts) == expected
    assert len(expected) == 8
    assert 150 < min(counts.values()) <= max(counts.values()) < 250


def test_a_seed_decides_the_picture() -> None:
    for seed in range(20):
        once, again = (augment(PIXELS, ALL, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(once, again)


def test_no_names_leave_the_pixels_alone() -> None:
    np.testing.assert_array_equal(augment(PIXELS, (), np.random.default_rng(0)), PIXELS)


def test_one_entry_gives_all_orientations_of_a_square() -> None:
    square, rng = PIXELS.reshape(2, 2, 6), np.random.default_rng(0)
    counts = Counter(np.ascontiguousarray(augment(square, ("orient@1",), rng)).tobytes() for _ in range(1600))
    assert len(counts) == 8
    assert min(counts.values()) > 150


def test_the_probability_is_that_of_the_entry() -> None:
    rng = np.random.default_rng(0)
    changed = sum((augment(PIXELS, ("hflip@0.1",), rng) != PIXELS).any() for _ in range(1000))
    assert 70 < changed < 130


def bright_dot(y: int, x: int) -> np.ndarray:
    pixels = np.zeros((41, 41, 1), np.uint8)
    pixels[y - 2 : y + 3, x - 2 : x + 3] = 200
    return pixels


def centre_of(pixels: np.ndarray) -> np.ndarray:
    y, x = np.nonzero(pixels[..., 0] > 100)
    return np.array([y.mean(), x.mean()])


def test_rotation_keeps_the_distance_from_the_middle_and_the_shape() -> None:
    rng, turned = np.random.default_rng(0), []
    for _ in range(50):
        found = augment(bright_dot(20, 32), ("rotate=90@1",), rng)
        assert found.shape == (41, 41, 1)
        away = centre_of(found) - 20
        assert np.hypot(*away) == pytest.approx(12, abs=0.7)
        turned.append(away[1])
    assert min(turned) > -1  # up to a quarter turn either way
    assert min(turned) < 4 < 11 < max(turned)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_rescaling_moves_things_and_fills_with_black(dtype: type) -> None:
    rng, areas = np.random.default_rng(0), []
    for _ in range(60):
        found = augment(np.full((40, 40, 2), 200, dtype), ("rescale=0.2@1",), rng)
        assert found.shape == (40, 40, 2)
        assert found.dtype == dtype
        areas.append((found[..., 0] > 0).mean())
        assert found[20, 20, 1] == 200
    assert min(areas) < 0.75
    assert max(areas) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_relighting_changes_contrast_and_brightness_within_its_share(dtype: type) -> None:
    white, rng = np.iinfo(dtype).max, np.random.default_rng(0)
    pixels: np.ndarray = np.array([0, white // 2, white], dtype).reshape(1, 3, 1)
    blacks = []
    for _ in range(200):
        black, middle, bright = augment(pixels, ("relight=0.2@1",), rng).ravel() / white
        blacks.append(black)
        assert black <= 0.2
        assert 0.19 < middle < 0.81
        assert bright >= 0.59
    assert sum(black == 0 for black in blacks) == pytest.approx(100, abs=25)  # darker and brighter alike


GEOMETRY = (
    "rotate=90@1",
    "rescale=0.3@1",
    "crop=0.5@1",
    "orient@1",
    "griddrop=4@1",
    "relight=0.2@1",
    "coarsen=0.5@1",
    "padsides=0.3@1",
)


@pytest.mark.parametrize("entry", GEOMETRY)
def test_a_mask_moves_with_its_picture_and_its_numbers_do_not_mix(entry: str) -> None:
    mask = np.zeros((64, 64, 1), np.uint16)
    mask[8:40, 4:30], mask[36:60, 34:60] = 700, 300
    pixels = (mask > 0).astype(np.uint8) * 200
    for seed in range(10):
        moved = augment(mask, (entry,), np.random.default_rng(seed), ids=True)[..., 0]
        seen = augment(pixels, (entry,), np.random.default_rng(seed))[..., 0]
        assert set(np.unique(moved)) <= {0, 300, 700}
        floor = 0 if entry.startswith("relight") else 100
        assert ((seen > max(floor, np.median(seen[moved == 0]))) == (moved > 0)).mean() > 0.9


def test_a_crop_shows_a_window_at_full_size() -> None:
    pixels = np.arange(100, dtype=np.uint8)[:, None, None].repeat(100, 1)
    rng, shown = np.random.default_rng(0), []
    for _ in range(100):
        found = augment(pixels, ("crop=0.75@1",), rng)
        assert found.shape == pixels.shape
        shown.append((int(found.max()) - int(found.min()) + 1) / 100)
    assert 0.74 < min(shown) < 0.85  # 0.75 of the area at 4 : 3 is 0.75 of the height
    assert max(shown) == pytest.approx(1, abs=0.02)


def test_dropped_squares_hide_two_fifths_of_both_sides_of_their_unit() -> None:
    rng, hidden = np.random.default_rng(0), []
    for _ in range(200):
        found = augment(np.full((96, 96, 2), 9, np.uint8), ("griddrop=4@1",), rng)[..., 0]
        hidden.append((found == 0).mean())
        assert set(np.unique(found)) == {0, 9}
    assert np.mean(hidden) == pytest.approx(0.16, abs=0.03)
    assert (found[0] == 0).any() or (found == 0).any()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("flip", "'flip' names no augmentation; known: hflip, vflip, transpose, orient, rotate=<value>"),
        ("rotate", "rotate takes a value"),
        ("hflip=3", "hflip takes no value"),
        ("rotate=300", "above 0, and at most at 180"),
        ("hflip@2", "the probability lies above 0"),
        ("hflip@0", "the probability lies above 0"),
        ("", "'' names no augmentation"),
    ],
)
def test_entries_that_say_nothing_useful_are_refused(entry: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_entry(entry)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 4])
def test_coarsening_takes_detail_away_and_nothing_else(dtype: type, channels: int) -> None:
    rng, tiles = np.random.default_rng(0), (np.indices((64, 64)).sum(0) % 2 * 200).astype(dtype)
    pixels = tiles[..., None].repeat(channels, 2)
    for _ in range(20):
        found = augment(pixels, ("coarsen=0.5@1",), rng)
        assert (found.shape, found.dtype) == (pixels.shape, dtype)
        assert found.mean() == pytest.approx(100, abs=2)
        assert found.std() < 60 < pixels.std()


@pytest.mark.parametrize("channels", [1, 4])
def test_padding_puts_black_on_each_side_up_to_its_share(channels: int) -> None:
    rng, sides = np.random.default_rng(0), []
    for _ in range(200):
        found = augment(np.full((64, 64, channels), 200, np.uint8), ("padsides=0.4@1",), rng)
        assert found.shape == (64, 64, channels)
        rows = np.flatnonzero(found[..., 0].max(1) > 100)
        sides.append((rows[0], 63 - rows[-1]))
    first, last = np.array(sides).T
    assert first.min() == last.min() == 0
    assert 15 < first.max() <= 19  # 0.4 / 1.4 of 64 px
    assert 15 < last.max() <= 19
    assert abs(np.corrcoef(first, last)[0, 1]) < 0.5
