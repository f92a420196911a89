"""The cells that may be labelled: those of the pipeline's training images, or those of one's own segmented folder."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from common.blending.members import members, name_of
from common.cells import KEYS, read_cells
from common.classes import CLASSES, PROBABILITIES
from common.competition import read_labels
from common.errors import DataError, fail_together
from common.image_table import fields_of, read_images
from common.images import Field, find_fields, read_channel
from common.labelling.evidence import Evidence, unit, weak_labels
from common.labels.published import read_embeddings, read_out_of_fold


@dataclass(frozen=True)
class Subjects:
    """Cells, their images and what is known of them.

    Attributes:
        cells: rows of a cells table, numbered from 0.
        images: image_id, labels (class ids), cell_line.
        fields: the files of each image.
        masks: the folder of masks.
        evidence: of ``cells``.
    """

    cells: pd.DataFrame
    images: pd.DataFrame
    fields: dict[str, Field]
    masks: Path
    evidence: Evidence

    @property
    def version(self) -> str:
        """Changes with the segmentation: the cells, their boxes and areas."""
        return hashlib.sha256(self.cells.to_csv().encode()).hexdigest()[:12]


def of_pipeline(data: Path, approaches: Path) -> Subjects:
    """The cells of the training images of a pipeline's folder ``data``, with what its approaches published."""
    images, cells = read_images(data / "images"), read_cells(data / "cells.parquet")
    train = images[images["split"] == "train"].reset_index(drop=True)
    chosen = cells[cells["image_id"].isin(train["image_id"])].sort_values(KEYS, ignore_index=True)
    fields = {field.image_id: field for field in fields_of(train, data / "images")}
    systems, embeddings, fold = np.empty((0, len(chosen), len(CLASSES)), np.float32), None, np.empty(0, int)
    if any((data / "predictions").glob("*/*/oof.parquet")):
        names = [name_of(folder) for folder in members(data / "predictions", approaches)]
        tables = [read_out_of_fold(data / "predictions", name, images, cells) for name in names]
        systems = np.stack([table[list(PROBABILITIES)].to_numpy(np.float32) for table in tables])
    if found := sorted((data / "embeddings").glob("*/*/embeddings.npy")):
        table, values = read_embeddings(data / "embeddings", name_of(found[0].parent), images, cells)
        rows = pd.MultiIndex.from_frame(table[KEYS]).get_indexer(pd.MultiIndex.from_frame(chosen[KEYS]))
        embeddings, fold = unit(np.asarray(values[rows], np.float32)), table["fold"].to_numpy()[rows]
    weak = weak_labels(train, chosen["image_id"], len(CLASSES))
    return Subjects(chosen, train, fields, data / "masks", Evidence(weak, systems, embeddings, fold))


def of_folder(folder: Path, masks: Path) -> Subjects:
    """The cells of a folder of images, segmented by ``hpa segment FOLDER MASKS``; labels from its train.csv, if any."""
    fields, faults = find_fields(folder)
    fail_together(faults, folder, "mend the files")
    by_id = {field.image_id: field for field in fields}
    if not (masks / "cells.parquet").is_file():
        raise DataError(f"{masks}: holds no cells.parquet; run: hpa segment {folder} {masks}")
    cells = read_cells(masks / "cells.parquet").sort_values(KEYS, ignore_index=True)
    if strange := sorted(set(cells["image_id"]) - set(by_id)):
        raise DataError(
            f"{masks}: has cells of {strange[0]}, no image of {folder}; give the images of these masks"
        )
    labels = read_labels(folder / "train.csv", faults) if (folder / "train.csv").exists() else {}
    fail_together(faults, folder, "mend the table")
    images = pd.DataFrame({"image_id": list(by_id)}).assign(cell_line="")
    images["labels"] = [list(labels.get(image_id, ())) for image_id in by_id]
    nothing = np.empty((0, len(cells), len(CLASSES)), np.float32)
    weak = weak_labels(images, cells["image_id"], len(CLASSES))
    return Subjects(cells, images, by_id, masks, Evidence(weak, nothing))


def image_sizes(subjects: Subjects) -> dict[str, tuple[int, int]]:
    """(height, width) of each image."""
    table = subjects.images
    if "height" in table:
        sizes = zip(table["height"].tolist(), table["width"].tolist(), strict=True)
        return dict(zip(table["image_id"], sizes, strict=True))
    return {i: read_channel(field.paths[0], "red").shape for i, field in subjects.fields.items()}
