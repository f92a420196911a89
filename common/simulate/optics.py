"""Microscope and camera: blur, haze, gain, photon noise, black level, whole numbers."""

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from common.simulate.difficulty import Conditions
from common.simulate.structures import Plane, blur

PIXELS_TOP = 0.999
BRIGHT = (
    (0.66, 0.55),  # microtubules
    (0.63, 0.50),  # protein
    (0.80, 0.40),  # nucleus
    (0.58, 0.55),  # reticulum
)
"""Median and log spread of the level of a channel's brightest pixels, as a share of full scale."""


def photograph(
    rng: np.random.Generator,
    planes: npt.NDArray[np.float32],
    zoom: float,
    bit_depth: Literal[8, 16],
    conditions: Conditions,
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """(4, H, W) light, about 1 where bright, to (4, H, W) uint8 or uint16 grey levels."""
    exposed = [
        _expose(rng, plane, bright, zoom, conditions) for plane, bright in zip(planes, BRIGHT, strict=True)
    ]
    kind = np.uint8 if bit_depth == 8 else np.uint16
    return np.rint(np.stack(exposed) * np.float32(np.iinfo(kind).max)).astype(kind)


def _expose(
    rng: np.random.Generator, plane: Plane, bright: tuple[float, float], zoom: float, conditions: Conditions
) -> Plane:
    """One channel as shares of full scale, in [0, 1]."""
    sharp = blur(plane, conditions.blur_px * rng.uniform(0.8, 1.2) * zoom)
    light = sharp + np.float32(rng.uniform(0.04, 0.14)) * _haze(sharp, 20 * zoom)
    # Faint channels are not driven to full brightness: empty pictures stay empty.
    top = max(float(np.quantile(light[::3, ::3], PIXELS_TOP)), 0.5)
    light *= np.float32(min(bright[0] * rng.lognormal(0, bright[1]), 1.3) / top)
    photons, read = conditions.photons * rng.lognormal(0, 0.3), rng.uniform(0.003, 0.008)
    noise = rng.standard_normal(light.shape, np.float32)
    light += noise * np.sqrt(light / np.float32(photons) + np.float32(read**2))
    return np.clip(light - np.float32(rng.uniform(0.008, 0.03)), 0, 1)


def _haze(plane: Plane, sigma_px: float) -> Plane:
    """(H, W) a blur so wide that an eighth of the pixels carries it."""
    small = cv2.resize(plane, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    wide = blur(np.asarray(small, np.float32), max(sigma_px / 8, 0.3))
    return np.asarray(cv2.resize(wide, plane.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
