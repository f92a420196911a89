"""What each compartment looks like in a cell: one function a class, and the three reference channels.

Each gives a (h, w) plane over the cell's box in which a typical bright pixel is about 1. Lengths are in
pixels of a 512 px picture, times the cell's ``zoom``.
"""

from collections.abc import Callable

import cv2
import numpy as np

from common.simulate.difficulty import Conditions
from common.simulate.shapes import Cell
from common.simulate.structures import Plane, blur, dots, grain, lies_on, pick, thicken, walks

Pattern = Callable[[np.random.Generator, Cell, Conditions], Plane]


def paint_references(rng: np.random.Generator, cell: Cell) -> tuple[Plane, Plane, Plane]:
    """Draw microtubules (fibres and haze), the nucleus with darker nucleoli, and the reticulum."""
    red = cell.fibres + 0.16 * cell.dome + 0.25 * blur(cell.fibres, 5 * cell.zoom) * cell.mask
    texture = _soft(cell, 5, 0.13, rng) * _soft(cell, 14, 0.1, rng) * (1 - 0.45 * cell.nucleoli)
    blue = 1.6 * cell.nuclear if cell.mitotic else cell.nuclear * texture
    yellow = _reticulum_mesh(rng, cell) + 0.3 * cell.dome
    strength = rng.lognormal(0, 0.18, 3).astype(np.float32)
    return red * strength[0], blue * strength[1], yellow * strength[2]


def paint(rng: np.random.Generator, cell: Cell, class_id: int, conditions: Conditions) -> Plane:
    """Draw the protein of one class in one cell; nothing leaves the cell's mask."""
    return (PATTERNS[class_id](rng, cell, conditions) * cell.mask).astype(np.float32)


def _soft(cell: Cell, cycle_px: float, depth: float, rng: np.random.Generator) -> Plane:
    """Multiplicative grain around 1."""
    return np.clip(1 + np.float32(depth) * grain(rng, cell.mask.shape, cycle_px * cell.zoom), 0, None)


