"""What is known of the cells before anybody looks at them: probabilities, labels of images, embeddings; and the streams
of an order made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from common.labels.denoising import DenoisingParams, candidates, denoise
from common.labels.graph import GraphParams, connect, nearest, smooth_signals

ENOUGH = 2
"""A graph of look-alikes is made of so many times more cells than it has neighbours; of fewer it says nothing."""


@dataclass(frozen=True)
class Evidence:
    """Of N cells.

    Attributes:
        weak: (N, 19) bool, the labels of each cell's image.
        systems: (S, N, 19) float32 probabilities, out of fold.
        embeddings: (N, D) unit vectors, or nothing.
        fold: (N,) whose embeddings may be compared: those of one model.
    """

    weak: np.ndarray
    systems: np.ndarray
    embeddings: np.ndarray | None = None
    fold: np.ndarray = field(default_factory=lambda: np.empty(0, int))

    @cached_property
    def look(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Vectors (N, D) in which cells are compared, and their folds; what systems say, where none embeds cells."""
        if self.embeddings is not None:
            return self.embeddings, self.fold
        if not len(self.systems):
            return None
        p = np.clip(self.systems, 0.001, 0.999)
        logits = np.moveaxis(np.log(p / (1 - p)), 0, 1).reshape(self.systems.shape[1], -1)
        spread = logits.std(axis=0)
        return unit((logits - logits.mean(axis=0)) / np.where(spread > 0, spread, 1)), np.zeros(
            len(logits), int
        )

    @cached_property
    def lookalikes(self) -> np.ndarray:
        """(N, 19) what look-alikes make of the labels of cells that are candidates, else NaN."""
        lifted = np.full(self.weak.shape, np.nan)
        if self.embeddings is None:
            return lifted
        graph_params, params = GraphParams(), DenoisingParams()
        for fold in np.unique(self.fold):
            rows = np.flatnonzero(self.fold == fold)
            if len(rows) < ENOUGH * graph_params.neighbours:
                continue
            given = self.weak[rows].astype(float)
            signals = smooth_signals(connect(nearest(self.embeddings[rows], graph_params)), graph_params)
            found = denoise(given, signals, params)
            lifted[rows] = np.where(candidates(given, found, params), found.labels, np.nan)
        return lifted


def unit(vectors: np.ndarray) -> np.ndarray:
    """(N, D) vectors of length 1, float32."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: np.ndarray = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return scaled


def streams(evidence: Evidence, class_id: int, positives: np.ndarray) -> Mapping[str, np.ndarray]:
    """The streams of a class: name to (N,) values, NaN for cells that are not of it.

    Args:
        evidence: see there.
        class_id: the class that is labelled.
        positives: rows of cells that raters found to show it.
    """
    weak = evidence.weak[:, class_id]
    if not len(evidence.systems):
        return {"labelled": np.where(weak, 1.0, np.nan)}
    p = evidence.systems[:, :, class_id]
    mean = p.mean(axis=0)
    found = {
        "similar": similarity(evidence, positives) if len(positives) else mean,
        "threshold": -np.abs(mean - decision(mean, weak)),
        "missing": np.where(weak, np.nan, mean),
        "doubtful": np.where(weak, -mean, np.nan),
        "lookalike": evidence.lookalikes[:, class_id],
    }
    return found if len(p) < 2 else found | {"disagree": p.std(axis=0)}


def similarity(evidence: Evidence, positives: np.ndarray) -> np.ndarray:
    """(N,) the cosine to the most similar of ``positives`` that the same model saw; NaN without one."""
    assert evidence.look is not None
    vectors, fold = evidence.look
    values = np.full(len(vectors), np.nan, np.float32)
    for number in np.unique(fold[positives]):
        rows = np.flatnonzero(fold == number)
        known = vectors[positives[fold[positives] == number]]
        values[rows] = (vectors[rows] @ known.T).max(axis=1)
    return values


def decision(probability: np.ndarray, labelled: np.ndarray) -> float:
    """The probability from which on calling cells positive has the best F1 against labels; .5 where there are none."""
    if not labelled.any():
        return 0.5
    order = np.argsort(-probability, kind="stable")
    hits = np.cumsum(labelled[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + labelled.sum())
    return float(probability[order[int(f1.argmax())]])


def weak_labels(images: pd.DataFrame, image_ids: pd.Series, classes: int) -> np.ndarray:
    """(N, classes) bool: the labels of each cell's image."""
    by_image = np.zeros((len(images), classes), bool)
    for row, labels in enumerate(images["labels"]):
        by_image[row, list(labels)] = True
    return by_image[pd.Index(images["image_id"]).get_indexer(image_ids)]
