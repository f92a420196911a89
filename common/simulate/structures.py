"""What pictures of cells are drawn with: grain, dots and filaments. Lengths are in pixels of the plane."""

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]

TILE_PX = 512


@lru_cache(maxsize=64)
def _tile(wavelength_px: float) -> Plane:
    """(512, 512) noise of one wavelength and of standard deviation 1 that repeats without a seam.

    Always the same: only where a cell cuts its piece is random, which makes grain almost free.
    """
    noise = np.fft.rfft2(np.random.default_rng(0).standard_normal((TILE_PX, TILE_PX)))
    frequency = np.hypot(np.fft.fftfreq(TILE_PX)[:, None], np.fft.rfftfreq(TILE_PX)[None, :])
    frequency[0, 0] = 1e-6
    band = np.exp(-(np.log(frequency * wavelength_px) ** 2) / (2 * 0.6**2))
    tile = np.fft.irfft2(noise * band, s=(TILE_PX, TILE_PX))
    return (tile / tile.std()).astype(np.float32)


def grain(rng: np.random.Generator, shape: tuple[int, int], wavelength_px: float) -> Plane:
    """(H, W) band-passed noise with mean 0 and standard deviation 1."""
    rows, columns = ((np.arange(length) + rng.integers(TILE_PX)) % TILE_PX for length in shape)
    return _tile(round(wavelength_px, 2))[rows[:, None], columns[None, :]]


def pick(rng: np.random.Generator, allowed: Mask, count: int) -> Points:
    """(count, 2) y, x of random pixels of ``allowed``; (0, 2) where it holds none."""
    places = np.flatnonzero(allowed)
    if not len(places):
        return np.empty((0, 2))
    chosen = places[rng.integers(len(places), size=count)]
    return np.column_stack(np.divmod(chosen, allowed.shape[1])).astype(float)


def dots(points: Points, heights: npt.NDArray[np.float64], sigma_px: float, shape: tuple[int, int]) -> Plane:
    """(H, W) Gaussian dots that reach ``heights`` at (n, 2) ``points``; others are left out."""
    plane = np.zeros(shape, np.float32)
    at = np.rint(points).astype(int)
    inside = ((at >= 0) & (at < shape)).all(axis=1)
    np.add.at(plane, (at[inside, 0], at[inside, 1]), heights[inside])
    return blur(plane, sigma_px) * np.float32(2 * np.pi * sigma_px**2)


def walks(
    rng: np.random.Generator, starts: Points, headings: Points, length_px: float, wobble: float, allowed: Mask
) -> Plane:
    """Persistent random walks, drawn as counts of steps of a pixel; each ends where it leaves ``allowed``.

    Args:
        starts: (n, 2) y, x.
        headings: (n,) radians.
        wobble: the standard deviation of a step's turn, in radians.
    """
    count = len(starts)
    turns = rng.standard_normal((count, max(int(length_px), 1)), np.float32) * np.float32(wobble)
    angles = turns.cumsum(axis=1) + headings[:, None].astype(np.float32)
    y = (starts[:, :1] + np.sin(angles).cumsum(axis=1)).astype(np.int32)
    x = (starts[:, 1:] + np.cos(angles).cumsum(axis=1)).astype(np.int32)
    height, width = allowed.shape
    within = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    flat = np.where(within, y * width + x, 0)
    alive = np.logical_and.accumulate(within & allowed.ravel()[flat], axis=1)
    counts = np.bincount(flat[alive], minlength=height * width)
    return counts.reshape(allowed.shape).astype(np.float32)


def thicken(counts: Plane, sigma_px: float) -> Plane:
    """Give walked lines a width; a single line stays 1 bright, so brightness ignores zoom."""
    return blur(counts, sigma_px) * np.float32(np.sqrt(2 * np.pi) * sigma_px)


def blur(plane: Plane, sigma_px: float) -> Plane:
    """(H, W) Gaussian blur; what lies outside the plane counts as dark."""
    return cv2.GaussianBlur(plane, (0, 0), sigma_px, borderType=cv2.BORDER_CONSTANT)  # type: ignore[return-value]


def lies_on(points: Points, allowed: Mask) -> Mask:
    """(n,) whether each of (n, 2) points lies on ``allowed``."""
    at = points.astype(int)
    inside = np.asarray(((at >= 0) & (at < allowed.shape)).all(axis=1))
    inside[inside] = allowed[at[inside, 0], at[inside, 1]]
    return inside
