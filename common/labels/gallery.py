"""A picture of the cells that sources added to a class, or removed from it, for people to judge."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from common.cells import KEYS
from common.classes import CLASSES
from common.crops import CropStore
from common.files import atomic
from common.gallery import FINE, GAP_PX, LINE_PX, PAPER, TILE_PX, TITLE_PX
from common.labels.table import CellLabels
from common.overlay import FLAWED, display_colors, outline
from common.views import OWN

LOW, HIGH = 0.3, 0.7
"""A cell is added to a class from at most LOW to more than HIGH, removed from at least HIGH to less than LOW
(github.com/SamusRam/hpa-single-cell)."""

COLUMNS = 7
ROW_PX = TITLE_PX + TILE_PX + 2 * LINE_PX + GAP_PX
WORDS = ("added", "removed")


def changed_rows(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, C) bool each: added, removed; an unknown label neither was nor becomes one."""
    return (first <= LOW) & (last > HIGH), (first >= HIGH) & (last < LOW)


def write_changed_cells(path: Path, store: CropStore, labels: CellLabels, seed: int = 0) -> None:
    """Write a PNG with two rows for each class that lost or won cells: some of those, drawn by lot."""
    rng = np.random.default_rng(seed)
    rows = []
    for class_id, name in enumerate(CLASSES):
        both = changed_rows(labels.first[:, class_id], labels.values[:, class_id])
        for word, changed in zip(WORDS, both, strict=True):
            chosen = rng.permutation(np.flatnonzero(changed))[:COLUMNS]
            if len(chosen):
                rows.append((class_id, f"{name}: {word} {changed.sum()}", np.sort(chosen)))
    height = max(TITLE_PX, ROW_PX * len(rows))
    page = Image.new("RGB", (GAP_PX + COLUMNS * (TILE_PX + GAP_PX), height), PAPER)
    pen = ImageDraw.Draw(page)
    if not rows:
        pen.text((GAP_PX, 12), "no cell was added to a class or removed", fill="#ffffff", font=_font(22))
    places = {key: place for place, key in enumerate(store.index[KEYS].itertuples(index=False, name=None))}
    for number, (class_id, title, chosen) in enumerate(rows):
        pen.text((GAP_PX, number * ROW_PX + 12), title, fill="#ffffff", font=_font(22))
        for column, row in enumerate(chosen):
            corner = GAP_PX + column * (TILE_PX + GAP_PX), number * ROW_PX + TITLE_PX
            image_id, cell_id = labels.cells.iloc[row]
            if (place := places.get((image_id, cell_id))) is not None:
                page.paste(Image.fromarray(tile_of(store.read(place)[0])), corner)
            first, last = labels.first[row, class_id], labels.values[row, class_id]
            said = f"{first:.2f} to {last:.2f}: {labels.source_of(row, class_id)}"
            below = corner[1] + TILE_PX + 2
            pen.text((corner[0], below), said, fill=FLAWED, font=_font(17))
            name = f"{image_id[:16]} cell {cell_id}"
            pen.text((corner[0], below + LINE_PX), name, fill=FINE, font=_font(13))
    with atomic(path) as part:
        page.save(part, "PNG")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def tile_of(crop: np.ndarray) -> np.ndarray:
    """A stored crop (5, h, w) in colour, the cell outlined, on a (TILE_PX, TILE_PX, 3) uint8 square."""
    height, width = crop.shape[1:]
    scale = TILE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = cv2.resize(display_colors(crop[:4]), size, interpolation=how)
    own = (crop[4] == OWN).astype(np.uint8)
    outline(small, cv2.resize(own, size, interpolation=cv2.INTER_NEAREST_EXACT), "#ffffff", 1)
    tile = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
    top, left = (TILE_PX - size[1]) // 2, (TILE_PX - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile
