"""What several patterns draw: grain, the edges of the nucleus and of the cell, the reticulum, haze."""

from typing import NamedTuple

import cv2
import numpy as np

from common.simulate.shapes import Cell
from common.simulate.structures import Plane, blur, grain

Draw = np.random.Generator


class Light(NamedTuple):
    """What an antibody lights up in one cell: (h, w) planes, about 1 where typically bright."""

    shown: Plane
    """In the compartment."""
    faint: Plane
    """Elsewhere: what is still on its way there, and what the antibody binds besides."""

    @property
    def total(self) -> Plane:
        """(h, w) all of it."""
        return self.shown + self.faint


def soft(rng: Draw, cell: Cell, wavelength_px: float, depth: float) -> Plane:
    """(h, w) grain to multiply with: its mean is 1, its standard deviation ``depth``."""
    return np.maximum(1 + np.float32(depth) * grain(rng, cell.mask.shape, wavelength_px * cell.zoom), 0)


def haze(rng: Draw, cell: Cell, share: float) -> Plane:
    """(h, w) a faint ``share`` all over the cytoplasm, more where it is thick; half of it in the nucleus."""
    level = np.float32(share * rng.lognormal(0, 0.2))
    dotted = soft(rng, cell, 2.2, 0.25) * soft(rng, cell, 5, 0.22) * soft(rng, cell, 16, 0.2)
    return level * cell.dome * dotted * (1 - 0.5 * cell.nuclear)


def rim(cell: Cell, width_px: float) -> Plane:
    """(h, w) 1 on the nuclear edge, falling off within ``width_px``."""
    distance = (cell.nucleus_reach - 1) * np.float32(cell.nucleus_radius / (width_px * cell.zoom))
    return np.exp(-(distance * distance))


def edge(cell: Cell, width_px: float) -> Plane:
    """(h, w) 1 on the outline, falling off inwards within ``width_px``."""
    inside = cv2.distanceTransform(np.pad(cell.mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    depth = (np.asarray(inside) - np.float32(0.5)) / np.float32(width_px * cell.zoom)
    return np.exp(-(depth * depth)) * cell.mask


def away(cell: Cell) -> Plane:
    """(h, w) distance from the nucleus in radii of the cell; 0 inside."""
    return np.maximum(cell.nucleus_reach - 1, 0) * np.float32(cell.nucleus_radius / cell.radius)


def reticulum(rng: Draw, cell: Cell, stain: Draw) -> Plane:
    """(h, w) grainy sheets round the nucleus that thin out into a mesh with holes towards the edge.

    A dividing cell is round, and full of it.
    """
    fine = soft(rng, cell, 2, 0.15) * soft(rng, cell, 4, 0.15)
    mesh = np.maximum(fine + 0.25 * grain(rng, cell.mask.shape, 11 * cell.zoom), 0.1)
    fading = np.exp(np.float32(-stain.uniform(2, 4.5)) * away(cell))
    above = 1 - np.float32(stain.uniform(0.6, 0.92)) * cell.nuclear
    return mesh * (cell.dome if cell.mitotic else fading) * above * cell.mask


def glow(plane: Plane, cell: Cell, sigma_px: float) -> Plane:
    """(h, w) the light of ``plane`` from above and below the section: out of focus, inside the cell."""
    return blur(plane, sigma_px * cell.zoom) * cell.mask
