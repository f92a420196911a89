"""The competition's submission file: written image by image, and checked by reading it again."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pycocotools import mask as coco

from common.classes import CLASSES, PROBABILITIES
from common.errors import DataError, fail_together
from common.params import Params
from common.rle import RLE, decode_text, encode_mask_map

COLUMNS = ("ID", "ImageWidth", "ImageHeight", "PredictionString")
CLASS_OF = {str(class_id): class_id for class_id in range(len(CLASSES))}
csv.field_size_limit(2**31 - 1)  # one image's predictions are one field, longer than the module's default


class SubmissionParams(Params):
    """The section ``submission`` of params.yaml; "auto" takes the test images where there are any."""

    split: Literal["auto", "test", "oof"]


@dataclass(frozen=True)
class SubmissionRow:
    """The detections of one image, in the order of the file; triplets at fault are left out.

    Attributes:
        line: row of the file, counted from 1, the header included.
        image_id, width, height: as in the row; a size that is no positive number is 0.
        class_id: (n,) int.
        score: (n,) float64, finite.
        mask: (n,) int, index into ``masks``.
        masks: the distinct masks.
    """

    line: int
    image_id: str
    width: int
    height: int
    class_id: np.ndarray
    score: np.ndarray
    mask: np.ndarray
    masks: list[RLE]


def write_submission(
    path: Path, images: pd.DataFrame, predictions: pd.DataFrame, read_mask: Callable[[str], np.ndarray]
) -> None:
    """Write one row an image with all 19 classes of every cell; only one image's masks are held at a time.

    Args:
        path: the file to write. It is not written atomically; give a temporary name and move it.
        images: image_id, width, height (pixels); one row each, in the order of the file.
        predictions: image_id, cell_id and the 19 columns ``p_<class id>`` in [0, 1].
        read_mask: image_id -> (height, width) label map that holds the cells of the predictions.

    Raises:
        DataError: predictions for an image or a cell that does not exist, or a mask of another size.
    """
    if unknown := sorted(set(predictions["image_id"]) - set(images["image_id"])):
        raise DataError(f"predictions name {len(unknown)} images that are not submitted, first {unknown[0]}")
    rows_of = predictions.groupby("image_id", sort=False).indices
    cells, scores = predictions["cell_id"].to_numpy(), predictions[list(PROBABILITIES)].to_numpy()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for image in images.itertuples():
            rows = rows_of.get(image.image_id, np.zeros(0, dtype=np.intp))
            text = _prediction_string(image, cells[rows], scores[rows], read_mask) if len(rows) else ""
            writer.writerow([image.image_id, image.width, image.height, text])


def validate_submission(path: Path, images: pd.DataFrame) -> None:
    """Read a submission again and refuse it for anything that the competition, or a scorer, would trip over.

    Args:
        path: the file.
        images: image_id, width, height of all images that it must hold.

    Raises:
        DataError: naming row and fault, all of them together.
    """
    columns = (images[name].tolist() for name in ("image_id", "width", "height"))
    sizes = {image_id: (width, height) for image_id, width, height in zip(*columns, strict=True)}
    seen: dict[str, int] = {}
    faults: list[str] = []
    for row, found in read_submission(path):
        faults += found
        faults += [f"row {row.line}: {fault}" for fault in _faults_of_place(row, sizes, seen)]
        faults += [f"row {row.line}: {fault}" for fault in _faults_of_content(row)]
    faults += [f"image {image} has no row" for image in sizes if image not in seen]
    fail_together(faults, path, "write the submission again")


def read_submission(path: Path) -> Iterator[tuple[SubmissionRow, list[str]]]:
    """The rows of a submission one by one, each with its faults as "row 12: ...".

    Raises:
        DataError: the file cannot be read as a table or lacks a column.
    """
    for line, (image_id, width, height, text) in read_records(path, COLUMNS):
        row, faults = _parse_row(line, image_id, _size(width), _size(height), text)
        if not row.width or not row.height:
            faults.insert(0, f"the size {width} x {height} is not in whole pixels")
        yield row, [f"row {line}: {fault}" for fault in faults]


def read_records(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """The named columns of a CSV file as text, row by row, with the row's line in the file (the header is 1).

    Raises:
        DataError: the file cannot be read as a table, lacks a column or has a row of another length.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if missing := [column for column in columns if column not in header]:
                raise DataError(
                    f"{path}: no column {', '.join(missing)}; its columns are {', '.join(header)}"
                )
            places = [header.index(column) for column in columns]
            for record in filter(None, reader):
                if len(record) != len(header):
                    found = f"{len(record)} fields, the header {len(header)}"
                    raise DataError(f"{path}: row {reader.line_num} has {found}")
                yield reader.line_num, tuple(record[place] for place in places)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the path of a CSV file") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a CSV table ({error})") from error


