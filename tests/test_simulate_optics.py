"""The simulated camera: photon noise, black level, saturation, and that more difficulty blurs more."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from common.simulate.difficulty import conditions_at
from common.simulate.optics import FIELD_ZOOM, PHOTON_SPREAD, photograph

MIDDLING = conditions_at(0.4)


def shoot(
    plane: npt.NDArray[np.float32], seed: int = 0, zoom: float = 1.0, photons: float = 600
) -> np.ndarray:
    """(4, H, W) shares of full scale, of the same light in all channels."""
    conditions = replace(MIDDLING, photons=photons)
    image = photograph(np.random.default_rng(seed), np.stack([plane] * 4), zoom, 16, conditions)
    return image / 65535


def steps(low: float, high: float) -> npt.NDArray[np.float32]:
    plane = np.full((128, 256), low, np.float32)
    plane[:, 128:] = high
    return plane


def test_no_light_is_0() -> None:
    assert not photograph(np.random.default_rng(0), np.zeros((4, 64, 64), np.float32), 1, 8, MIDDLING).any()


def test_faint_light_sinks_below_the_black_level() -> None:
    assert np.mean([shoot(steps(0.004, 0.004), seed) for seed in range(10)]) < 0.002


@pytest.mark.parametrize(("bit_depth", "kind", "top"), [(8, np.uint8, 255), (16, np.uint16, 65535)])
def test_pictures_use_their_whole_range_and_saturate(bit_depth: int, kind: type, top: int) -> None:
    planes = np.stack([steps(0, 1)] * 4)
    brightest = [
        photograph(np.random.default_rng(seed), planes, 1, bit_depth, MIDDLING)  # type: ignore[arg-type]
        for seed in range(20)
    ]
    assert all(image.dtype == kind for image in brightest)
    assert max(image.max() for image in brightest) == top
    assert np.median([image.max() for image in brightest]) > 0.5 * top


def test_brightness_varies_from_field_to_field_and_between_channels() -> None:
    levels = np.array([shoot(steps(0, 1), seed)[:, :, 192:].mean(axis=(1, 2)) for seed in range(60)])
    assert (np.std(np.log(levels), axis=0) > 0.2).all()
    assert abs(np.corrcoef(levels[:, 0], levels[:, 2])[0, 1]) < 0.5


def test_noise_is_that_of_photons() -> None:
    """The variance is in proportion to the light: on average light / photons, in shares of full scale."""
    slopes = []
    for seed in range(40):
        dim, bright = np.split(shoot(steps(0.3, 0.6), seed, zoom=FIELD_ZOOM)[1][:, 16:-16], [112], axis=1)
        dim, bright = dim[16:-16, :96], bright[16:-16, -96:]
        if bright.max() < 1:
            slopes.append((bright.var() - dim.var()) / (bright.mean() - dim.mean()) * 600)
    typical_spread = PHOTON_SPREAD / np.sqrt(len(slopes))
    assert np.median(slopes) == pytest.approx(1, abs=4 * typical_spread)


def test_small_pictures_sum_the_photons_of_large_ones() -> None:
    def spread(zoom: float) -> float:
        flat = [shoot(steps(0.5, 0.5), seed, zoom)[1][32:-32, 32:-32] for seed in range(20)]
        return float(np.mean([plane.std() / plane.mean() for plane in flat if plane.max() < 1]))

    assert spread(4) == pytest.approx(4 * spread(1), rel=0.1)


def test_more_difficulty_blurs_and_adds_noise() -> None:
    point = np.zeros((65, 65), np.float32)
    point[32, 32] = 100
    point[::16, ::16] += 50

    def sharpness(difficulty: float) -> float:
        image = photograph(np.random.default_rng(3), np.stack([point] * 4), 1, 16, conditions_at(difficulty))
        middle = image[1, 28:37, 28:37].astype(float)
        return float(middle.max() / middle.sum())

    assert sharpness(0) > 1.5 * sharpness(1)
    assert conditions_at(0).photons > 5 * conditions_at(1).photons
