"""The competition's score of files (submission and truth as CSV) and of label maps with their tables."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pycocotools import mask as coco

from common.classes import CLASSES, NEGATIVE, PROBABILITIES
from common.errors import DataError, ParamsError, fail_together
from common.metrics.detection import Result, evaluate
from common.metrics.matching import MODES, Detections, Matches, Mode, Truth, match_image
from common.metrics.overlap import MapOverlap, overlap_matrix
from common.solution import ImageObjects, read_solution
from common.submission import SubmissionRow, read_submission


def evaluate_files(submission: Path, truth: Path, mode: str) -> dict[str, Any]:
    """Score a submission against the truth, both in the competition's formats.

    The images scored are those of either file. An image of the truth without a row in the submission has no
    detections. An image of the submission without truth is scored too: under "mask_all" all its detections
    are false, under "mask_gt" none counts. A truth row with mask ``-1`` is no object: it only names a class.
    Detections with an empty mask are left out. Images enter by ascending id, detections in the order of the
    file, which matters for ties only (see ``common.metrics.detection``).

    Args:
        submission: CSV with ID, ImageWidth, ImageHeight, PredictionString.
        truth: CSV with ImageID, ImageWidth, ImageHeight, LabelName, IsGroupOf, Mask; a row a cell and class.
        mode: "mask_all" (the competition's board) or "mask_gt".

    Returns:
        ``mode``, ``mAP``, ``mAP_19``, ``AP`` (class id as text -> value) and ``ties`` (``best`` and ``worst``
        mAP); what is undefined is None.

    Raises:
        ParamsError: an unknown mode.
        DataError: naming file, row and fault, all of them together.
    """
    result = score_files(submission, truth, mode)
    return {
        "mode": mode,
        "mAP": _known(result.mAP),
        "mAP_19": _known(result.mAP_19),
        "AP": {str(class_id): _known(value) for class_id, value in enumerate(result.AP.tolist())},
        "ties": {"best": _known(result.best), "worst": _known(result.worst)},
    }


def score_files(submission: Path, truth: Path, mode: str) -> Result:
    """As ``evaluate_files``, with every number of the evaluation."""
    checked = _checked(mode)
    faults: list[str] = []
    objects = read_solution(truth, faults)
    matches = {image_id: _match_nothing(image, checked) for image_id, image in objects.items()}
    matches |= _match_submission(submission, objects, checked, faults)
    fail_together(faults, f"{submission} against {truth}", "correct the files and evaluate again")
    return evaluate([matches[image_id] for image_id in sorted(matches)])


def evaluate_maps(
    maps: Iterable[tuple[str, np.ndarray, np.ndarray]],
    predictions: pd.DataFrame,
    truth: pd.DataFrame,
    mode: str = "mask_all",
) -> Result:
    """Score predicted cells against true cells without writing masks as text; the same values as from files.

    Args:
        maps: (image_id, predicted label map, true label map) of the images to score; both (H, W), unsigned
            integers, each with its own numbering. One image is held at a time.
        predictions: image_id, cell_id (of the predicted map) and ``p_0`` to ``p_18``, finite. Images that are
            not among the maps are not scored; a cell of the map without a row is not detected.
        truth: image_id, cell_id (of the true map) and ``p_0`` to ``p_18`` in {0, 1}. A cell without any class
            is Negative; a cell of the map without a row is no object.
        mode: "mask_all" or "mask_gt".

    Raises:
        ParamsError: an unknown mode.
        DataError: tables that do not fit the maps or hold impossible values, all faults together.
    """
    checked = _checked(mode)
    predicted, true = _CellTable.of(predictions), _CellTable.of(truth)
    faults = _faults_of_values(predicted, true)
    matches: dict[str, Matches] = {}
    seen: set[str] = set()
    for image_id, predicted_map, true_map in maps:
        if image_id in seen:
            faults.append(f"image {image_id} is among the maps more than once")
        seen.add(image_id)
        if predicted_map.shape != true_map.shape:
            faults.append(f"image {image_id}: predicted map {predicted_map.shape}, true map {true_map.shape}")
            continue
        detections, objects, found = _cells_of(
            image_id, overlap_matrix(predicted_map, true_map), predicted, true
        )
        faults += found
        if not found:
            matches[image_id] = match_image(detections, objects, checked)
    faults += [f"image {image} has true cells, but no maps" for image in sorted(set(true.rows_of) - seen)]
    fail_together(faults, "predictions against truth", "make the tables from the masks that are scored")
    return evaluate([matches[image_id] for image_id in sorted(matches)])


def _match_submission(
    path: Path, objects: dict[str, ImageObjects], mode: Mode, faults: list[str]
) -> dict[str, Matches]:
    matches: dict[str, Matches] = {}
    seen: dict[str, int] = {}
    try:
        for row, found in read_submission(path):
            place = f"{path.name} row {row.line}: image {row.image_id}"
            faults += [f"{path.name} {fault}" for fault in found]
            if row.image_id in seen:
                faults.append(f"{place} was already in row {seen[row.image_id]}")
            seen.setdefault(row.image_id, row.line)
            image = objects.get(row.image_id, ImageObjects(row.width, row.height))
            if (row.width, row.height) == (image.width, image.height):
                matches[row.image_id] = _match_row(row, image, mode)
            elif row.width and row.height:
                sizes = f"{row.width} x {row.height}, in the truth {image.width} x {image.height}"
                faults.append(f"{place} is {sizes} pixels")
    except DataError as error:
        faults.append(str(error))
    return matches


def _match_row(row: SubmissionRow, image: ImageObjects, mode: Mode) -> Matches:
    if not row.masks:
        return _match_nothing(image, mode)
    filled = np.flatnonzero((coco.area(row.masks) > 0)[row.mask])
    detections = Detections(row.class_id[filled], row.score[filled], row.mask[filled])
    return match_image(detections, image.against(row.masks), mode)


def _match_nothing(image: ImageObjects, mode: Mode) -> Matches:
    none = np.zeros(0, dtype=np.int64)
    return match_image(Detections(none, none.astype(np.float64), none), image.against([]), mode)


@dataclass(frozen=True)
class _CellTable:
    """A table of cells and 19 values as arrays, with the rows of each image."""

    cell_id: np.ndarray
    values: np.ndarray
    rows_of: dict[str, np.ndarray]

    @classmethod
    def of(cls, table: pd.DataFrame) -> "_CellTable":
        groups = table.groupby("image_id", sort=False).indices
        values = table[list(PROBABILITIES)].to_numpy(dtype=np.float64)
        return cls(table["cell_id"].to_numpy(), values, {str(k): np.asarray(v) for k, v in groups.items()})

    def of_image(self, image_id: str) -> tuple[np.ndarray, np.ndarray]:
        rows = self.rows_of.get(image_id, np.zeros(0, dtype=np.intp))
        return self.cell_id[rows], self.values[rows]


def _faults_of_values(predicted: _CellTable, true: _CellTable) -> list[str]:
    faults = []
    if wrong := int((~np.isfinite(predicted.values)).sum()):
        faults.append(f"predictions: {wrong} values are not finite numbers")
    if wrong := int(((true.values != 0) & (true.values != 1)).sum()):
        faults.append(f"truth: {wrong} values are neither 0 nor 1")
    return faults


def _cells_of(
    image_id: str, overlap: MapOverlap, predicted: _CellTable, true: _CellTable
) -> tuple[Detections, Truth, list[str]]:
    """One image's cells as detections and objects, and how the tables fail to fit its maps."""
    cells, scores = predicted.of_image(image_id)
    true_cells, labels = true.of_image(image_id)
    faults = _faults_of_cells(cells, overlap.predicted, f"image {image_id}: predicted cell")
    faults += _faults_of_cells(true_cells, overlap.truth, f"image {image_id}: true cell")
    rows = np.searchsorted(overlap.predicted, cells)
    classes = np.arange(len(CLASSES))
    detections = Detections(np.tile(classes, len(rows)), scores.ravel(), np.repeat(rows, len(CLASSES)))
    positive = labels == 1
    positive[~positive.any(axis=1), NEGATIVE] = True
    cell, class_id = np.nonzero(positive)
    columns = np.searchsorted(overlap.truth, true_cells)[cell]
    iou = overlap.iou[:, columns] if not faults else np.zeros((0, len(columns)), dtype=np.float32)
    objects = Truth(class_id, np.zeros(len(class_id), dtype=bool), iou, positive.any(axis=0))
    return detections, objects, faults


def _faults_of_cells(cells: np.ndarray, ids: np.ndarray, what: str) -> list[str]:
    faults = []
    different, times = np.unique(cells, return_counts=True)
    if (times > 1).any():
        faults.append(f"{what} {different[times > 1][0]} has more than one row")
    if (lost := np.setdiff1d(different, ids)).size:
        faults.append(f"{what} {lost[0]} is not in its map ({lost.size} such cells)")
    return faults


def _checked(mode: str) -> Mode:
    for known in MODES:
        if mode == known:
            return known
    raise ParamsError(f"mode {mode!r} is not known; use {' or '.join(MODES)}")


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
