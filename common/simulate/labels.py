"""Which classes a cell shows, and the weak labels that a sample's images get from its cells.

Numbers: 5,090 human-checked cells of the public tables against the labels of their images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.classes import CLASSES, NEGATIVE
from common.simulate.difficulty import Conditions
from common.simulate.label_sets import TOGETHER, LabelSet, class_shares
from common.simulate.shapes import Cell

Truth = npt.NDArray[np.uint8]
"""(cells, 19) 0 or 1."""

SPINDLE, MICROTUBULES, CYTOSOL, NUCLEOPLASM = (
    CLASSES.index(name) for name in ("Mitotic spindle", "Microtubules", "Cytosol", "Nucleoplasm")
)
SHOWN = np.array(
    (
        (0.86, 0.75),  # Nucleoplasm
        (0.80, 0.68),  # Nuclear membrane
        (0.90, 0.55),  # Nucleoli
        (0.60, 0.45),  # Nucleoli fibrillar center
        (0.93, 0.80),  # Nuclear speckles
        (0.55, 0.42),  # Nuclear bodies
        (0.83, 0.67),  # Endoplasmic reticulum
        (0.65, 0.50),  # Golgi apparatus
        (0.85, 0.50),  # Intermediate filaments
        (0.95, 0.70),  # Actin filaments
        (0.75, 0.57),  # Microtubules
        (0.07, 0.07),  # Mitotic spindle
        (0.35, 0.27),  # Centrosome
        (0.93, 0.68),  # Plasma membrane
        (0.87, 0.85),  # Mitochondria
        (0.60, 0.50),  # Aggresome
        (0.87, 0.81),  # Cytosol
        (0.64, 0.54),  # Vesicles and punctate cytosolic patterns
        (1.00, 1.00),  # Negative
    )
)
"""(19, 2): P(cell shows the class) where its image has that label only, and where it has others as well."""
SHOWN_ANYWAY = {CYTOSOL: 0.010, NUCLEOPLASM: 0.005}
"""P(cell shows c | its protein lacks c), faintly; missed labels double what is seen in images that lack c."""
U_SHAPE = 1.2
"""Sum of the two parameters of the beta distribution of the share of positive cells: its quantiles at 5, 10, 25,
50 and 75 % are .04, .10, .40, .83 and 1 over images and labels."""
LEAST_SHARE = 0.06
"""Of cells that show a class: the smallest tenth of labelled fields lies about here."""
SILENT = 0.03
"""The share of cells that express nothing."""
FAINT = (0.1, 0.3)
"""Brightness of a compartment that confuses, as a share of the protein's: seen by a network, not by a person."""

FEW_CELLS_SUFFICE = [CLASSES.index(name) for name in ("Mitotic spindle", "Centrosome", "Aggresome")]
"""These count from one cell; the others from a tenth of a field's cells."""
MISSED, ADDED = 0.03, 0.015
DISPERSED = np.array([0, 1, 2, 3, 4, 5, 7])
"""Nuclear and Golgi proteins: they fill a mitotic cell, whose nucleus and Golgi are gone."""


@dataclass(frozen=True)
class Expression:
    """How brightly cells show the classes: (cells, 19), 0 where a cell does not."""

    brightness: npt.NDArray[np.float32]
    confusing: npt.NDArray[np.float32]
    """Faint light of a compartment that is not part of the truth."""
    silent: npt.NDArray[np.bool_]  # (cells,)


