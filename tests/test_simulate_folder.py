"""Simulated fields as a folder: what is in it, what it never overwrites, and the gallery."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from common.cells import read_mask
from common.classes import CLASSES, COLORS, parse_labels
from common.errors import DataError
from common.images import write_png
from common.simulate.fields import Field, simulate
from common.simulate.folder import write_competition_folder
from common.simulate.gallery import TILE_PX, Picture, Tile, write_gallery
from common.simulate.samples import SimulateParams

T = TypeVar("T")
R = TypeVar("R")
PARAMS = SimulateParams(fields=8, test_fields=4, side_px=192, seed=7)


@pytest.fixture(scope="module")
def fields() -> list[Field]:
    return simulate(PARAMS)


def backwards(work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
    return [work(item) for item in reversed(items)]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_order_and_processes_do_not_change_a_byte(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"fields": 4, "test_fields": 2, "side_px": 128})
    write_competition_folder(tmp_path / "serial", params)
    write_competition_folder(tmp_path / "backwards", params, backwards)
    with ProcessPoolExecutor(2) as pool:
        write_competition_folder(tmp_path / "processes", params, pool.map)
    assert files_of(tmp_path / "serial") == files_of(tmp_path / "backwards")
    assert files_of(tmp_path / "serial") == files_of(tmp_path / "processes")


def test_the_folder_is_a_competition_folder_with_truth(tmp_path: Path, fields: list[Field]) -> None:
    write_competition_folder(tmp_path / "data", PARAMS)
    folder = tmp_path / "data"
    by_id = {field.image_id: field for field in fields}
    train = pd.read_csv(folder / "train.csv").set_index("ID")["Label"].astype(str)
    assert {i: parse_labels(text) for i, text in train.items()} == {
        f.image_id: f.labels for f in fields if f.split == "train"
    }
    truth = pd.read_csv(folder / "truth.csv", dtype={"Label": str})
    for image_id, rows in truth.groupby("ID"):
        field = by_id[str(image_id)]
        np.testing.assert_array_equal(
            [np.isin(np.arange(len(CLASSES)), ids) for ids in rows["Label"].map(parse_labels)], field.truth
        )
        for color, channel in zip(COLORS, field.image, strict=True):
            written = cv2.imread(str(folder / field.split / f"{image_id}_{color}.png"), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(written, channel)
        for name, mask in (("cell", field.cells), ("nucleus", field.nuclei)):
            written = cv2.imread(str(folder / f"truth_masks/{image_id}_{name}.png"), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(written, mask)
    assert set(truth["ID"]) == set(by_id)
    assert pd.read_csv(folder / "samples.csv").columns.tolist() == ["ID", "sample_id", "cell_line"]


def test_a_folder_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="is neither empty nor a simulation"):
        write_competition_folder(tmp_path, PARAMS, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_simulation_is_replaced_only_when_told_to(tmp_path: Path) -> None:
    few = PARAMS.model_copy(update={"fields": 1, "test_fields": 0, "side_px": 128})
    folder = tmp_path / "data"
    write_competition_folder(folder, few)
    first = files_of(folder)
    other = few.model_copy(update={"seed": 8})
    with pytest.raises(DataError, match=r"holds a simulation.*--overwrite"):
        write_competition_folder(folder, other)
    assert files_of(folder) == first
    write_competition_folder(folder, other, overwrite=True)
    assert files_of(folder) != first


def test_a_folder_tells_all_that_is_known(tmp_path: Path) -> None:
    known = PARAMS.model_copy(update={"fields": 10, "duplicates": 0.2, "debris": 3.0})
    write_competition_folder(tmp_path / "data", known)
    cells = pd.read_csv(tmp_path / "data/truth_cells.csv")
    truth = pd.read_csv(tmp_path / "data/truth.csv")
    assert cells.columns.tolist() == ["ID", "cell_id", "mitotic", "out_of_focus", "silent"]
    assert cells[["ID", "cell_id"]].equals(truth[["ID", "cell_id"]])
    labels = pd.read_csv(tmp_path / "data/truth_labels.csv", dtype=str)
    assert len(labels) == 14, "the test part's labels are known, too"
    assert len(pd.read_csv(tmp_path / "data/truth_duplicates.csv")) == 2
    assert set(pd.read_csv(tmp_path / "data/truth_debris.csv")["kind"]) == {"aggregate", "dead cell"}


def test_layouts_on_given_masks_keep_their_cells(tmp_path: Path) -> None:
    given = np.zeros((200, 200), np.uint16)
    given[20:90, 20:90], given[100:180, 60:170] = 3, 7
    write_png(tmp_path / "masks/a_cell.png", given)
    few = PARAMS.model_copy(update={"fields": 1, "test_fields": 0, "side_px": 200})
    write_competition_folder(tmp_path / "data", few, layouts=tmp_path / "masks")
    written = read_mask(tmp_path / "data/truth_masks/sim-00000_cell.png")
    np.testing.assert_array_equal(written > 0, given > 0)
    assert set(np.unique(written)) == {0, 1, 2}


def test_a_folder_without_layouts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no PNG of cells; expected cell masks"):
        write_competition_folder(tmp_path / "data", PARAMS, layouts=tmp_path)


def test_a_gallery_has_its_pages_and_overwrites_nothing_unasked(tmp_path: Path) -> None:
    def few(draw: Callable[[Tile], Picture], tiles: Sequence[Tile]) -> Iterable[Picture]:
        first = draw(tiles[0])
        return [first for _ in tiles]

    pages = write_gallery(tmp_path / "pages", 0, few)
    names = ["patterns", "cell_lines", "difficulties", "mitosis", "debris", "fields"]
    assert [page.stem for page in pages] == names
    assert Image.open(pages[0]).size == (5 * TILE_PX, 4 * TILE_PX)
    with pytest.raises(DataError, match="is not an empty folder"):
        write_gallery(tmp_path / "pages", 0, few)
    write_gallery(tmp_path / "pages", 0, few, overwrite=True)


def test_what_a_user_put_into_a_simulation_is_never_replaced(tmp_path: Path) -> None:
    few = PARAMS.model_copy(update={"fields": 1, "test_fields": 0, "side_px": 64})
    write_competition_folder(tmp_path / "data", few)
    (tmp_path / "data/notes.txt").write_text("keep")
    with pytest.raises(DataError, match=r"what is not of it \(notes.txt\); move that"):
        write_competition_folder(tmp_path / "data", few, overwrite=True)
    assert (tmp_path / "data/notes.txt").read_text() == "keep"


def test_the_truth_of_an_images_stage_is_no_simulation(tmp_path: Path) -> None:
    (tmp_path / "truth_cells.csv").touch()
    with pytest.raises(DataError, match="is neither empty nor a simulation"):
        write_competition_folder(tmp_path, PARAMS, overwrite=True)


def test_the_current_folder_is_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="the folder you are in"):
        write_competition_folder(Path(), PARAMS)


def test_pictures_are_no_layouts(tmp_path: Path) -> None:
    write_png(tmp_path / "masks/a_red.png", np.ones((64, 64), np.uint8))
    with pytest.raises(DataError, match=r"holds no PNG of cells; .*_red\.png"):
        write_competition_folder(tmp_path / "data", PARAMS, layouts=tmp_path / "masks")


def test_a_layout_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    write_png(tmp_path / "masks/a_cell.png", np.ones((64, 80), np.uint16))
    with pytest.raises(DataError, match=r"masks/a_cell\.png: shape is \(64, 80\)"):
        write_competition_folder(tmp_path / "data", PARAMS, layouts=tmp_path / "masks")
