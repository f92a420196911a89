"""What a cell shows: the protein of each of the 19 classes, and the three reference channels.

Planes cover the cell's box; a typical bright pixel is about 1. Lengths are in pixels of a 512 px picture
of 164 um, times the cell's ``zoom``.
"""

from collections.abc import Callable

import numpy as np

from common.classes import CLASSES
from common.simulate import patterns_cytoplasm as cytoplasm
from common.simulate import patterns_nuclear as nuclear
from common.simulate import patterns_skeleton as skeleton
from common.simulate.difficulty import Conditions
from common.simulate.shapes import Cell
from common.simulate.structures import Plane
from common.simulate.textures import Light, glow, reticulum, soft


def _negative(rng: np.random.Generator, cell: Cell) -> Light:
    """Show nothing: what is left of a cell is the background of every field."""
    return Light(np.zeros_like(cell.dome), np.zeros_like(cell.dome))


PATTERNS: tuple[Callable[[np.random.Generator, Cell], Light], ...] = (
    nuclear.nucleoplasm,
    nuclear.nuclear_membrane,
    nuclear.nucleoli,
    nuclear.fibrillar_centres,
    nuclear.speckles,
    nuclear.bodies,
    cytoplasm.endoplasmic_reticulum,
    cytoplasm.golgi,
    skeleton.intermediate_filaments,
    skeleton.actin,
    skeleton.microtubules,
    skeleton.mitotic_spindle,
    cytoplasm.centrosome,
    skeleton.plasma_membrane,
    cytoplasm.mitochondria,
    cytoplasm.aggresome,
    cytoplasm.cytosol,
    cytoplasm.vesicles,
    _negative,
)
"""In the order of ``common.classes.CLASSES``."""

COMPACT = frozenset(
    CLASSES.index(name)
    for name in (
        "Nucleoli fibrillar center",
        "Nuclear bodies",
        "Golgi apparatus",
        "Mitotic spindle",
        "Centrosome",
        "Aggresome",
        "Vesicles and punctate cytosolic patterns",
    )
)
"""Small bright structures: gains are set so that they do not saturate, so all else in the field is dimmer."""


def paint(rng: np.random.Generator, cell: Cell, class_id: int, conditions: Conditions) -> Light:
    """Draw the protein of one class in one cell; nothing leaves the cell's mask."""
    light = PATTERNS[class_id](rng, cell)
    seen = np.float32(1 - conditions.dimming * (class_id in COMPACT)) * cell.mask
    return Light(light.shown * seen, light.faint * np.float32(conditions.leak) * cell.mask)


def paint_references(rng: np.random.Generator, cell: Cell) -> tuple[Plane, Plane, Plane]:
    """Draw microtubules, nucleus and reticulum: (h, w) red, blue and yellow."""
    strength = rng.lognormal(0, CELL_SPREAD, 3).astype(np.float32)
    drawn = (_microtubules(rng, cell), _nucleus(rng, cell), _reticulum(rng, cell))
    red, blue, yellow = (plane * factor for plane, factor in zip(drawn, strength, strict=True))
    return red, blue, yellow


CELL_SPREAD = 0.17
"""Log spread of brightness over the cells of a field: nuclei of public fields vary by 17 %."""


def _microtubules(rng: np.random.Generator, cell: Cell) -> Plane:
    """Fibres, beaded by the stain, and their glow; both fade where the cell is thin."""
    beaded = cell.fibres * soft(rng, cell, 2.5, 0.25)
    thick = 0.35 + 0.65 * cell.dome
    return (beaded + 0.45 * glow(cell.fibres, cell, 5)) * thick + 0.06 * cell.dome


def _nucleus(rng: np.random.Generator, cell: Cell) -> Plane:
    """Chromatin with darker nucleoli, or condensed chromosomes; a trace of dye in the cytoplasm."""
    if cell.mitotic:
        return 1.7 * cell.nuclear * soft(rng, cell, 5, 0.1) + 0.02 * cell.dome
    chromatin = soft(rng, cell, 2.5, 0.1) * soft(rng, cell, 7, 0.12) * soft(rng, cell, 20, 0.1)
    return cell.nuclear * chromatin * (1 - 0.5 * cell.nucleoli) + 0.02 * cell.dome


def _reticulum(rng: np.random.Generator, cell: Cell) -> Plane:
    return reticulum(rng, cell) + 0.1 * cell.dome