def _prediction_string(
    image: object, cells: np.ndarray, scores: np.ndarray, read_mask: Callable[[str], np.ndarray]
) -> str:
    image_id, size = image.image_id, (image.height, image.width)  # type: ignore[attr-defined]
    mask = read_mask(image_id)
    if mask.shape != size:
        raise DataError(f"image {image_id}: the mask is {mask.shape}, the image (height, width) {size}")
    texts = encode_mask_map(mask)
    if lost := sorted(set(cells.tolist()) - set(texts)):
        raise DataError(f"image {image_id}: predictions name cell {lost[0]}, which its mask does not hold")
    # Nine digits are what a float32 needs to come back unchanged: rounding must not make ties.
    return " ".join(
        f"{class_id} {score:.9g} {texts[cell]}"
        for cell, row in zip(cells.tolist(), scores.tolist(), strict=True)
        for class_id, score in enumerate(row)
    )


def _parse_row(
    line: int, image_id: str, width: int, height: int, text: str
) -> tuple[SubmissionRow, list[str]]:
    tokens = text.split()
    faults = []
    if len(tokens) % 3:
        faults.append(f"{len(tokens)} words do not make triplets of class, score and mask")
        tokens = []
    class_id = np.array([CLASS_OF.get(token, -1) for token in tokens[::3]], dtype=np.int64)
    score = np.array([_score(token) for token in tokens[1::3]], dtype=np.float64)
    number: dict[str, int] = {}
    mask = np.array([number.setdefault(token, len(number)) for token in tokens[2::3]], dtype=np.int64)
    masks, bad_masks = _decode_masks(list(number), width, height)
    if (wrong := np.flatnonzero(class_id < 0)).size:
        faults.append(
            f"class {tokens[3 * wrong[0]]!r} is not 0 to {len(CLASSES) - 1} ({wrong.size} triplets)"
        )
    if (wrong := np.flatnonzero(~np.isfinite(score))).size:
        faults.append(f"score {tokens[3 * wrong[0] + 1]!r} is not a finite number ({wrong.size} triplets)")
    index = np.cumsum([decoded is not None for decoded in masks], dtype=np.int64) - 1
    known = np.array([decoded is not None for decoded in masks], dtype=bool)
    keep = (class_id >= 0) & np.isfinite(score) & known[mask]
    kept = [decoded for decoded in masks if decoded is not None]
    row = SubmissionRow(line, image_id, width, height, class_id[keep], score[keep], index[mask[keep]], kept)
    return row, faults + bad_masks


def _decode_masks(texts: list[str], width: int, height: int) -> tuple[list[RLE | None], list[str]]:
    """Each text decoded, or None and the reason. Without a size nothing is decoded, and nothing is blamed."""
    masks: list[RLE | None] = []
    faults = []
    for text in texts:
        try:
            masks.append(decode_text(text, height, width) if width and height else None)
        except DataError as error:
            masks.append(None)
            faults.append(f"mask {text[:24]!r}: {error}")
    return masks, faults


def _faults_of_place(
    row: SubmissionRow, sizes: dict[str, tuple[int, int]], seen: dict[str, int]
) -> list[str]:
    """Whether the row is for a wanted image, once and of its size; notes the row in ``seen``."""
    if row.image_id not in sizes:
        return [f"image {row.image_id!r} is not one of the {len(sizes)} to submit"]
    faults = []
    if row.image_id in seen:
        faults.append(f"image {row.image_id} was already in row {seen[row.image_id]}")
    seen.setdefault(row.image_id, row.line)
    width, height = sizes[row.image_id]
    if (row.width, row.height) not in ((width, height), (0, 0)):
        faults.append(f"the size {row.width} x {row.height} is not that of the image, {width} x {height}")
    return faults


def _faults_of_content(row: SubmissionRow) -> list[str]:
    faults = []
    if (wrong := row.score[(row.score < 0) | (row.score > 1)]).size:
        faults.append(f"score {wrong[0]:g} is not in [0, 1] ({wrong.size} triplets)")
    pairs = np.bincount(row.mask * len(CLASSES) + row.class_id)
    if (twice := np.flatnonzero(pairs > 1)).size:
        cell, class_id = divmod(int(twice[0]), len(CLASSES))
        faults.append(f"mask {cell + 1} of the image has class {class_id} twice ({twice.size} such pairs)")
    if not row.masks:
        return faults
    areas = coco.area(row.masks)
    if (empty := np.flatnonzero(areas == 0)).size:
        faults.append(f"mask {empty[0] + 1} of the image is empty ({empty.size} such masks)")
    if (lost := int(areas.sum()) - int(coco.area(coco.merge(row.masks)))) > 0:
        faults.append(f"masks of different cells overlap in {lost} pixels; each pixel may belong to one cell")
    return faults


def _size(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _score(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
