"""Masks on disk and the table of cells, against scikit-image's region properties."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from skimage.measure import regionprops

from common.cells import (
    COLUMNS,
    cell_mask_path,
    measure_cells,
    nucleus_mask_path,
    read_cells,
    read_mask,
)
from common.errors import DataError, MachineError
from common.images import write_png


def random_masks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Nuclei within cells, numbered alike with gaps, (60, 80) uint16."""
    rng = np.random.default_rng(seed)
    cells, _ = ndimage.label(ndimage.gaussian_filter(rng.random((60, 80)), 3) > 0.5)
    renumber = np.concatenate([[0], rng.permutation(300)[: cells.max()] + 1])
    cells = renumber[cells].astype(np.uint16)
    return np.where(rng.random(cells.shape) < 0.3, cells, 0).astype(np.uint16), cells


@pytest.mark.parametrize("seed", range(8))
def test_cells_are_measured_as_by_scikit_image(seed: int) -> None:
    nuclei, cells = random_masks(seed)
    table = measure_cells("a", nuclei, cells).set_index("cell_id")
    regions = regionprops(cells)
    assert list(table.index) == sorted(region.label for region in regions)
    for region in regions:
        row = table.loc[region.label]
        assert (row["y0"], row["x0"], row["y1"], row["x1"]) == region.bbox
        assert row["area_px"] == region.area
        assert row["nucleus_area_px"] == np.sum(nuclei == region.label)
        assert (row["centroid_y"], row["centroid_x"]) == pytest.approx(region.centroid)
        outermost = np.concatenate([cells[0], cells[-1], cells[:, 0], cells[:, -1]])
        assert row["touches_border"] == (region.label in outermost)


def test_a_cell_by_hand() -> None:
    cells = np.zeros((6, 8), np.uint16)
    cells[1:4, 5:8] = 3
    nuclei = np.zeros_like(cells)
    nuclei[2, 6] = 3
    expected = ["a", 3, 1, 5, 4, 8, 9, 1, 2.0, 6.0, True]
    assert measure_cells("a", nuclei, cells).to_numpy().tolist() == [expected]


def test_an_empty_mask_has_no_cells() -> None:
    empty = np.zeros((4, 4), np.uint16)
    table = measure_cells("a", empty, empty)
    assert table.empty
    assert list(table.columns) == COLUMNS


def test_a_mask_is_read_as_it_was_written(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 65535], [256, 255, 2]], np.uint16)
    write_png(cell_mask_path(tmp_path, "a"), mask)
    np.testing.assert_array_equal(read_mask(tmp_path / "a_cell.png", (2, 3)), mask)
    assert nucleus_mask_path(tmp_path, "a") == tmp_path / "a_nucleus.png"


def test_an_eight_bit_mask_becomes_sixteen(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a_cell.png"), np.array([[0, 200]], np.uint8))
    mask = read_mask(tmp_path / "a_cell.png")
    assert mask.dtype == np.uint16
    assert mask.tolist() == [[0, 200]]


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "a_cell.png", np.zeros((4, 5), np.uint16))
    with pytest.raises(
        DataError, match=r"a_cell.png: mask is \(4, 5\) .*its image \(5, 4\); segment that image"
    ):
        read_mask(tmp_path / "a_cell.png", (5, 4))


def test_a_mask_of_another_kind_is_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "color.png"), np.zeros((4, 5, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "float.tif"), np.zeros((4, 5), np.float32))
    for name, kind in (("color.png", "uint8"), ("float.tif", "float32")):
        with pytest.raises(DataError, match=f"{name}: is {kind} .* expected a grey mask of 8 or 16 bit"):
            read_mask(tmp_path / name)


def test_an_absent_or_damaged_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a_cell.png: no such file.*run: dvc repro segment"):
        read_mask(tmp_path / "a_cell.png")
    write_png(tmp_path / "a_cell.png", random_masks(0)[1])
    content = (tmp_path / "a_cell.png").read_bytes()
    for length in (0, 20, len(content) // 2, len(content) - 13):
        (tmp_path / "a_cell.png").write_bytes(content[:length])
        with pytest.raises(DataError, match=r"a_cell.png: cannot be decoded.*run: dvc repro segment"):
            read_mask(tmp_path / "a_cell.png")


def test_a_mask_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "a_cell.png").mkdir()
    with pytest.raises(MachineError, match=r"a_cell.png: is a folder, and a file is to be written there"):
        write_png(tmp_path / "a_cell.png", np.zeros((2, 2), np.uint16))
    assert [path.name for path in tmp_path.iterdir()] == ["a_cell.png"]


def test_a_cells_table_must_be_whole(tmp_path: Path) -> None:
    path = tmp_path / "cells.parquet"
    with pytest.raises(DataError, match="no such table; run: dvc repro segment"):
        read_cells(path)
    table = measure_cells("a", *random_masks(0))
    table.to_parquet(path)
    pd.testing.assert_frame_equal(read_cells(path), table)
    table.drop(columns=["y0", "area_px"]).to_parquet(path)
    with pytest.raises(DataError, match="lacks the columns y0, area_px"):
        read_cells(path)
    pd.concat([table, table[:2]]).to_parquet(path)
    with pytest.raises(DataError, match="2 cells are there twice"):
        read_cells(path)


def test_the_official_masks_of_the_fields_are_measured_as_by_scikit_image(shared: Path) -> None:
    path = sorted((shared / "data/fields_masks").glob("*_cell.png"))[0]
    mask = read_mask(path)
    table = measure_cells("a", mask, mask)
    regions = regionprops(mask)
    assert (
        table["area_px"].tolist() == table["nucleus_area_px"].tolist() == [region.area for region in regions]
    )
    assert table[["y0", "x0", "y1", "x1"]].to_numpy().tolist() == [list(region.bbox) for region in regions]
