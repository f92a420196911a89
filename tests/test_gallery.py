"""Pictures of quality: the worst cells come first, in the middle of their tiles, with their numbers."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from common.cells import cell_mask_path, measure_cells, nucleus_mask_path
from common.gallery import (
    COLUMNS,
    GAP_PX,
    TILE_PX,
    TITLE_PX,
    cut_tile,
    plain,
    worst_cells,
    write_gallery,
    write_previews,
)
from common.images import Field, write_png
from common.measures import measure_quality
from common.overlay import FLAWED, WIDTH_PX
from common.quality import RULES, QualityParams, judge_cells

Folder = tuple[list[Field], Path, pd.DataFrame, pd.DataFrame]


@pytest.fixture
def folder(
    tmp_path: Path,
    draw_image: Callable[..., np.ndarray],
    write_image: Callable[[Path, str, np.ndarray], Field],
) -> Folder:
    """Two images of 128 px with three cells each; the nucleus of cell 1 is cut by the border."""
    fields, tables = [], []
    cells, nuclei = np.zeros((2, 128, 128), np.uint16)
    cells[:40, 10:50], cells[60:110, 20:60], cells[50:100, 80:120] = 1, 2, 3
    for cell_id, (y, x) in {1: (0, 30), 2: (85, 40), 3: (75, 100)}.items():
        cv2.circle(nuclei, (x, y), 10, cell_id, -1)
    for seed, image_id in enumerate("ab"):
        image = draw_image(seed, 128)
        fields.append(write_image(tmp_path / "images", image_id, image))
        write_png(cell_mask_path(tmp_path, image_id), cells)
        write_png(nucleus_mask_path(tmp_path, image_id), nuclei)
        tables.append(measure_quality(image, nuclei, cells, measure_cells(image_id, nuclei, cells)))
    table = pd.concat(tables, ignore_index=True)
    return fields, tmp_path, table, judge_cells(table, QualityParams())


def test_the_worst_cells_come_first_and_flawed_ones_before_all() -> None:
    cells = pd.DataFrame({"image_id": "a", "cell_id": range(1, 5), "area_share": [0.03, 0.02, 0.01, 0.04]})
    judged = pd.DataFrame({"touches_border": [True, False, False, True]})
    found = worst_cells(cells, judged, "touches_border", 3)
    assert found["cell_id"].tolist() == [1, 4, 3]
    assert found["value"].tolist() == [0.03, 0.04, 0.01]


def test_cells_of_which_nothing_is_known_are_not_shown(folder: Folder) -> None:
    _, _, cells, judged = folder
    blind = cells.assign(nucleus_area_px=0, nucleus_free_rows=np.nan, nucleus_free_columns=np.nan)
    for rule in ("border_nucleus", "nucleus_missing", "nucleus_cut"):
        assert worst_cells(blind, judged, rule).empty


@pytest.mark.parametrize("box", [(20, 40, 60, 50), (0, 0, 30, 10), (90, 70, 100, 100), (0, 0, 100, 100)])
def test_a_tile_shows_its_cell_in_the_middle(box: tuple[int, ...]) -> None:
    mask = np.zeros((100, 100), np.uint16)
    mask[box[0] : box[2], box[1] : box[3]] = 5
    colors = np.zeros((100, 100, 3), np.uint8)
    colors[mask == 5] = (0, 200, 0)
    tile = cut_tile(colors, mask, 5, np.array(box))
    assert tile.shape == (TILE_PX, TILE_PX, 3)
    inside = tile[..., 1] > 100
    y, x = np.nonzero(inside)
    middle = (TILE_PX - 1) / 2
    assert ((y.min() + y.max()) / 2, (x.min() + x.max()) / 2) == pytest.approx((middle, middle), abs=6)
    longer = TILE_PX / 1.3
    assert max(np.ptp(y), np.ptp(x)) == pytest.approx(longer, abs=6)
    assert (tile > 180).all(axis=2).any()  # the outline


def test_the_gallery_has_a_row_of_tiles_for_each_rule(folder: Folder) -> None:
    fields, masks, cells, judged = folder
    write_gallery(masks / "worst.png", fields, masks, cells, judged)
    page = np.asarray(Image.open(masks / "worst.png"))
    assert page.shape[1] == GAP_PX + COLUMNS * (TILE_PX + GAP_PX)
    row_px = page.shape[0] // len(RULES)
    for number, rule in enumerate(RULES):
        tiles = page[number * row_px + TITLE_PX : number * row_px + TITLE_PX + TILE_PX]
        filled = [
            (tiles[:, GAP_PX + i * (TILE_PX + GAP_PX) :][:, :TILE_PX].std() > 0) for i in range(COLUMNS)
        ]
        known = 4 if rule == "outlier" else 6  # cells with a cut nucleus are no candidates
        assert filled == [place < known for place in range(COLUMNS)]
    orange = (page == (0xFF, 0x9F, 0x43)).all(axis=2).any(axis=1).reshape(len(RULES), -1).any(axis=1)
    assert orange.tolist() == [bool(judged[rule].any()) for rule in RULES]
    assert orange.any()
    assert not orange.all()


def test_a_preview_outlines_cells_and_those_of_little_weight_in_orange(folder: Folder) -> None:
    fields, masks, cells, judged = folder
    assert (judged["weight"] < 1).tolist() == [True, False, False] * 2
    write_previews(fields[:1], masks, cells, judged, masks / "preview")
    assert [path.name for path in (masks / "preview").iterdir()] == ["a.jpg"]
    picture = np.asarray(Image.open(masks / "preview/a.jpg")).astype(int)
    assert picture.shape == (WIDTH_PX, WIDTH_PX, 3)
    scale = WIDTH_PX / 128
    for x, y, color in (
        (10, 20, FLAWED),
        (20, 100, "#ffffff"),
        (80, 90, "#ffffff"),
    ):  # left edges of the cells
        found = picture[round(y * scale), round((x + 0.1) * scale)]
        expected = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(found - expected).max() < 60


def test_numbers_are_plain() -> None:
    assert [plain(v) for v in (0.003043, 7944.0, 0.0, 0.25, 12.3456)] == [
        "0.00304",
        "7940",
        "0",
        "0.25",
        "12.3",
    ]
