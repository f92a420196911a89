"""Proteins of filaments and of the cell's edge: classes 8 to 11 and 13.

Lengths are in pixels of a 512 px picture (.32 um).
"""

import numpy as np

from common.simulate.shapes import Cell
from common.simulate.structures import Gait, pick, thicken, walks
from common.simulate.textures import Draw, Light, edge, glow, haze, soft


def intermediate_filaments(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Draw wavy bundles that leave a cage round the nucleus; only some reach the edge."""
    near = pick(rng, cell.cytoplasm & (cell.nucleus_reach < 1.8), 45)
    starts = np.repeat(near, 4, axis=0) + rng.normal(0, 1.2 * cell.zoom, (4 * len(near), 2))
    headings = np.repeat(rng.uniform(0, 2 * np.pi, len(near)), 4) + rng.normal(0, 0.1, 4 * len(near))
    length = protein.uniform(0.7, 1.5) * cell.radius
    wavy = walks(rng, starts, headings, Gait(length, 0.14), cell.cytoplasm, cell.zoom)
    lines = 0.45 * thicken(wavy, 0.6 * cell.zoom) * soft(rng, cell, 14, 0.35)
    return Light(
        np.minimum(lines, 1.8) + 0.3 * glow(lines, cell, 4), haze(rng, cell, protein.uniform(0.02, 0.2))
    )


def actin(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Draw straight stress fibres along one axis over a haze, and the cortex with bright ruffles."""
    starts = pick(rng, cell.mask, 50)
    headings = rng.normal(cell.axis, protein.uniform(0.05, 0.4), len(starts))
    headings += rng.choice([0, np.pi], len(starts))
    straight = walks(rng, starts, headings, Gait(1.6 * cell.radius, 0.008), cell.mask, cell.zoom)
    fibres = 0.6 * thicken(straight, 0.6 * cell.zoom) * soft(rng, cell, 16, 0.4)
    ruffles = edge(cell, 1.8) * np.clip(0.5 * soft(rng, cell, 14, 0.9), 0.1, 1.5)
    inner = np.float32(protein.uniform(0.15, 0.45)) * np.sqrt(cell.dome) * (1 - 0.4 * cell.nuclear)
    return Light(
        fibres + ruffles + inner * soft(rng, cell, 4, 0.15), haze(rng, cell, protein.uniform(0.02, 0.15))
    )


def microtubules(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Show the fibres of the reference channel."""
    if cell.mitotic:
        return mitotic_spindle(rng, cell, protein)
    return Light(
        0.9 * cell.fibres + 0.2 * glow(cell.fibres, cell, 4), haze(rng, cell, protein.uniform(0.02, 0.2))
    )


def mitotic_spindle(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Show the spindle of a dividing cell; other cells show nothing but haze."""
    return Light(1.1 * cell.fibres * np.float32(cell.mitotic), haze(rng, cell, protein.uniform(0.05, 0.2)))


def plasma_membrane(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Draw an uneven line along the outline, of half of the proteins with ruffles, on a faint surface."""
    uneven = np.clip(soft(rng, cell, 26, 0.45), 0.15, 1.6)
    line = 0.75 * edge(cell, 1.6) * uneven
    if protein.random() < 0.5:
        line += 0.5 * edge(cell, 5) * np.clip(soft(rng, cell, 12, 1.2) - 1.2, 0, 1.2)
    surface = np.float32(protein.uniform(0.08, 0.25)) * cell.mask * soft(rng, cell, 4, 0.25)
    return Light(line + surface, haze(rng, cell, protein.uniform(0.05, 0.25)))
