"""What pictures of cells are drawn with: grain, dots and filaments. Lengths are in pixels of the plane."""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]
Places = npt.NDArray[np.complex64]

TILE_PX = 512
STRIDE_PX = 3.0
"""A step of a walk, in pixels of a 512 px picture: 1 um, well below how far fibres stay straight."""
WALL_TURN = 0.6
"""Radians that a walk turns by each time it stands before a wall."""
WALL_COST = 2
"""Steps that this shortens the walk by: most fibres end soon after they have met the edge of their cell."""


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
    tile = (tile / tile.std()).astype(np.float32)
    tile.flags.writeable = False
    return tile


def grain(rng: np.random.Generator, shape: tuple[int, int], wavelength_px: float) -> Plane:
    """(H, W) band-passed noise with mean 0 and standard deviation 1; a view that is not to be written to."""
    tile = _tile(round(wavelength_px, 2))
    if max(shape) >= TILE_PX:
        tile = np.tile(tile, np.floor_divide(shape, TILE_PX) + 1)
    y, x = rng.integers(np.subtract(tile.shape, shape))
    return tile[y : y + shape[0], x : x + shape[1]]


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


class Gait(NamedTuple):
    """How a walk goes."""

    length_px: float  # of the plane; walks vary between half of it and all
    wobble: float  # radians: standard deviation of the turn over one pixel of a 512 px picture


def walks(
    rng: np.random.Generator,
    starts: Points,
    headings: Points,
    gait: Gait,
    allowed: Mask,
    zoom: float,
) -> Plane:
    """(H, W) persistent random walks, drawn as counts of pixels of length.

    A walk that meets the border of ``allowed`` turns and follows it, for a while.

    Args:
        starts: (n, 2) y, x; those off ``allowed`` are left out.
        headings: (n,) radians.
    """
    stride = STRIDE_PX * zoom
    pad = int(stride) + 2
    free = np.pad(allowed, pad)
    at = (starts[:, ::-1] @ [1, 1j]).astype(np.complex64)[lies_on(starts, allowed)]
    angles = headings[lies_on(starts, allowed)].astype(np.float32)
    steps = max(round(gait.length_px / stride), 1)
    turns = rng.standard_normal((steps, len(at)), np.float32) * np.float32(gait.wobble * np.sqrt(STRIDE_PX))
    side = rng.choice(np.array([-WALL_TURN, WALL_TURN], np.float32), len(at))
    last = rng.uniform(0.5, 1, len(at)) * steps
    places, moves = np.empty((2, steps, len(at)), np.complex64)
    for step in range(steps):
        move = np.complex64(stride) * np.exp(1j * angles)
        ahead = at + move
        clear = free[ahead.imag.astype(np.int32) + pad, ahead.real.astype(np.int32) + pad]
        places[step], moves[step] = at, move * (clear & (step <= last))
        at = np.where(clear, ahead, at)
        last -= WALL_COST * ~clear
        angles += np.where(clear, turns[step], side)
    return _draw(places[moves != 0], moves[moves != 0], max(round(stride), 1), allowed.shape)


def _draw(places: Places, moves: Places, parts: int, shape: tuple[int, int]) -> Plane:
    """(H, W) straight strokes from (n,) complex ``places`` (x + iy) along ``moves``, one pixel a part."""
    along = places[:, None] + moves[:, None] * (np.arange(parts, dtype=np.float32) / np.float32(parts))
    y = np.clip(along.imag.astype(np.int32), 0, shape[0] - 1)
    x = np.clip(along.real.astype(np.int32), 0, shape[1] - 1)
    counts = np.bincount((y * shape[1] + x).ravel(), minlength=shape[0] * shape[1])
    return counts.reshape(shape).astype(np.float32)


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
