"""Pictures of a field in colour: each cell outlined and named by its most probable class, or masks alone."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageColor, ImageDraw, ImageFont
from scipy import ndimage

from common.classes import CLASSES, PROBABILITIES
from common.images import to_uint8

WIDTH_PX = 1400
LEGEND_ROW_PX = 34
LEGEND_COLUMNS = 4
FLAWED = "#ff9f43"
SHORT = {6: "ER", 7: "Golgi", 3: "Fibrillar center", 17: "Vesicles"}
"""Names that fit into a cell, where the class's own does not."""

# 19 hues that stay apart on black: nuclear classes warm, cytoplasmic ones cool, Negative grey.
PALETTE = (
    *(
        "#ffd54a",
        "#ff9f43",
        "#ff6b6b",
        "#ff8fb1",
        "#f7b2ff",
        "#d98cff",
        "#38d9d0",
        "#7dff8a",
        "#5aa9ff",
        "#b3e55c",
    ),
    *("#ff5edb", "#f4f48b", "#ffa98f", "#66e0ff", "#3fe08f", "#c7a6ff", "#8fb8ff", "#ffcf99", "#b8b8b8"),
)


def short_name(class_id: int) -> str:
    """A class's name for a picture."""
    return SHORT.get(class_id, CLASSES[class_id])


def draw_overlay(image: np.ndarray, mask: np.ndarray, predictions: pd.DataFrame) -> Image.Image:
    """Draw the cells of one image over its microtubules (red), protein (green) and nuclei (blue).

    Args:
        image: (4, H, W) uint8 or uint16.
        mask: (H, W) cell mask.
        predictions: the prediction table's rows of this image.

    Returns:
        A picture 1400 px wide with a legend of the classes shown.
    """
    pixels, small = _shrink(image, mask)
    size = (WIDTH_PX, len(small))
    probabilities = predictions[list(PROBABILITIES)].to_numpy()
    cells = list(zip(predictions["cell_id"].tolist(), probabilities.argmax(axis=1).tolist(), strict=True))
    for cell_id, class_id in cells:
        outline(pixels, small == cell_id, PALETTE[class_id])
    counts = Counter(class_id for _, class_id in cells)
    picture = Image.new("RGB", (size[0], size[1] + _legend_height(counts)), "#111111")
    picture.paste(Image.fromarray(pixels))
    pen = ImageDraw.Draw(picture)
    with np.errstate(invalid="ignore"):  # a cell that is too small to be seen has no centre
        centers = ndimage.center_of_mass(small > 0, small, [cell_id for cell_id, _ in cells])
    for (_, class_id), center, probability in zip(cells, centers, probabilities.max(axis=1), strict=True):
        _name(pen, center, f"{short_name(class_id)} {probability:.2f}", PALETTE[class_id], size)
    _legend(pen, size[1], counts)
    return picture


def draw_masks(image: np.ndarray, nuclei: np.ndarray, cells: np.ndarray, flawed: set[int]) -> Image.Image:
    """Draw the outlines of cells (white, ``flawed`` ones orange) and nuclei (yellow) over a field, with cell numbers.

    Args:
        image: (4, H, W) uint8 or uint16.
        nuclei: (H, W) mask.
        cells: (H, W) mask.
        flawed: ids of cells.

    Returns:
        A picture 1400 px wide.
    """
    pixels, small = _shrink(image, cells)
    small_nuclei = cv2.resize(nuclei, small.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
    ids = (np.flatnonzero(np.bincount(small.ravel())[1:]) + 1).tolist()
    for cell_id in ids:
        outline(pixels, small_nuclei == cell_id, "#ffe066", 1)
    for cell_id in ids:
        outline(pixels, small == cell_id, FLAWED if cell_id in flawed else "#ffffff")
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    for cell_id, center in zip(ids, ndimage.center_of_mass(small > 0, small, ids), strict=True):
        _name(pen, center, str(cell_id), FLAWED if cell_id in flawed else "#ffffff", picture.size)
    return picture


def _shrink(image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = WIDTH_PX / mask.shape[1]
    size = (WIDTH_PX, round(mask.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    pixels = cv2.resize(display_colors(image), size, interpolation=how)
    return pixels, cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)


def display_colors(image: np.ndarray) -> np.ndarray:
    """(4, H, W) to (H, W, 3) uint8: red, green and blue, each stretched to its own 99.7 % quantile, gamma .7."""
    planes = []
    for channel in to_uint8(image)[:3]:
        # A floor, so that an empty channel stays black instead of showing its noise.
        brightest = max(40.0, float(np.percentile(channel[::4, ::4], 99.7)))
        table = 255 * np.clip(np.arange(256) / brightest, 0, 1) ** 0.7
        planes.append(table.astype(np.uint8)[channel])
    return np.stack(planes, axis=-1)


def outline(pixels: np.ndarray, inside: np.ndarray, color: str, width_px: int = 2) -> None:
    """Draw the outer edge of (H, W) ``inside`` into (H, W, 3) ``pixels``."""
    contours, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(pixels, contours, -1, ImageColor.getrgb(color), width_px, cv2.LINE_AA)


def _name(
    pen: ImageDraw.ImageDraw, center: tuple[float, float], text: str, color: str, size: tuple[int, int]
) -> None:
    if np.isnan(center).any():
        return  # a cell too small to be seen at this size
    font = ImageFont.load_default(17)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font, stroke_width=3)
    half_width, height = (right - left) / 2, bottom - top
    x = min(max(center[1], half_width), size[0] - half_width)
    y = min(max(center[0], height), size[1] - height)
    pen.text((x, y), text, fill=color, font=font, anchor="mm", stroke_width=3, stroke_fill="#000000")


def _legend_height(counts: Counter[int]) -> int:
    return LEGEND_ROW_PX * max(1, -(-len(counts) // LEGEND_COLUMNS))


def _legend(pen: ImageDraw.ImageDraw, y: int, counts: Counter[int]) -> None:
    font = ImageFont.load_default(18)
    if not counts:
        pen.text((16, y + 8), "no cell found", fill="#dddddd", font=font)
    for place, (class_id, count) in enumerate(counts.most_common()):
        row, column = divmod(place, LEGEND_COLUMNS)
        left, line = 16 + WIDTH_PX // LEGEND_COLUMNS * column, y + LEGEND_ROW_PX * row + 8
        pen.rectangle((left, line + 2, left + 16, line + 18), fill=PALETTE[class_id])
        words = CLASSES[class_id] if len(CLASSES[class_id]) < 27 else short_name(class_id)
        pen.text((left + 26, line), f"{words}: {count}", fill="#dddddd", font=font)


def write_overlay(path: Path, image: np.ndarray, mask: np.ndarray, predictions: pd.DataFrame) -> None:
    """Draw one image's overlay and write it as PNG."""
    draw_overlay(image, mask, predictions).save(path, "PNG", compress_level=3)