def express(
    rng: np.random.Generator, classes: LabelSet, cells: Sequence[Cell], conditions: Conditions
) -> Expression:
    """Draw which cells of a field show which classes, and how brightly.

    The share of a field's cells that show a class is drawn U-shaped (a beta distribution) around its mean.
    """
    mitotic = np.array([cell.mitotic for cell in cells], bool)
    count, spread = len(cells), conditions.expression_spread
    shown = np.zeros((count, len(CLASSES)), bool)
    for class_id in sorted(set(classes) - {NEGATIVE, SPINDLE}):
        mean = SHOWN[class_id, 0 if len(classes) == 1 else 1] / (1 - SILENT)
        share = rng.beta(U_SHAPE * mean, U_SHAPE * max(1 - mean, 0.01))
        shown[:, class_id] = rng.random(count) < max(share, LEAST_SHARE)
    for class_id in sorted(set(SHOWN_ANYWAY) - set(classes)):
        shown[:, class_id] = rng.random(count) < SHOWN_ANYWAY[class_id]
    silent = rng.random(count) < SILENT
    shown[silent] = False
    _divide(shown, mitotic, spindle=SPINDLE in classes)
    expected = np.isin(np.arange(len(CLASSES)), classes) | mitotic[:, None]
    strength = rng.lognormal(0, spread, (count, 1)) * rng.lognormal(0, spread, (1, len(CLASSES)))
    brightness = shown * np.where(expected, 1, 0.5) * strength * rng.lognormal(0, spread / 2, shown.shape)
    faint = _confuse(rng, classes, brightness, conditions)
    return Expression(brightness.astype(np.float32), faint, silent & ~shown.any(axis=1))


def _divide(shown: npt.NDArray[np.bool_], mitotic: npt.NDArray[np.bool_], spindle: bool) -> None:
    """Nuclear proteins disperse in dividing cells, and microtubules make the spindle."""
    shown[mitotic, CYTOSOL] |= shown[mitotic][:, DISPERSED].any(axis=1)
    shown[np.ix_(mitotic, DISPERSED)] = False
    shown[mitotic, SPINDLE] = shown[mitotic, MICROTUBULES] | spindle
    shown[mitotic, MICROTUBULES] = False


def _confuse(
    rng: np.random.Generator,
    classes: LabelSet,
    brightness: npt.NDArray[np.float64],
    conditions: Conditions,
) -> npt.NDArray[np.float32]:
    """(cells, 19) light in a compartment that often goes with the first class of the protein, and faint beside it."""
    faint = np.zeros(brightness.shape, np.float32)
    weights = TOGETHER[classes[0]].copy()
    weights[[*classes, SPINDLE, NEGATIVE]] = 0
    if rng.random() < conditions.confusers and weights.any():
        second = rng.choice(len(CLASSES), p=weights / weights.sum())
        level = np.median(brightness[brightness > 0]) if brightness.any() else 1
        spread = rng.lognormal(0, conditions.expression_spread, len(brightness))
        faint[:, second] = level * rng.uniform(*FAINT) * spread
    return faint


def label_sample(truths: Sequence[Truth]) -> LabelSet:
    """Label all images of one sample by what the majority of its fields shows; without mistakes.

    Args:
        truths: (cells, 19) of each field.

    Returns:
        Sorted class ids. Where no class shows in most fields, the one that shows in most cells; Negative where no
        cell shows any.
    """
    votes = np.sum([_shows(truth) for truth in truths], axis=0)
    votes[NEGATIVE] = 0
    kept = tuple(int(c) for c in np.flatnonzero(2 * votes > len(truths)))
    cells = np.sum([truth.sum(axis=0) for truth in truths], axis=0)
    cells[NEGATIVE] = 0
    return kept or ((int(np.argmax(cells)),) if cells.any() else (NEGATIVE,))


def blur_labels(labels: LabelSet, rng: np.random.Generator, label_noise: float) -> LabelSet:
    """Add the mistakes of people: misses among several labels (3 %), additions (to 1.5 % of samples).

    Args:
        label_noise: scales both; 0 for none.
    """
    seen = [c for c in labels if len(labels) == 1 or rng.random() >= MISSED * label_noise]
    kept = set(seen or labels)
    shares = class_shares()
    if rng.random() < ADDED * label_noise and NEGATIVE not in kept:
        kept.add(int(rng.choice(NEGATIVE, p=shares[:NEGATIVE] / shares[:NEGATIVE].sum())))
    return tuple(sorted(kept))


def _shows(truth: Truth) -> npt.NDArray[np.bool_]:
    """(19,) whether a field with (cells, 19) ``truth`` shows each class."""
    needed = np.full(len(CLASSES), max(0.1 * len(truth), 1))
    needed[FEW_CELLS_SUFFICE] = 1
    return np.asarray(truth.sum(axis=0) >= needed)
