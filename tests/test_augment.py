"""Augmentation: orientations, evenly and by the seed."""

from collections import Counter

import numpy as np
import pytest

from common.augment import Name, augment

PIXELS = np.arange(3 * 4 * 2, dtype=np.uint8).reshape(3, 4, 2)
ALL: tuple[Name, ...] = ("hflip", "vflip", "transpose")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hflip", np.flip(PIXELS, 1)),
        ("vflip", np.flip(PIXELS, 0)),
        ("transpose", np.transpose(PIXELS, (1, 0, 2))),
    ],
)
def test_a_transform_is_applied_half_of_the_time(name: Name, expected: np.ndarray) -> None:
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
