"""What lies between cells: bright aggregates of stain, and dead cells above the focus. None of it is in a mask."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from common.simulate.layout import Frame
from common.simulate.structures import Plane, blur, dots

AGGREGATES = 0.6
"""The share of debris that is stain; the rest are dead cells. By eye."""


@dataclass(frozen=True)
class Debris:
    """One piece, in pixels of the picture."""

    kind: Literal["aggregate", "dead cell"]
    y: float
    x: float
    radius_px: float


def scatter(
    rng: np.random.Generator, planes: npt.NDArray[np.float32], frame: Frame, mean: float
) -> list[Debris]:
    """Add debris to the light of (4, canvas, canvas) ``planes``, a Poisson number of pieces."""
    return [_drop(rng, planes, frame) for _ in range(int(rng.poisson(mean)))]


def _drop(rng: np.random.Generator, planes: npt.NDArray[np.float32], frame: Frame) -> Debris:
    y, x = rng.uniform(0, frame.side, 2)
    if rng.random() < AGGREGATES:
        radius = rng.uniform(1.5, 6) * frame.zoom
        light = _lumps(rng, radius, count=int(rng.integers(3, 9)), sharpness=0.45)
        strengths = np.array([rng.random() < 0.3, 1, 0, rng.random() < 0.3]) * rng.uniform(0.8, 3)
        piece = Debris("aggregate", y, x, radius)
    else:
        radius = rng.uniform(10, 18) * frame.zoom
        light = _lumps(rng, radius, count=int(rng.integers(8, 20)), sharpness=0.3)
        strengths = rng.uniform((0.3, 0.2, 0.8, 0.5), (1.2, 1.5, 2.0, 1.8))
        piece = Debris("dead cell", y, x, radius)
    _add(planes, light, strengths, (round(y) + frame.margin, round(x) + frame.margin))
    return piece


def _lumps(rng: np.random.Generator, radius: float, count: int, sharpness: float) -> Plane:
    """(s, s) a heap of blobs within about ``radius`` that is 1 at its brightest."""
    half = int(3 * radius) + 2
    places = half + rng.normal(0, 0.4 * radius, (count, 2))
    heap = dots(places, rng.uniform(0.4, 1, count), radius * sharpness, (2 * half + 1, 2 * half + 1))
    soft = blur(heap, 0.5 * radius * sharpness)
    return soft / max(float(soft.max()), 1e-6)


def _add(
    planes: npt.NDArray[np.float32], light: Plane, strengths: npt.NDArray[np.float64], at: tuple[int, int]
) -> None:
    """Add ``light``, centred ``at`` (y, x), to each plane with its strength; what falls outside is cut."""
    half, (height, width) = light.shape[0] // 2, planes.shape[1:]
    top, left = at[0] - half, at[1] - half
    y0, x0, y1, x1 = max(top, 0), max(left, 0), min(at[0] + half + 1, height), min(at[1] + half + 1, width)
    piece = light[y0 - top : y1 - top, x0 - left : x1 - left]
    planes[:, y0:y1, x0:x1] += strengths.astype(np.float32)[:, None, None] * piece
