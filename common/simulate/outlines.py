"""Outlines of cells and nuclei in polar form: (ANGLES,) distances from a centre."""

import cv2
import numpy as np
import numpy.typing as npt

from common.simulate.cell_lines import CellLine
from common.simulate.structures import Plane

Outline = npt.NDArray[np.float64]

ANGLES = 360
TURNS = np.arange(ANGLES) * 2 * np.pi / ANGLES


def rounded(
    rng: np.random.Generator, radius: float, eccentricity: float, axis: float, rough: float
) -> Outline:
    """An ellipse along ``axis`` times low harmonics; ``rough`` is how strong they are."""
    orders = np.arange(2, 11)[:, None]
    weights = rng.normal(0, rough, len(orders)) / orders[:, 0] ** 1.3
    waves = weights @ np.cos(orders * TURNS + rng.uniform(0, 2 * np.pi, orders.shape))
    return _of_area(_ellipse(eccentricity, axis) * np.exp(waves), radius)


def spread(rng: np.random.Generator, radius: float, line: CellLine, axis: float) -> Outline:
    """A cell on glass: between round and stretched between the points where it holds on, perhaps with arms."""
    eccentricity = float(np.clip(rng.normal(line.eccentricity, 0.13), 0.2, 0.93))
    smooth = rounded(rng, 1, eccentricity, axis, 0.2)
    corners = np.clip(line.corners * rng.uniform(0.5, 1.2), 0, 1)
    stretched = _stretched(rng) * _ellipse(eccentricity, axis)
    outline = smooth ** (1 - corners) * stretched**corners
    if rng.random() < line.processes:
        outline = outline * _arms(rng)
    return _of_area(outline, radius)


def reach_of(outline: Outline, y: float, x: float, shape: tuple[int, int]) -> Plane:
    """(h, w) distance from ``(y, x)`` as a share of the outline's in that direction."""
    dy, dx = np.indices(shape, np.float32)
    distance, angle = (np.asarray(plane) for plane in cv2.cartToPolar(dx - np.float32(x), dy - np.float32(y)))
    return (
        distance
        / outline.astype(np.float32)[(angle * np.float32(ANGLES / (2 * np.pi))).astype(np.int32) % ANGLES]
    )


def extent(outline: Outline) -> tuple[float, float, float, float]:
    """Top, left, bottom and right of an outline round (0, 0)."""
    y, x = outline * np.sin(TURNS), outline * np.cos(TURNS)
    return float(y.min()), float(x.min()), float(y.max()), float(x.max())


def _ellipse(eccentricity: float, axis: float) -> Outline:
    flat = (1 - eccentricity**2) ** 0.25
    return 1 / np.hypot(flat * np.cos(TURNS - axis), np.sin(TURNS - axis) / flat)


def _stretched(rng: np.random.Generator) -> Outline:
    """A polygon of four to seven uneven corners whose sides bend inwards."""
    count = int(rng.integers(4, 8))
    at = 2 * np.pi * (np.arange(count) + rng.uniform(0, 0.7, count)) / count
    far = rng.lognormal(0, 0.25, count)
    before = np.searchsorted(at, TURNS, side="right") - 1
    after = (before + 1) % count
    gap = (at[after] - at[before]) % (2 * np.pi)
    way = (TURNS - at[before]) % (2 * np.pi)
    side = (
        far[before] * far[after] * np.sin(gap) / (far[before] * np.sin(way) + far[after] * np.sin(gap - way))
    )
    bend = rng.uniform(0, 0.25, count)[before]
    return _smooth(side * (1 - bend * np.sin(np.pi * way / gap)), 6)


def _arms(rng: np.random.Generator) -> Outline:
    """One to three arms a few degrees wide."""
    arms = np.ones(ANGLES)
    for _ in range(int(rng.integers(1, 4))):
        off = np.abs(TURNS - rng.uniform(0, 2 * np.pi))
        off = np.minimum(off, 2 * np.pi - off)
        arms += rng.uniform(0.4, 1.2) * np.exp(-((off / np.radians(rng.uniform(4, 9))) ** 2))
    return arms


def _smooth(outline: Outline, sigma_degrees: float) -> Outline:
    orders = np.arange(ANGLES // 2 + 1)
    damping = np.exp(-0.5 * (orders * np.radians(sigma_degrees)) ** 2)
    return np.fft.irfft(np.fft.rfft(outline) * damping, n=ANGLES)


def _of_area(outline: Outline, radius: float) -> Outline:
    """Scaled to enclose the area of a circle of ``radius``."""
    return outline * (radius / np.sqrt(np.mean(outline**2)))
