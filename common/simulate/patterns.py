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
from common.simulate.textures import Draw, Light, glow, reticulum, soft

CELL_SPREAD = (0.35, 0.17, 0.4)
"""Log spread of brightness over the cells of a field, red, blue, yellow: nuclei of public fields vary by 17 %;
the others by eye."""


def _negative(rng: Draw, cell: Cell, protein: Draw) -> Light:
    """Show nothing: what is left of a cell is the background of every field."""
    return Light(np.zeros_like(cell.dome), np.zeros_like(cell.dome))


PATTERNS: tuple[Callable[[Draw, Cell, Draw], Light], ...] = (
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


def paint(rng: Draw, cell: Cell, class_id: int, conditions: Conditions, look: int) -> Light:
    """Draw the protein of one class in one cell; nothing leaves the cell's mask.

    Args:
        look: seeds what all cells of a sample share, such as how much of the protein is elsewhere.
    """
    light = PATTERNS[class_id](rng, cell, np.random.default_rng([look, class_id]))
    seen = np.float32(1 - conditions.dimming * (class_id in COMPACT)) * cell.mask
    return Light(light.shown * seen, light.faint * np.float32(conditions.leak) * cell.mask)


def paint_references(rng: Draw, cell: Cell, look: int) -> tuple[Plane, Plane, Plane]:
    """Draw microtubules, nucleus and reticulum: (h, w) red, blue and yellow; ``look`` as in ``paint``."""
    stain = np.random.default_rng([look, len(PATTERNS)])
    strength = rng.lognormal(0, CELL_SPREAD).astype(np.float32)
    sheets = reticulum(rng, cell, stain) + 0.06 * cell.dome
    drawn = (_microtubules(rng, cell, stain), _nucleus(rng, cell), sheets)
    red, blue, yellow = (plane * factor for plane, factor in zip(drawn, strength, strict=True))
    return red, blue, yellow


def _microtubules(rng: Draw, cell: Cell, stain: Draw) -> Plane:
    """Fibres, beaded by the stain, and their glow; both fade where the cell is thin."""
    beaded = cell.fibres * soft(rng, cell, 2.5, 0.25)
    flat = np.float32(stain.uniform(0.1, 0.5))
    thick = flat + (1 - flat) * cell.dome
    unsharp = np.float32(stain.uniform(0.2, 0.6)) * glow(cell.fibres, cell, 5)
    return (beaded + unsharp) * thick + 0.06 * cell.dome


def _nucleus(rng: Draw, cell: Cell) -> Plane:
    """Chromatin with looser, darker parts and nucleoli, or chromosomes; a trace of dye in the cytoplasm."""
    if cell.mitotic:
        return 1.7 * cell.nuclear * soft(rng, cell, 5, 0.1) + 0.02 * cell.dome
    loose = np.minimum(soft(rng, cell, 5.5, 0.17) * soft(rng, cell, 20, 0.24), 1.3)
    inside = cell.nuclear * loose * soft(rng, cell, 2.5, 0.12) * (1 - 0.75 * cell.nucleoli)
    return inside + 0.1 * glow(cell.nuclear, cell, 5) + 0.05 * cell.dome
