"""What shape a cell and its nucleus have. Points and planes of a cell lie in its box on the canvas."""

from dataclasses import dataclass

import numpy as np

from common.simulate.cell_lines import CellLine
from common.simulate.outlines import Outline, extent, reach_of, rounded, spread
from common.simulate.structures import Mask, Plane, grain

NUCLEUS_SHRINK = 0.93
"""Nuclei drawn at the full radius of a line's nuclear area share come out 30 % larger than real ones."""
NUCLEUS_SPREAD = 0.18
"""Log spread of the radius: a CV of .33 of the nuclear area within a field."""
LOBED, PAIRED = 0.15, 0.06
"""The share of cells whose nucleus is folded, or that have two, by eye."""
MITOTIC_RADIUS = 0.62
"""Dividing cells round up."""

Part = tuple[float, float, Outline]
"""dy, dx of its centre from the cell's, and its outline."""


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


def grow(rng: np.random.Generator, spot: Spot, line: CellLine, zoom: float, canvas: int) -> Body:
    """Give a spot its outline and its nucleus; ``canvas`` is the side at which boxes end."""
    axis = rng.uniform(0, np.pi)
    if spot.mitotic:
        outline = rounded(rng, spot.radius, 0.3, axis, 0.06)
        radius, parts = 0.3 * spot.radius, _chromosomes(rng, spot.radius, axis)
    else:
        outline = spread(rng, spot.radius, line, axis)
        typical = NUCLEUS_SHRINK * np.sqrt(line.nucleus_share * line.area_px / np.pi) * zoom
        radius = min(typical * rng.lognormal(0, NUCLEUS_SPREAD), 0.66 * spot.radius)
        parts = _nuclei(rng, radius, spot.radius, axis)
    corner, shape = _box(spot, outline, 8 * zoom, canvas)
    y, x = spot.y - corner[0], spot.x - corner[1]
    nucleus_reach = np.minimum.reduce([reach_of(part, y + dy, x + dx, shape) for dy, dx, part in parts])
    reach = reach_of(outline, y, x, shape)
    if not spot.mitotic:
        reach *= 1 + _roughness(rng, shape, zoom)
    return Body(corner, (y, x), spot.radius, axis, spot.mitotic, zoom, reach, radius, nucleus_reach)


def _box(spot: Spot, outline: Outline, rim: float, canvas: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The corner and the shape of the box round an outline, within the canvas."""
    top, left, bottom, right = extent(outline)
    y0, x0 = max(int(spot.y + top - rim), 0), max(int(spot.x + left - rim), 0)
    y1, x1 = min(int(spot.y + bottom + rim) + 1, canvas), min(int(spot.x + right + rim) + 1, canvas)
    return (y0, x0), (y1 - y0, x1 - x0)


def _roughness(rng: np.random.Generator, shape: tuple[int, int], zoom: float) -> Plane:
    """Noise of two wavelengths that makes edges uneven in ways that no polar outline can."""
    return np.float32(0.045) * grain(rng, shape, 40 * zoom) + np.float32(0.012) * grain(rng, shape, 12 * zoom)


def _nuclei(rng: np.random.Generator, radius: float, cell_radius: float, axis: float) -> list[Part]:
    """One nucleus beside the centre, sometimes folded, or a pair."""
    turn, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.35) * (cell_radius - radius)
    dy, dx = distance * np.sin(turn), distance * np.cos(turn)
    tilt = axis + rng.normal(0, 0.5)
    kind = rng.random()
    if kind < PAIRED:
        small = 0.75 * radius
        apart = [(side * small * np.sin(tilt), side * small * np.cos(tilt)) for side in (-0.95, 0.95)]
        return [(dy + oy, dx + ox, rounded(rng, small, 0.5, tilt + np.pi / 2, 0.07)) for oy, ox in apart]
    rough = 0.35 if kind < PAIRED + LOBED else 0.07
    return [(dy, dx, rounded(rng, radius, rng.uniform(0.5, 0.85), tilt, rough))]


def _chromosomes(rng: np.random.Generator, cell_radius: float, axis: float) -> list[Part]:
    """A metaphase plate across the spindle, the two plates of an anaphase, or the blob before both."""
    across, kind = axis + np.pi / 2, rng.random()
    if kind < 0.2:
        return [(0.0, 0.0, rounded(rng, 0.42 * cell_radius, 0.4, across, 0.5))]
    apart = 0.0 if kind < 0.7 else cell_radius * rng.uniform(0.2, 0.42)
    sides = (-apart, apart) if apart else (0.0,)
    outlines = (rounded(rng, 0.3 * cell_radius, rng.uniform(0.92, 0.97), across, 0.15) for _ in sides)
    return [
        (side * np.sin(axis), side * np.cos(axis), plate) for side, plate in zip(sides, outlines, strict=True)
    ]