def _nucleoplasm(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    leak = rng.uniform(0.05, 0.3) * cell.dome
    return 0.8 * cell.nuclear * _soft(cell, 4, 0.22, rng) * (1 - 0.7 * cell.nucleoli) + leak


def _rim(cell: Cell, width_px: float) -> Plane:
    """(h, w) 1 on the nuclear edge, falling off within ``width_px``."""
    distance = (cell.nucleus_reach - 1) * np.float32(cell.nucleus_radius / (width_px * cell.zoom))
    return np.exp(-(distance**2)).astype(np.float32)


def _nuclear_membrane(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    return _rim(cell, 1.5) * _soft(cell, 12, 0.2, rng) + 0.18 * cell.nuclear * _soft(cell, 4, 0.3, rng)


def _nucleoli(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    blobs = cell.nucleoli
    if rng.random() < 0.3:
        blobs = blobs - 0.6 * blur(blobs, 2 * cell.zoom)
        blobs = 1.6 * np.clip(blobs, 0, None)
    return blobs * _soft(cell, 5, 0.15, rng) + rng.uniform(0.05, 0.2) * cell.nuclear


def _fibrillar_centre(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    places = pick(rng, cell.nucleoli > 0.6, int(rng.integers(2, 6)))
    spots = dots(places, rng.uniform(0.8, 1.3, len(places)), 1.4 * cell.zoom, cell.mask.shape)
    return (
        spots + 0.12 * cell.nucleoli + np.float32(rng.uniform(0.03, 0.1)) * (cell.nuclear + 0.5 * cell.dome)
    )


def _speckles(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    speckle = np.clip(grain(rng, cell.mask.shape, 9 * cell.zoom) - 0.6, 0, 1.5)
    return cell.nuclear * (1 - cell.nucleoli) * (0.9 * speckle + rng.uniform(0.08, 0.2))


def _nuclear_bodies(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    places = pick(
        rng, cell.nucleus & (cell.nucleus_reach < 0.85) & (cell.nucleoli < 0.3), int(rng.integers(3, 10))
    )
    bodies = dots(places, rng.uniform(0.5, 1.2, len(places)), 1.3 * cell.zoom, cell.mask.shape)
    return bodies + rng.uniform(0.08, 0.25) * cell.nuclear


def _reticulum_mesh(rng: np.random.Generator, cell: Cell) -> Plane:
    """Sheets that thin out into a mesh away from the nucleus."""
    away = np.clip(cell.nucleus_reach - 1, 0, None) * np.float32(cell.nucleus_radius / cell.radius)
    mesh = np.clip(1.1 - np.abs(grain(rng, cell.mask.shape, 9 * cell.zoom)), 0.1, 1)
    return mesh * np.exp(-2.6 * away) * (1 - 0.85 * cell.nuclear) * cell.mask


def _endoplasmic_reticulum(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    return _reticulum_mesh(rng, cell) + 0.45 * _rim(cell, 1.8)


def _golgi(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    count = int(rng.integers(10, 22))
    near = np.asarray(cell.organiser) + rng.normal(0, 0.2 * cell.radius, (count, 2))
    starts = near[lies_on(near, cell.cytoplasm)]
    counts = walks(rng, starts, rng.uniform(0, 2 * np.pi, len(starts)), 12 * cell.zoom, 0.25, cell.cytoplasm)
    return 0.9 * thicken(counts, 1.5 * cell.zoom) + 0.07 * cell.dome


def _intermediate_filaments(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    starts = pick(rng, cell.mask & (cell.nucleus_reach > 1) & (cell.reach < 0.6), 14)
    bundles = np.repeat(starts, 4, axis=0) + rng.normal(0, 2.5 * cell.zoom, (4 * len(starts), 2))
    headings = np.repeat(rng.uniform(0, 2 * np.pi, len(starts)), 4)
    counts = walks(rng, bundles, headings, 1.3 * cell.radius, 0.2 / np.sqrt(cell.zoom), cell.cytoplasm)
    return 0.55 * thicken(counts, 1.1 * cell.zoom) + 0.08 * cell.dome


def _actin(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    starts = pick(rng, cell.mask, 26)
    headings = cell.axis + rng.normal(0, 0.12, len(starts))
    both = np.concatenate([headings, headings + np.pi])
    counts = walks(rng, np.vstack([starts, starts]), both, 0.8 * cell.radius, 0.006, cell.mask)
    return 0.75 * thicken(counts, 1.0 * cell.zoom) + 0.6 * _edge(cell, 2.0) + 0.12 * cell.dome


def _edge(cell: Cell, width_px: float) -> Plane:
    """(h, w) 1 on the outline, falling off inwards within ``width_px``."""
    inside = cv2.distanceTransform(np.pad(cell.mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return np.exp(-((np.asarray(inside) / np.float32(width_px * cell.zoom)) ** 2)) * cell.mask


def _microtubules(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    return 1.1 * cell.fibres + 0.1 * cell.dome


def _mitotic_spindle(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    return 1.1 * cell.fibres * cell.mitotic + 0.08 * cell.dome


def _centrosome(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    gap = rng.normal(0, 2.5 * cell.zoom, (2, 2)) * [[0.0], [1.0]]
    pair = np.asarray(cell.organiser) + gap
    heights = np.array([1.3, 1.3 * (rng.random() < 0.6)])
    return dots(pair, heights, 1.3 * cell.zoom, cell.mask.shape) + rng.uniform(
        0.06, 0.15
    ) * cell.dome * _soft(cell, 6, 0.2, rng)


def _plasma_membrane(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    return _edge(cell, 2.6) * np.clip(0.9 * _soft(cell, 24, 0.45, rng), 0.1, 1.6) + 0.1 * cell.mask * _soft(
        cell, 6, 0.3, rng
    )


def _mitochondria(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    starts = pick(rng, cell.cytoplasm & (cell.reach < 0.85), int(rng.integers(120, 220)))
    kept = starts[rng.random(len(starts)) < np.exp(-1.2 * _at(cell.reach, starts))]
    headings = rng.uniform(0, 2 * np.pi, len(kept))
    counts = walks(rng, kept, headings, 9 * cell.zoom, 0.22 / np.sqrt(cell.zoom), cell.cytoplasm)
    return 0.5 * thicken(counts, 0.95 * cell.zoom) + 0.08 * cell.dome


def _at(plane: Plane, points: np.ndarray) -> Plane:
    """(n,) values at (n, 2) points."""
    at = points.astype(int)
    return plane[at[:, 0], at[:, 1]]


def _aggresome(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    lumps = np.asarray(cell.organiser) + rng.normal(0, 3.2 * cell.zoom, (int(rng.integers(5, 10)), 2))
    blob = dots(lumps, rng.uniform(0.4, 0.8, len(lumps)), 2.4 * cell.zoom, cell.mask.shape)
    return 1.2 * np.clip(blob, 0, 1.2) + rng.uniform(0.05, 0.2) * cell.dome


def _cytosol(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    return 0.9 * cell.dome**0.7 * (1 - rng.uniform(0.3, 0.75) * cell.nuclear) * _soft(cell, 5, 0.16, rng)


def _vesicles(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    places = pick(rng, cell.cytoplasm & (cell.reach < 0.9), int(rng.integers(25, 110)))
    large = int(len(places) * rng.uniform(0.1, 0.4))
    heights = rng.uniform(0.4, 1.2, len(places))
    shape = cell.mask.shape
    small_dots = dots(places[large:], heights[large:], 0.9 * cell.zoom, shape)
    return small_dots + dots(places[:large], heights[:large], 1.8 * cell.zoom, shape) + 0.07 * cell.dome


def _negative(rng: np.random.Generator, cell: Cell, conditions: Conditions) -> Plane:
    return np.zeros_like(cell.dome)


PATTERNS: tuple[Pattern, ...] = (
    _nucleoplasm,
    _nuclear_membrane,
    _nucleoli,
    _fibrillar_centre,
    _speckles,
    _nuclear_bodies,
    _endoplasmic_reticulum,
    _golgi,
    _intermediate_filaments,
    _actin,
    _microtubules,
    _mitotic_spindle,
    _centrosome,
    _plasma_membrane,
    _mitochondria,
    _aggresome,
    _cytosol,
    _vesicles,
    _negative,
)
"""In the order of ``common.classes.CLASSES``."""
