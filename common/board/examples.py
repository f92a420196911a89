"""The surest cells of a system, right and wrong, a pair a class: what a number on the board looks like."""

import base64
import io
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from common.cells import BOX, KEYS, cell_mask_path, read_cells, read_mask
from common.classes import CLASSES, PROBABILITIES
from common.gallery import cut_tile
from common.image_table import fields_of, read_images
from common.images import Field, read_image
from common.overlay import display_colors
from common.parallel import pmap
from common.tables import read_table

SIDE_PX = 112
QUALITY = 80
COLUMNS = [*KEYS, *PROBABILITIES]


class Example(NamedTuple):
    """A cell that a system is sure shows a class."""

    class_id: int
    right: bool
    image_id: str
    cell_id: int
    probability: float
    picture: str = ""
    """A ``data:`` address."""


def surest(predictions: pd.DataFrame, true: pd.DataFrame) -> list[Example]:
    """The most probable cell of each class among those that show it, and among those that do not.

    Args:
        predictions: a prediction table.
        true: the same cells with 1 in the classes that they show.

    Returns:
        Right before wrong, class by class; nothing of a class that no cell shows.
    """
    both = predictions[COLUMNS].merge(true[COLUMNS], on=KEYS, suffixes=("", "_true"))
    found = []
    for class_id, column in enumerate(PROBABILITIES):
        shows = both[f"{column}_true"] >= 0.5
        for right in (True, False):
            cells = both[shows == right]
            if shows.any() and len(cells):
                best = cells.iloc[int(cells[column].argmax())]
                named = (str(best["image_id"]), int(best["cell_id"]), float(best[column]))
                found.append(Example(class_id, right, *named))
    return found


def draw(examples: list[Example], images: Path, cells: Path, masks: Path) -> list[Example]:
    """Give each its picture.

    Args:
        images, cells, masks: as the pipeline names them.
    """
    table, known = read_images(images), read_cells(cells)
    keys = known[KEYS].itertuples(index=False, name=None)
    boxes = dict(zip(keys, known[BOX].to_numpy(), strict=True))
    fields = fields_of(table[table["image_id"].isin({e.image_id for e in examples})], images)
    items = [(field, [e for e in examples if e.image_id == field.image_id]) for field in fields]
    drawn = pmap(partial(_draw_image, boxes=boxes, masks=masks), items, "surest cells")
    return sorted((each for part in drawn for each in part), key=lambda e: (e.class_id, not e.right))


def _draw_image(
    item: tuple[Field, list[Example]], boxes: dict[tuple[str, int], np.ndarray], masks: Path
) -> list[Example]:
    field, examples = item
    colors, mask = display_colors(read_image(field)), read_mask(cell_mask_path(masks, field.image_id))
    return [
        one._replace(picture=_encoded(cut_tile(colors, mask, one.cell_id, boxes[one.image_id, one.cell_id])))
        for one in examples
    ]


def _encoded(tile: np.ndarray) -> str:
    memory = io.BytesIO()
    Image.fromarray(tile).resize((SIDE_PX, SIDE_PX)).save(memory, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(memory.getvalue()).decode()}"


def examples_of(name: str, data: Path) -> list[Example]:
    """The drawn examples of the test part of a system; nothing where no true cell is known.

    Args:
        name: ``approach/recipe``, or ``blend/all``.
        data: the pipeline's folder.
    """
    folder = data / "blend" if name.startswith("blend/") else data / "predictions" / name
    tables = [
        read_table(path / "test.parquet", COLUMNS, "dvc repro")
        for path in (folder, data / "controls/true_cells")
    ]
    found = surest(*tables)
    return draw(found, data / "images", data / "cells.parquet", data / "masks") if found else []


def described(example: Example) -> str:
    """For somebody who cannot see the picture."""
    word = "shows" if example.right else "does not show"
    return f"cell {example.cell_id} of {example.image_id}, which {word} {CLASSES[example.class_id]}"
