"""Proteins of the nucleus: classes 0 to 5. Lengths are in pixels of a 512 px picture (.32 um)."""

import numpy as np

from common.simulate.shapes import Cell
from common.simulate.structures import Gait, Plane, blur, dots, grain, pick, thicken, walks
from common.simulate.textures import Draw, Light, haze, rim, soft


def _interior(rng: Draw, cell: Cell, share: float) -> Plane:
    """(h, w) a faint ``share`` all over the nucleus."""
    return np.float32(share) * cell.nuclear * soft(rng, cell, 2.2, 0.25)


def nucleoplasm(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Fill the nucleus with fine grain; nucleoli are darker, by how much depends on the protein."""
    grainy = soft(rng, cell, 2.2, 0.2) * soft(rng, cell, 5, 0.18)
    shown = 0.8 * cell.nuclear * grainy * (1 - np.float32(protein.uniform(0.3, 0.8)) * cell.nucleoli)
    return Light(shown, haze(rng, cell, protein.uniform(0.35, 1.3)))


def nuclear_membrane(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Draw the envelope, cut across: a line of the microscope's width, with a fold in a third of the cells."""
    starts = pick(rng, cell.nucleus & (cell.nucleus_reach > 0.9), int(rng.random() < 0.35))
    inwards = np.asarray(cell.centre) - starts
    headings = np.arctan2(inwards[:, 0], inwards[:, 1]) + rng.normal(0, 0.4, len(starts))
    folds = walks(rng, starts, headings, Gait(0.9 * cell.nucleus_radius, 0.1), cell.nucleus, cell.zoom)
    line = rim(cell, 0.9) * soft(rng, cell, 9, 0.25) + 0.5 * thicken(folds, 0.6 * cell.zoom)
    return Light(
        line + _interior(rng, cell, protein.uniform(0.15, 0.5)), haze(rng, cell, protein.uniform(0.1, 0.6))
    )


def nucleoli(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Fill the nucleoli; of three in ten proteins only their rims."""
    blobs = cell.nucleoli
    if protein.random() < 0.3:
        blobs = np.maximum(1.8 * blobs - np.float32(1.35) * blur(blobs, 1.8 * cell.zoom), 0)
    faint = _interior(rng, cell, protein.uniform(0.05, 0.3)) + haze(rng, cell, protein.uniform(0.1, 0.45))
    return Light(1.2 * blobs * soft(rng, cell, 4, 0.15), faint)


def fibrillar_centres(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Put tiny spots inside nucleoli, one to three in each."""
    places = pick(rng, cell.nucleoli > 0.7, int(rng.integers(2, 7)))
    spots = dots(places, rng.uniform(0.8, 1.5, len(places)), 1.3 * cell.zoom, cell.mask.shape)
    return Light(
        spots,
        0.15 * cell.nucleoli
        + _interior(rng, cell, protein.uniform(0.05, 0.25))
        + haze(rng, cell, protein.uniform(0.05, 0.3)),
    )


def speckles(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Scatter 20 to 50 irregular speckles outside the nucleoli, on a fainter nucleoplasm."""
    bumps = np.clip(1.3 * grain(rng, cell.mask.shape, 8 * cell.zoom) - 0.9, 0, 1.4)
    free = cell.nuclear * (1 - cell.nucleoli)
    faint = free * np.float32(protein.uniform(0.15, 0.45)) * soft(rng, cell, 3, 0.2)
    return Light(0.9 * bumps * free, faint + haze(rng, cell, protein.uniform(0.12, 0.6)))


def bodies(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Put two to eight bright round bodies (.3 to 1 um) between the nucleoli, on a faint nucleoplasm."""
    inside = cell.nucleus & (cell.nucleus_reach < 0.85) & (cell.nucleoli < 0.3)
    places = pick(rng, inside, int(rng.integers(2, 9)))
    round_dots = dots(places, rng.uniform(0.7, 1.6, len(places)), 1.4 * cell.zoom, cell.mask.shape)
    faint = _interior(rng, cell, protein.uniform(0.05, 0.25)) + haze(rng, cell, protein.uniform(0.1, 0.4))
    return Light(round_dots, faint)
