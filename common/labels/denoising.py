"""De-noising of labels as signals on the graph of look-alike cells.

After github.com/SamusRam/hpa-single-cell (there after Lu et al., "Learning from weak and noisy labels for semantic
segmentation"). Labels Y0 (N cells, C columns) become those Y >= 0 that minimise, with coefficients A of the graph's
smooth signals V and their eigenvalues L,

    1/2 |Y - V A|^2 + weight |L^1/2 A|_1 + corridor |Y - Y0|_1.

V is orthonormal, so both halves of the alternation have closed forms: A = soft(V' Y, weight L^1/2) and, with f = V A,
Y = max(0, Y0 + soft(f - Y0, corridor)). So Y stays within ``corridor`` of f, the smoothed label. A sure cell whose
look-alikes do not show the class ends at f + corridor: to rank cells, look at f. The smoothest signal is not constant
but the root of a cell's degree: f is a little higher for cells that many others resemble.
"""

from typing import NamedTuple

import numpy as np
from pydantic import Field
from scipy.sparse import csr_array

from common.errors import DataError
from common.params import Params

CLOSE, ALMOST_ALL = 0.01, 0.999
"""The alternation ends when this share of values moves by less than 1 %."""
ROUNDS = 1000


class DenoisingParams(Params):
    """The objective and what is made of its minimum; the defaults are the published ones."""

    weight: float = Field(default=0.001, ge=0)
    corridor: float = Field(default=0.12, ge=0)
    below: float = Field(default=0.4, ge=0, le=1)
    """A candidate's label was less than this."""
    of_highest: float = Field(default=0.92, ge=0, le=1)
    """A candidate's de-noised label is at least this share of the class's highest."""
    known_neighbours: int = Field(default=3, ge=1)
    """A cell is mined that has so many known cells as neighbours."""


class Denoised(NamedTuple):
    """(N, C) each: ``smooth`` is f, the label that look-alike cells agree on; ``labels`` is Y."""

    smooth: np.ndarray
    labels: np.ndarray


def denoise(
    given: np.ndarray, signals: tuple[np.ndarray, np.ndarray], params: DenoisingParams, nothing: bool = True
) -> Denoised:
    """De-noise labels.

    Args:
        given: (N, C) in [0, 1].
        signals: eigenvalues (m,) and orthonormal eigenvectors (N, m), as ``common.labels.graph`` gives them.
        params: see there.
        nothing: a further column 1 - max_c takes part, as published: what shows no class. Columns meet only where it
            is decided that the alternation ends.

    Raises:
        DataError: labels are unknown (NaN).
    """
    if np.isnan(given).any():
        raise DataError(f"{int(np.isnan(given).sum())} labels are unknown; only known ones can be de-noised")
    values, vectors = signals
    start = np.column_stack([given, 1 - given.max(axis=1)]) if nothing else given
    labels = start.astype(np.float64)
    for _ in range(ROUNDS):
        smooth = vectors @ soft(vectors.T @ labels, params.weight * np.sqrt(values)[:, None])
        moved = np.maximum(0, start + soft(smooth - start, params.corridor))
        settled = np.isclose(labels, moved, rtol=CLOSE).mean() >= ALMOST_ALL
        labels = moved
        if settled:
            break
    classes = given.shape[1]
    return Denoised(smooth[:, :classes], labels[:, :classes])


def soft(values: np.ndarray, threshold: np.ndarray | float) -> np.ndarray:
    """Move values towards 0 by ``threshold``, at most to 0."""
    return values - np.clip(values, -threshold, threshold)


def candidates(given: np.ndarray, denoised: Denoised, params: DenoisingParams) -> np.ndarray:
    """(N, C) bool: cells of a low label that their look-alikes lift to the top of a class."""
    highest = denoised.labels.max(axis=0)
    return (given < params.below) & (denoised.labels >= params.of_highest * highest) & (highest > 0)


def mine(graph: csr_array, known: np.ndarray, params: DenoisingParams) -> np.ndarray:
    """(N, C) bool: cells not ``known`` (N, C bool) to show a class that have enough known neighbours."""
    return ~known & (graph @ known.astype(float) >= params.known_neighbours)
