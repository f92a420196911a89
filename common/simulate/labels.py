"""Which classes a cell shows, and the weak labels that a sample's images get from its cells.

Numbers: 5,090 human-checked cells of the public tables against the labels of their images.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from common.classes import CLASSES, NEGATIVE
from common.simulate.shapes import Cell

SPINDLE = CLASSES.index("Mitotic spindle")
MICROTUBULES = CLASSES.index("Microtubules")
CYTOSOL = CLASSES.index("Cytosol")
NUCLEOPLASM = CLASSES.index("Nucleoplasm")

CLASS_STATISTICS = np.array(
    (
        (8797, 0.86, 0.75),  # Nucleoplasm
        (1095, 0.80, 0.68),  # Nuclear membrane
        (2451, 0.90, 0.55),  # Nucleoli
        (1262, 0.60, 0.45),  # Nucleoli fibrillar center
        (1425, 0.93, 0.80),  # Nuclear speckles
        (1792, 0.55, 0.42),  # Nuclear bodies
        (775, 0.83, 0.67),  # Endoplasmic reticulum
        (1846, 0.65, 0.50),  # Golgi apparatus
        (964, 0.85, 0.50),  # Intermediate filaments
        (998, 0.95, 0.70),  # Actin filaments
        (818, 0.75, 0.57),  # Microtubules
        (78, 0.07, 0.07),  # Mitotic spindle
        (1734, 0.35, 0.27),  # Centrosome
        (3111, 0.93, 0.68),  # Plasma membrane
        (2013, 0.87, 0.85),  # Mitochondria
        (252, 0.60, 0.50),  # Aggresome
        (5685, 0.87, 0.81),  # Cytosol
        (593, 0.64, 0.54),  # Vesicles and punctate cytosolic patterns
        (34, 1.00, 1.00),  # Negative
    )
)
"""(19, 3): images of the competition with the class; P(cell shows it) where its image has that label only,
and where it has others as well."""
LABELS_PER_IMAGE = (0.48, 0.41, 0.11)
"""The share of images with one, two and three labels."""
SHOWN_ANYWAY = {CYTOSOL: 0.019, NUCLEOPLASM: 0.010}
"""P(cell shows c | the image lacks c), faintly; the other classes stay below .005."""
LEAST_SHARE = 0.12
"""Of cells that show a class: the smallest tenth of labelled fields lies about here."""
SILENT = 0.03
"""The share of cells that express nothing."""

FEW_CELLS_SUFFICE = [CLASSES.index(name) for name in ("Mitotic spindle", "Centrosome", "Aggresome")]
"""These count from one cell; the others from a tenth of a field's cells."""
MISSED, ADDED = 0.03, 0.015
DISPERSED = np.array([0, 1, 2, 3, 4, 5, 7])
"""Nuclear and Golgi proteins: they fill a mitotic cell, whose nucleus and Golgi are gone."""


def class_weights() -> npt.NDArray[np.float64]:
    """(19,) how often a protein has a class: real counts, flattened so that small data has every class."""
    weights = np.sqrt(CLASS_STATISTICS[:, 0])
    return np.asarray(weights / weights.sum())


def express(
    rng: np.random.Generator, classes: tuple[int, ...], cells: Sequence[Cell]
) -> npt.NDArray[np.float32]:
    """(cells, 19) how brightly each cell shows each class; 0 where it does not.

    The share of a field's cells that show a class is drawn U-shaped (a beta distribution) around its mean.
    """
    mitotic = np.array([cell.mitotic for cell in cells], bool)
    count = len(cells)
    shown = np.zeros((count, len(CLASSES)), bool)
    for class_id in sorted(set(classes) - {NEGATIVE, SPINDLE}):
        mean = CLASS_STATISTICS[class_id, 1 if len(classes) == 1 else 2]
        shown[:, class_id] = rng.random(count) < max(rng.beta(1.2 * mean, 1.2 * (1 - mean)), LEAST_SHARE)
    for class_id in sorted(set(SHOWN_ANYWAY) - set(classes)):
        shown[:, class_id] = rng.random(count) < SHOWN_ANYWAY[class_id]
    shown[rng.random(count) < SILENT] = False
    shown[mitotic, CYTOSOL] |= shown[mitotic][:, DISPERSED].any(axis=1)
    shown[np.ix_(mitotic, DISPERSED)] = False
    shown[mitotic, SPINDLE] = shown[mitotic, MICROTUBULES] | (SPINDLE in classes)
    shown[mitotic, MICROTUBULES] = False
    expected = np.isin(np.arange(len(CLASSES)), classes) | mitotic[:, None]
    brightness = (
        np.where(expected, 1, 0.5)
        * rng.lognormal(0, 0.3, (count, 1))
        * rng.lognormal(0, 0.3, (1, len(CLASSES)))
    )
    return (shown * brightness * rng.lognormal(0, 0.15, shown.shape)).astype(np.float32)


def label_sample(
    truths: Sequence[npt.NDArray[np.uint8]], rng: np.random.Generator, label_noise: float
) -> tuple[int, ...]:
    """Label all images of one sample as people did: by what the majority of its fields shows, with mistakes.

    Args:
        truths: (cells, 19) of each field.
        label_noise: scales the misses (3 % of labels) and the additions (to 1.5 % of samples); 0 for none.

    Returns:
        Sorted class ids; Negative where nothing else is left.
    """
    votes = np.sum([_shows(truth) for truth in truths], axis=0)
    kept = {c for c in range(len(CLASSES)) if 2 * votes[c] > len(truths) and c != NEGATIVE}
    kept = {c for c in sorted(kept) if rng.random() >= MISSED * label_noise}
    if rng.random() < ADDED * label_noise:
        kept.add(int(rng.choice(len(CLASSES), p=class_weights())))
    return tuple(sorted(kept - {NEGATIVE})) or (NEGATIVE,)


def _shows(truth: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """(19,) whether a field with (cells, 19) ``truth`` shows each class."""
    needed = np.full(len(CLASSES), max(0.1 * len(truth), 1))
    needed[FEW_CELLS_SUFFICE] = 1
    return np.asarray(truth.sum(axis=0) >= needed)
