"""What shape a cell and its nucleus have.

Outlines are polar: an ellipse times low harmonics. Points and planes of a cell lie in its box on the canvas.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from common.simulate.structures import Mask, Plane

ANGLES = 360
NUCLEUS_SHRINK = 0.85
"""Nuclei drawn at the full radius of a line's nuclear area share come out 30 % larger than real ones."""

Outline = tuple[float, float, Plane]
"""dy, dx of its centre from the cell's, and (ANGLES,) distances."""


@dataclass(frozen=True)
class Spot:
    """A cell before it has a shape: its centre on the canvas and the radius of its area, in pixels."""

    y: float
    x: float
    radius: float
    mitotic: bool


@dataclass(frozen=True)
class Body:
    """A cell that does not know its neighbours yet."""

    corner: tuple[int, int]  # of its box on the canvas
    centre: tuple[float, float]
    radius: float
    axis: float  # radians: the long side, or the spindle of a mitotic cell
    mitotic: bool
    zoom: float
    reach: Plane  # (h, w) 0 at the centre, 1 at the outline
    nucleus_radius: float
    nucleus_reach: Plane  # (h, w) the same of the nucleus, or of the chromosomes of a mitotic cell

    @property
    def box(self) -> tuple[slice, slice]:
        """Where the planes belong on the canvas."""
        (y, x), (height, width) = self.corner, self.reach.shape
        return slice(y, y + height), slice(x, x + width)


@dataclass(frozen=True)
class Cell(Body):
    """A cell as it lies among its neighbours."""

    mask: Mask  # (h, w)
    nucleus: Mask  # (h, w) the nucleus or the chromosomes
    cytoplasm: Mask  # (h, w) the mask without the nucleus and its rim
    organiser: tuple[float, float]  # where microtubules start
    nuclear: Plane  # (h, w) 0..1, the nucleus with a soft edge
    nucleoli: Plane  # (h, w) 0..1
    dome: Plane  # (h, w) 0..1, how thick the cell is
    fibres: Plane  # (h, w) its microtubules, about 1 where bright


def grow(
    rng: np.random.Generator, spot: Spot, line_shape: tuple[float, float], zoom: float, canvas: int
) -> Body:
    """Give a spot its outline and its nucleus.

    Args:
        line_shape: the mean eccentricity of the line, and the radius of its typical nucleus in pixels.
        canvas: side of the canvas; boxes end there.
    """
    eccentricity, nucleus_radius = line_shape
    axis = rng.uniform(0, np.pi)
    if spot.mitotic:
        outline = _outline(rng, spot.radius, 0.3, axis, 0.06)
        radius, parts = 0.3 * spot.radius, _chromosomes(rng, spot.radius, axis)
    else:
        outline = _outline(
            rng, spot.radius, float(np.clip(rng.normal(eccentricity, 0.13), 0.2, 0.93)), axis, 0.4
        )
        radius = min(nucleus_radius * rng.lognormal(0, 0.12), 0.55 * spot.radius)
        parts = _nuclei(rng, radius, spot.radius, axis)
    half = int(outline.max() + 8 * zoom)
    top, left = (max(int(at) - half, 0) for at in (spot.y, spot.x))
    shape = min(int(spot.y) + half, canvas) - top, min(int(spot.x) + half, canvas) - left
    y, x = spot.y - top, spot.x - left
    nucleus_reach = np.minimum.reduce([_reach(part, y + dy, x + dx, shape) for dy, dx, part in parts])
    reach = _reach(outline, y, x, shape)
    return Body((top, left), (y, x), spot.radius, axis, spot.mitotic, zoom, reach, radius, nucleus_reach)


def _outline(
    rng: np.random.Generator, radius: float, eccentricity: float, axis: float, rough: float
) -> Plane:
    """(ANGLES,) distances from the centre that enclose about the area of a circle of ``radius``."""
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    flat = (1 - eccentricity**2) ** 0.25
    ellipse = radius / np.hypot(flat * np.cos(angles - axis), np.sin(angles - axis) / flat)
    orders = np.arange(2, 11)[:, None]
    weights = rng.normal(0, rough, len(orders)) / orders[:, 0] ** 1.3
    waves = weights @ np.cos(orders * angles + rng.uniform(0, 2 * np.pi, orders.shape))
    return (ellipse * np.exp(waves)).astype(np.float32)


def _reach(outline: Plane, y: float, x: float, shape: tuple[int, int]) -> Plane:
    """(h, w) distance from ``(y, x)`` as a share of the outline's in that direction."""
    dy, dx = np.indices(shape, np.float32)
    distance, angle = (np.asarray(plane) for plane in cv2.cartToPolar(dx - np.float32(x), dy - np.float32(y)))
    return distance / outline[(angle * np.float32(ANGLES / (2 * np.pi))).astype(np.int32) % ANGLES]


def _nuclei(rng: np.random.Generator, radius: float, cell_radius: float, axis: float) -> list[Outline]:
    """One nucleus beside the centre; one in eight is lobed, one cell in twenty has a pair."""
    turn, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35) * (cell_radius - radius)
    dy, dx = distance * np.sin(turn), distance * np.cos(turn)
    tilt = axis + rng.normal(0, 0.5)
    rough = 0.35 if rng.random() < 0.12 else 0.07
    if rng.random() > 0.05:
        return [(dy, dx, _outline(rng, radius, rng.uniform(0.45, 0.82), tilt, rough))]
    small = 0.75 * radius
    apart = [(side * small * np.sin(tilt), side * small * np.cos(tilt)) for side in (-0.95, 0.95)]
    return [(dy + oy, dx + ox, _outline(rng, small, 0.5, tilt + np.pi / 2, rough)) for oy, ox in apart]


def _chromosomes(rng: np.random.Generator, cell_radius: float, axis: float) -> list[Outline]:
    """A metaphase plate across the spindle, or the two plates of an anaphase."""
    across = axis + np.pi / 2
    apart = 0.0 if rng.random() < 0.65 else cell_radius * rng.uniform(0.2, 0.42)
    sides = (-apart, apart) if apart else (0.0,)
    outlines = (_outline(rng, 0.3 * cell_radius, rng.uniform(0.92, 0.97), across, 0.15) for _ in sides)
    return [
        (side * np.sin(axis), side * np.cos(axis), plate) for side, plate in zip(sides, outlines, strict=True)
    ]
