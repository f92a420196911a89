"""Microscope and camera: blur, haze, gain, photon noise, black level, whole numbers."""

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from common.simulate.difficulty import Conditions
from common.simulate.structures import Plane, blur

BRIGHT = (
    (0.96, 0.85, 1.4),  # microtubules
    (0.63, 0.60, 1.2),  # protein
    (0.90, 1.00, 1.5),  # nucleus
    (0.73, 0.90, 1.2),  # reticulum
)
"""Level of a channel's 99.9 % quantile, as a share of full scale: median, log spread and most, so that 512 px
pictures have the grey levels of public ones. Beyond 1 pixels saturate, as up to 1 % of real fields do."""
FAINTEST = 0.8
"""Light that is driven to that level at most: fields that show nothing stay dark."""
DARK = (0.008, 0.03)
"""Black level, as a share of full scale, subtracted so that the background is 0: by the exact zeros."""
FIELD_ZOOM = 4
"""Photons are counted in 2048 px pictures; the pixels of smaller ones are sums of theirs."""
PHOTON_SPREAD = 0.6
"""Log spread of the photons of a pixel at full scale: 110 to 1,600 over the channels of five public fields."""
HAZE = (0.04, 0.12)
"""The share of light that a confocal microscope spreads over about 6 um. By eye, and by the exact zeros."""


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
    rng: np.random.Generator,
    plane: Plane,
    bright: tuple[float, float, float],
    zoom: float,
    conditions: Conditions,
) -> Plane:
    """One channel as shares of full scale, in [0, 1]."""
    sharp = blur(plane, conditions.blur_px * rng.uniform(0.8, 1.2) * zoom)
    light = sharp + np.float32(rng.uniform(*HAZE)) * _haze(sharp, 20 * zoom)
    median, spread, most = bright
    top = max(float(np.quantile(light[::2, ::2], 0.999)), FAINTEST)
    light *= np.float32(min(median * rng.lognormal(0, spread), most) / top)
    photons = conditions.photons * rng.lognormal(0, PHOTON_SPREAD) * (FIELD_ZOOM / zoom) ** 2
    light += rng.standard_normal(light.shape, np.float32) * np.sqrt(light / np.float32(photons))
    return np.clip(light - np.float32(rng.uniform(*DARK)), 0, 1)


def _haze(plane: Plane, sigma_px: float) -> Plane:
    """(H, W) a blur so wide that an eighth of the pixels carries it."""
    small = cv2.resize(plane, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA)
    wide = blur(np.asarray(small, np.float32), max(sigma_px / 8, 0.3))
    return np.asarray(cv2.resize(wide, plane.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
