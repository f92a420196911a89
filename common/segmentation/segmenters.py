"""Segmenters by name, and the step that runs one over a table of images."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field as Limit

from common.cells import COLUMNS, cell_mask_path, measure_cells, nucleus_mask_path, read_mask, write_mask
from common.errors import DataError
from common.images import Field, read_image
from common.parallel import pmap
from common.params import Params
from common.segmentation import classical

Masks = tuple[np.ndarray, np.ndarray]
"""(nuclei, cells), each (H, W) uint16, a nucleus numbered like its cell."""


class SegmentParams(Params):
    """The section ``segment`` of params.yaml."""

    segmenter: Literal["classical", "precomputed"]
    masks: str
    """The folder of precomputed masks."""
    max_empty_share: float = Limit(ge=0, le=1)
    classical: classical.ClassicalParams


def segment_classically(field: Field, image: np.ndarray, params: SegmentParams) -> Masks:
    """Nuclei from blue, cells grown from them over red and yellow."""
    return classical.segment(image, params.classical)


def read_precomputed(field: Field, image: np.ndarray, params: SegmentParams) -> Masks:
    """Masks that another tool wrote: ``<ID>_cell.png``, and ``<ID>_nucleus.png`` where there is one."""
    shape = (image.shape[1], image.shape[2])
    cells = read_mask(cell_mask_path(Path(params.masks), field.image_id), shape)
    nuclei = nucleus_mask_path(Path(params.masks), field.image_id)
    return (read_mask(nuclei, shape) if nuclei.exists() else np.zeros_like(cells)), cells


SEGMENTERS: dict[str, Callable[[Field, np.ndarray, SegmentParams], Masks]] = {
    "classical": segment_classically,
    "precomputed": read_precomputed,
}


def segment_fields(fields: list[Field], params: SegmentParams, out: Path) -> tuple[pd.DataFrame, list[str]]:
    """Write both masks of every image into ``out``.

    Returns:
        The cells table, and the ids of the images in which no cell was found.
    """
    out.mkdir(parents=True, exist_ok=True)
    tables = list(pmap(partial(_segment_one, params=params, out=out), fields, "segmentation"))
    empty = [field.image_id for field, table in zip(fields, tables, strict=True) if table.empty]
    full = [table for table in tables if len(table)]
    return (pd.concat(full, ignore_index=True) if full else pd.DataFrame(columns=COLUMNS)), empty


def _segment_one(field: Field, params: SegmentParams, out: Path) -> pd.DataFrame:
    nuclei, cells = SEGMENTERS[params.segmenter](field, read_image(field), params)
    write_mask(cell_mask_path(out, field.image_id), cells)
    write_mask(nucleus_mask_path(out, field.image_id), nuclei)
    return measure_cells(field.image_id, nuclei, cells)


def empty_sentence(empty: list[str], total: int) -> str:
    """Say which images have no cell."""
    names = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
    return f"no cell was found in {len(empty)} of {total} images ({names})"


def refuse_many_empty(empty: list[str], total: int, max_share: float) -> None:
    """Print which images have no cell; they go on without predictions.

    Raises:
        DataError: they are more than ``max_share`` of all.
    """
    if not empty:
        return
    if len(empty) > max_share * total:
        advice = "look at their nuclei (blue) channel, or raise segment.max_empty_share in params.yaml"
        raise DataError(
            f"data/masks: {empty_sentence(empty, total)}, expected at most {max_share:.0%}; {advice}"
        )
    print(f"warning: {empty_sentence(empty, total)}; they get no predictions")
