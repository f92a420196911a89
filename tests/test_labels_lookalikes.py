"""Labels from look-alike cells as a source of a recipe, and the picture of what changed."""

from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from common.cells import KEYS
from common.classes import PROBABILITIES
from common.crops import CropStore
from common.errors import DataError
from common.gallery import TILE_PX
from common.labels.build import build_labels, read_sources
from common.labels.gallery import ROW_PX, TITLE_PX, changed_rows, tile_of, write_changed_cells
from common.labels.published import write_embeddings
from common.labels.sources import Known
from common.labels.table import CellLabels

SYSTEM = "image_level/model"
GRAPH = {"neighbours": 10, "eigenvectors": 4}
CELLS = 120


@pytest.fixture
def data(tmp_path: Path) -> Known:
    """Two folds of 60 cells; in each the first 20 look alike, and so do the others, in spaces of their own."""
    rng = np.random.default_rng(0)
    images = pd.DataFrame({"image_id": ["a", "b"], "split": "train", "labels": [[0], [0]]})
    cells = pd.DataFrame({"image_id": np.repeat(["a", "b"], 60), "cell_id": np.tile(np.arange(1, 61), 2)})
    first = np.tile(np.arange(60) < 20, 2)
    embeddings = rng.normal(size=(CELLS, 8)) + np.where(first, 4, -4)[:, None]
    embeddings[60:] *= -1  # another network may call up what this one calls down
    shuffled = rng.permutation(CELLS)
    folds = cells.assign(fold=np.repeat([0, 1], 60))
    write_embeddings(tmp_path / SYSTEM, folds.iloc[shuffled], embeddings[shuffled])
    predictions = cells.assign(**dict.fromkeys(PROBABILITIES, 0.1))
    predictions["p_11"] = np.where(first, 0.9, 0.05)
    predictions.loc[[3, 63], "p_11"] = 0.2  # two of the first kind that the model is unsure of
    predictions.loc[[50, 110], "p_11"] = 0.8  # two of the other kind
    (tmp_path / SYSTEM).mkdir(exist_ok=True)
    predictions.to_parquet(tmp_path / SYSTEM / "oof.parquet")
    return Known(images, cells, {"predictions": tmp_path, "embeddings": tmp_path})


def build(data: Known, **values: object) -> CellLabels:
    source = {"kind": "denoise", "system": SYSTEM, "classes": [11], "graph": GRAPH, **values}
    return build_labels(
        read_sources([{"kind": "pseudo", "system": SYSTEM}, source], "recipe"), data.cells, data
    )


def test_candidates_are_the_cells_whose_look_alikes_show_the_class(data: Known) -> None:
    labels = build(data, value=0.97, denoising={"of_highest": 0.3})
    changed = np.flatnonzero(labels.values[:, 11] == np.float32(0.97))
    assert list(changed) == [3, 63]
    assert labels.source_of(3, 11) == "denoise"
    assert (labels.values[:, 10] == np.float32(0.1)).all()


def test_smooth_labels_correct_both_kinds_of_mistake(data: Known) -> None:
    smooth = build(data, use=["smooth"]).values[:, 11].reshape(2, 60)
    assert smooth[:, 3].min() > 0.6
    assert smooth[:, 50].max() < 0.4
    assert smooth.min() >= 0
    assert smooth.max() <= 1


def test_denoised_labels_stay_within_the_corridor_of_the_smooth_ones(data: Known) -> None:
    smooth, denoised = (build(data, use=[use]).values[:, 11] for use in ("smooth", "denoised"))
    assert np.abs(smooth - denoised).max() < 0.12 + 0.02
    assert denoised[50] > smooth[50]  # a sure cell ends above what its look-alikes say


def test_cells_with_enough_known_neighbours_are_mined(data: Known) -> None:
    labels = build(data, use=["neighbours"])
    assert (labels.values[[3, 63], 11] == 1).all()
    assert labels.source_of(3, 11) == "denoise"
    assert labels.source_of(4, 11) == "pseudo"
    strict = build(data, use=["neighbours"], denoising={"known_neighbours": 50})
    assert (strict.values[[3, 63], 11] == np.float32(0.2)).all()


def test_embeddings_of_other_cells_are_refused(data: Known, tmp_path: Path) -> None:
    write_embeddings(tmp_path / SYSTEM, data.cells[1:].assign(fold=0), np.zeros((CELLS - 1, 8)))
    data.cells.assign(**dict.fromkeys(PROBABILITIES, 0.1)).to_parquet(tmp_path / SYSTEM / "oof.parquet")
    with pytest.raises(DataError, match="does not hold each cell of the training images once"):
        build(data)


def test_cells_of_unknown_label_take_no_part(data: Known) -> None:
    labels = CellLabels(data.cells[KEYS])
    labels.put("graded", 11, np.arange(100), 0.2)
    (source,) = read_sources(
        {"kind": "denoise", "system": SYSTEM, "classes": [11], "use": ["smooth"], "graph": GRAPH}, "recipe"
    )
    source.apply(labels, data)
    assert np.isnan(labels.values[100:, 11]).all()
    np.testing.assert_allclose(labels.values[:100, 11], 0.2, atol=0.15)  # hubs get more


def test_a_change_is_from_low_to_high_or_back() -> None:
    first, last = np.array([0.3, 0.31, 0.7, 0.69, np.nan]), np.array([0.71, 0.9, 0.29, 0.1, 1])
    added, removed = changed_rows(first, last)
    assert added.tolist() == [True, False, False, False, False]
    assert removed.tolist() == [False, False, True, False, False]


def test_a_tile_shows_the_whole_crop_with_its_cell_outlined() -> None:
    crop = np.zeros((5, 50, 100), np.uint8)
    crop[1, 20:30, 40:60], crop[4, 10:40, 30:70] = 200, 1
    tile = tile_of(crop)
    assert tile.shape == (200, 200, 3)
    assert not tile[:49].any()  # the crop is half as high as wide
    assert tile[100, 100].tolist() == [0, 255, 0]
    assert tile[70:130, 60:65].min(axis=2).max() > 150  # white line at the left of the cell


class Store:
    """As much of a crop store as the picture needs: green squares."""

    index = pd.DataFrame({"image_id": "a", "cell_id": [1, 2, 3]})

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        crop = np.zeros((5, 40, 40), np.uint8)
        crop[1], crop[4] = 200, 1
        return crop, np.array([0, 0, 40, 40])


def test_the_picture_has_a_row_for_cells_added_and_one_for_cells_removed(tmp_path: Path) -> None:
    labels = CellLabels(pd.DataFrame({"image_id": "a", "cell_id": [1, 2, 3, 4]}))
    labels.put("image", 7, np.arange(4), np.array([0, 1, 1, 1]))
    labels.first = labels.values.copy()
    write_changed_cells(tmp_path / "none.png", cast(CropStore, Store()), labels)
    assert Image.open(tmp_path / "none.png").height == TITLE_PX
    labels.put("scores", 7, np.arange(4), np.array([1, 0, 0.5, 0]))
    write_changed_cells(tmp_path / "changed.png", cast(CropStore, Store()), labels)
    picture = np.asarray(Image.open(tmp_path / "changed.png"))
    assert picture.shape[0] == 2 * ROW_PX
    green = (picture[TITLE_PX + TILE_PX // 2 :: ROW_PX] == [0, 255, 0]).all(axis=2).sum(axis=1)
    assert list(green > TILE_PX / 2) == [True, True]  # one cell added; of two removed, one has no crop
    assert green[1] < 1.2 * TILE_PX
