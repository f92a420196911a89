"""The source of labels that asks a cell's look-alikes: de-noising on the graph of embeddings."""

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from common.cells import KEYS
from common.labels.denoising import DenoisingParams, candidates, denoise, mine
from common.labels.graph import GraphParams, connect, nearest, smooth_signals
from common.labels.published import read_embeddings
from common.labels.sources import ALL, Classes, Known, Source
from common.labels.table import CellLabels
from common.quality import Share
from common.roster import System

Use = Literal["smooth", "denoised", "candidates", "neighbours"]


class Denoise(Source):
    """What look-alike cells say of a label.

    Cells of one fold form one graph: embeddings of different models lie in different spaces. Published
    (github.com/SamusRam/hpa-single-cell) are candidates and then neighbours of class 11, both reviewed by people.
    """

    kind: Literal["denoise"]
    system: System
    """Whose out-of-fold embeddings."""
    classes: Classes = ALL
    use: tuple[Use, ...] = Field(default=("candidates",), min_length=1)
    """In order: replace values by the smoothed or the de-noised ones; set candidates to ``value``; set cells with
    enough neighbours known to show a class to ``value``."""
    labelled_only: bool = False
    """Only where the image has the label: elsewhere values stay as they are. People, who reviewed what was found, did
    much the same."""
    value: Share = 1.0
    known_from: Share = 0.5
    """A cell is known to show a class whose value is at least this."""
    graph: GraphParams = GraphParams()
    denoising: DenoisingParams = DenoisingParams()

    def apply(self, labels: CellLabels, known: Known) -> None:
        """Change ``classes`` of the cells that have an embedding and whose values are known."""
        table, embeddings = read_embeddings(
            known.folder("embeddings"), self.system, known.images, known.cells
        )
        places = table.reset_index(names="place")
        rows = labels.cells.reset_index(names="row").merge(places, on=KEYS, validate="one_to_one")
        unknown = np.isnan(labels.values[rows["row"]][:, self.classes]).any(axis=1)
        for _, fold in rows[~pd.Series(unknown)].sort_values("place").groupby("fold"):
            row = fold["row"].to_numpy()
            allowed = np.ones((len(row), len(self.classes)), bool)
            if self.labelled_only:
                image_ids = labels.cells["image_id"].iloc[row]
                allowed = np.column_stack([known.labelled(image_ids, each) for each in self.classes])
            self._apply_to(labels, row, allowed, embeddings[fold["place"].to_numpy()])

    def _apply_to(
        self, labels: CellLabels, rows: np.ndarray, allowed: np.ndarray, embeddings: np.ndarray
    ) -> None:
        graph = connect(nearest(embeddings, self.graph))
        signals = smooth_signals(graph, self.graph)
        for use in self.use:
            given = labels.values[rows][:, self.classes]
            if use == "neighbours":
                chosen, values = (
                    mine(graph, given >= self.known_from, self.denoising),
                    np.full_like(given, self.value),
                )
            else:
                found = denoise(given, signals, self.denoising)
                everywhere, soft = np.ones_like(given, bool), np.full_like(given, self.value)
                chosen, values = {
                    "smooth": (everywhere, np.clip(found.smooth, 0, 1)),
                    "denoised": (everywhere, np.clip(found.labels, 0, 1)),
                    "candidates": (candidates(given, found, self.denoising), soft),
                }[use]
            for place, class_id in enumerate(self.classes):
                here = chosen[:, place] & allowed[:, place]
                labels.put(self.name, class_id, rows[here], values[here, place])
