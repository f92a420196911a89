"""Proteins of organelles outside the nucleus: classes 6, 7, 12 and 14 to 17.

Lengths are in pixels of a 512 px picture (.32 um).
"""

import numpy as np

from common.simulate.shapes import Cell
from common.simulate.structures import Gait, Plane, Points, dots, pick, thicken, walks
from common.simulate.textures import Draw, Light, away, haze, reticulum, rim, soft


def endoplasmic_reticulum(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Draw the mesh round the nucleus, and the envelope that it is continuous with."""
    envelope = np.float32(protein.uniform(0.2, 0.5)) * rim(cell, 1.3) * (not cell.mitotic)
    return Light(reticulum(rng, cell, protein) + envelope, haze(rng, cell, protein.uniform(0.05, 0.3)))


def golgi(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Cluster short ribbons at one side of the nucleus, with a few vesicles around them."""
    count, spread = int(rng.integers(25, 55)), protein.uniform(0.3, 0.6) * cell.nucleus_radius
    starts = np.asarray(cell.organiser) + rng.normal(0, spread, (count, 2))
    headings = rng.uniform(0, 2 * np.pi, count)
    ribbons = walks(rng, starts, headings, Gait(11 * cell.zoom, 0.2), cell.cytoplasm, cell.zoom)
    around = np.asarray(cell.organiser) + rng.normal(0, 3 * spread, (20, 2))
    vesicles = dots(around, rng.uniform(0.2, 0.7, 20), 0.8 * cell.zoom, cell.mask.shape)
    shown = np.minimum(0.7 * thicken(ribbons, 0.9 * cell.zoom), 1.6) + vesicles
    return Light(shown, haze(rng, cell, protein.uniform(0.1, 0.45)))


def centrosome(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Put one or two dots at the organising centre; one at each pole of a dividing cell."""
    gap = rng.normal(0, 2 * cell.zoom, (2, 2)) * [[0.0], [1.0]]
    if cell.mitotic:
        gap[1] = 2 * (np.asarray(cell.centre) - cell.organiser)
    heights = np.array([1.7, 1.7 * (cell.mitotic or rng.random() < 0.6)])
    pair = dots(np.asarray(cell.organiser) + gap, heights, 1.4 * cell.zoom, cell.mask.shape)
    return Light(pair, haze(rng, cell, protein.uniform(0.05, 0.25)))


def mitochondria(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Scatter short worms (.5 um thick), many beside the nucleus and few near the edge."""
    starts = pick(rng, cell.cytoplasm, int(protein.integers(250, 480)))
    kept = starts[rng.random(len(starts)) < np.exp(-1.7 * _at(away(cell), starts))]
    headings = rng.uniform(0, 2 * np.pi, len(kept))
    worms = walks(rng, kept, headings, Gait(12 * cell.zoom, 0.15), cell.cytoplasm, cell.zoom)
    shown = np.minimum(0.6 * thicken(worms, 0.85 * cell.zoom), 1.5)
    return Light(shown, haze(rng, cell, protein.uniform(0.03, 0.25)))


def _at(plane: Plane, points: Points) -> Plane:
    """(n,) values at (n, 2) points."""
    at = points.astype(int)
    return plane[at[:, 0], at[:, 1]]


def aggresome(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Heap lumps into one compact grainy blob (2 to 5 um) that dents the nucleus."""
    lumps = np.asarray(cell.organiser) + rng.normal(0, 2.8 * cell.zoom, (int(rng.integers(5, 12)), 2))
    blob = dots(lumps, rng.uniform(0.4, 0.8, len(lumps)), 2.4 * cell.zoom, cell.mask.shape)
    beside = np.minimum(1.2 * blob, 1.2) * (1 - 0.8 * cell.nuclear)
    return Light(beside * soft(rng, cell, 3, 0.25), haze(rng, cell, protein.uniform(0.05, 0.35)))


def cytosol(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Fill the cell with fine grain, the more the thicker it is; less in the nucleus."""
    grainy = soft(rng, cell, 2.2, 0.15) * soft(rng, cell, 5, 0.15) * soft(rng, cell, 16, 0.15)
    kept = 1 - np.float32(protein.uniform(0.2, 0.8)) * cell.nuclear
    return Light(0.9 * np.sqrt(cell.dome) * kept * grainy, haze(rng, cell, protein.uniform(0.02, 0.1)))


def vesicles(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Scatter 50 to 400 dots of two sizes through the cell, fewer over the nucleus."""
    density = protein.uniform(0.01, 0.035) * rng.uniform(0.7, 1.3)
    count = int(density * np.count_nonzero(cell.mask) / cell.zoom**2)
    places = pick(rng, cell.mask & (cell.reach < 0.92), count)
    inside = _at(cell.nuclear, places) > 0.5
    places = places[~inside | (rng.random(len(places)) < 0.4)]
    large = int(len(places) * protein.uniform(0.05, 0.35))
    heights, shape = rng.uniform(0.4, 1.2, len(places)), cell.mask.shape
    small_dots = dots(places[large:], heights[large:], 0.7 * cell.zoom, shape)
    large_dots = dots(places[:large], heights[:large], 1.4 * cell.zoom, shape)
    return Light(small_dots + large_dots, haze(rng, cell, protein.uniform(0.05, 0.3)))
