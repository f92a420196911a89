"""Pictures by which people judge a segmentation: fields with outlines, and the worst cells by each quality rule."""

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from common.cells import BOX, cell_mask_path, nucleus_mask_path, read_mask
from common.files import atomic
from common.images import Field, read_image
from common.overlay import FLAWED, display_colors, draw_masks, outline
from common.parallel import pmap
from common.quality import RULES

TILE_PX = 200
GAP_PX = 12
TITLE_PX = 44
LINE_PX = 20
COLUMNS = 7
MARGIN_SHARE = 0.15
"""What is shown round a cell's box, over its longer side."""

FINE, PAPER = "#bbbbbb", "#111111"


def write_previews(
    fields: list[Field], masks: Path, cells: pd.DataFrame, judged: pd.DataFrame, out: Path
) -> None:
    """Write ``<ID>.jpg`` for each of ``fields``: outlines of its cells and nuclei, cells of little weight in orange."""
    out.mkdir(parents=True, exist_ok=True)
    low = cells.loc[judged["weight"] < 1, ["image_id", "cell_id"]]
    flawed = low.groupby("image_id")["cell_id"].agg(set).to_dict()
    items = [(field, flawed.get(field.image_id, set())) for field in fields]
    for _ in pmap(partial(_write_preview, masks=masks, out=out), items, "previews"):
        pass


def _write_preview(item: tuple[Field, set[int]], masks: Path, out: Path) -> None:
    field, flawed = item
    nuclei = read_mask(nucleus_mask_path(masks, field.image_id))
    cells = read_mask(cell_mask_path(masks, field.image_id))
    with atomic(out / f"{field.image_id}.jpg") as part:
        draw_masks(read_image(field), nuclei, cells, flawed).save(part, "JPEG", quality=90)


def worst_cells(cells: pd.DataFrame, judged: pd.DataFrame, rule: str, count: int = COLUMNS) -> pd.DataFrame:
    """The ``count`` worst cells by a rule, the worst first, with the columns ``value`` and ``flawed``."""
    ranked = cells.assign(value=RULES[rule].number(cells), flawed=judged[rule]).dropna(subset="value")
    return ranked.sort_values(["flawed", "value"], ascending=[False, True], kind="stable").head(count)


def write_gallery(
    path: Path, fields: list[Field], masks: Path, cells: pd.DataFrame, judged: pd.DataFrame
) -> None:
    """Write a PNG with a row for each rule: its worst cells, under each the number that the rule looks at."""
    chosen = {rule: worst_cells(cells, judged, rule) for rule in RULES}
    wanted = pd.concat(list(chosen.values())).drop_duplicates(["image_id", "cell_id"])
    by_image = dict(list(wanted.groupby("image_id")))
    items = [(field, by_image[field.image_id]) for field in fields if field.image_id in by_image]
    tiles: dict[tuple[str, int], np.ndarray] = {}
    for found in pmap(partial(_cut_tiles, masks=masks), items, "worst cells"):
        tiles |= found
    picture = _page(chosen, judged, tiles)
    with atomic(path) as part:
        picture.save(part, "PNG")


def _cut_tiles(item: tuple[Field, pd.DataFrame], masks: Path) -> dict[tuple[str, int], np.ndarray]:
    field, rows = item
    colors, mask = display_colors(read_image(field)), read_mask(cell_mask_path(masks, field.image_id))
    return {
        (field.image_id, cell_id): cut_tile(colors, mask, cell_id, np.array(box))
        for cell_id, *box in rows[["cell_id", *BOX]].itertuples(index=False)
    }


def cut_tile(colors: np.ndarray, mask: np.ndarray, cell_id: int, box: np.ndarray) -> np.ndarray:
    """One cell in the middle of a square, outlined; black beyond the picture.

    Args:
        colors: (H, W, 3) uint8.
        mask: (H, W) uint16.
        cell_id: the cell.
        box: half-open y0, x0, y1, x1.

    Returns:
        (TILE_PX, TILE_PX, 3) uint8.
    """
    side = max(1, round(max(box[2:] - box[:2]) * (1 + 2 * MARGIN_SHARE)))
    top, left = (box[:2] + box[2:] - side) // 2
    beyond = max(0, -top, -left, top + side - mask.shape[0], left + side - mask.shape[1])
    y, x = top + beyond, left + beyond
    pixels, own = (
        cv2.copyMakeBorder(plane, beyond, beyond, beyond, beyond, cv2.BORDER_CONSTANT)[
            y : y + side, x : x + side
        ]
        for plane in (colors, (mask == cell_id).astype(np.uint8))
    )
    how = cv2.INTER_AREA if side > TILE_PX else cv2.INTER_CUBIC
    tile = cv2.resize(pixels, (TILE_PX, TILE_PX), interpolation=how)
    outline(tile, cv2.resize(own, (TILE_PX, TILE_PX), interpolation=cv2.INTER_NEAREST_EXACT), "#ffffff", 1)
    return tile


def _page(
    chosen: dict[str, pd.DataFrame], judged: pd.DataFrame, tiles: dict[tuple[str, int], np.ndarray]
) -> Image.Image:
    row_px = TITLE_PX + TILE_PX + 2 * LINE_PX + GAP_PX
    page = Image.new("RGB", (GAP_PX + COLUMNS * (TILE_PX + GAP_PX), row_px * len(chosen)), PAPER)
    pen = ImageDraw.Draw(page)
    for number, (rule, rows) in enumerate(chosen.items()):
        top = number * row_px
        title = f"{rule}: {int(judged[rule].sum())} of {len(judged)} cells ({RULES[rule].says})"
        pen.text((GAP_PX, top + 12), title, fill="#ffffff", font=ImageFont.load_default(22))
        if rows.empty:
            pen.text(
                (GAP_PX, top + TITLE_PX), "not known of any cell", fill=FINE, font=ImageFont.load_default(17)
            )
        columns = ["image_id", "cell_id", "value", "flawed"]
        for place, (image_id, cell_id, value, flawed) in enumerate(rows[columns].itertuples(index=False)):
            left = GAP_PX + place * (TILE_PX + GAP_PX)
            page.paste(Image.fromarray(tiles[image_id, cell_id]), (left, top + TITLE_PX))
            color, line = (FLAWED if flawed else FINE), top + TITLE_PX + TILE_PX
            pen.text((left, line + 2), plain(value), fill=color, font=ImageFont.load_default(17))
            name = f"{image_id[:16]} cell {cell_id}"
            pen.text((left, line + LINE_PX + 2), name, fill=FINE, font=ImageFont.load_default(13))
    return page


def plain(value: float) -> str:
    """Three digits without an exponent: 0.00304, 7940."""
    return np.format_float_positional(value, precision=3, fractional=False, trim="-")
