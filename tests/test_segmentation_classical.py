"""The classical segmenter: drawn pictures with known answers, properties, official masks of real fields."""

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from scipy import ndimage

from common.classes import COLORS
from common.errors import DataError
from common.segmentation import classical
from common.segmentation.classical import ClassicalParams, segment
from common.segmentation.label_maps import enlarge, in_raster_order, renumber
from common.segmentation.nuclei import split_touching

PARAMS = ClassicalParams()
SIDE = 512

Cell = tuple[float, float, float]
"""y, x and radius, over the side of the picture."""

FAR_APART: list[Cell] = [(0.7, 0.3, 0.11), (0.3, 0.7, 0.11)]
TOUCHING: list[Cell] = [(0.5, 0.4, 0.11), (0.5, 0.6, 0.11)]


def paint(cells: list[Cell], shape: tuple[int, int] = (SIDE, SIDE), nucleus: float = 0.42) -> np.ndarray:
    """Draw round cells, (4, H, W) uint8: domes in red and yellow, flat nuclei in blue."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    body, core = np.zeros(shape), np.zeros(shape)
    for y, x, radius in cells:
        distance = np.hypot(rows - y * shape[0], cols - x * shape[0]) / (radius * shape[0])
        body = np.maximum(body, 150 * np.sqrt(np.clip(1 - distance**2, 0, 1)))
        core = np.maximum(core, 120.0 * (distance < nucleus))
    return np.stack([body, np.zeros(shape), core, 0.7 * body]).astype(np.uint8)


def scatter(rng: np.random.Generator, count: int) -> list[Cell]:
    """Cells at random places, radius .05-.1; some overlap, some are cut by the border."""
    return [(*rng.uniform(0, 1, 2), rng.uniform(0.05, 0.1)) for _ in range(count)]


def iou_table(reference: np.ndarray, found: np.ndarray) -> np.ndarray:
    """IoU of each reference label (rows) with each found label (columns), by the definition."""
    table = np.zeros((int(reference.max()), int(found.max())))
    for row in range(len(table)):
        own = reference == row + 1
        for label in np.unique(found[own])[np.unique(found[own]) > 0]:
            other = found == label
            table[row, label - 1] = (own & other).sum() / (own | other).sum()
    return table


def assert_sound(nuclei: np.ndarray, cells: np.ndarray, shape: tuple[int, ...]) -> None:
    """Every promise that ``segment`` makes about its result."""
    assert nuclei.dtype == cells.dtype == np.uint16
    assert nuclei.shape == cells.shape == shape
    count = int(cells.max())
    assert set(np.unique(cells)) - {0} == set(range(1, count + 1))
    assert set(np.unique(nuclei)) - {0} == set(range(1, count + 1))
    assert np.array_equal(nuclei[nuclei > 0], cells[nuclei > 0])
    first = [int(np.flatnonzero(cells == label)[0]) for label in range(1, count + 1)]
    assert first == sorted(first)
    for label in range(1, count + 1):
        assert ndimage.label(cells == label)[1] == 1


def test_two_cells_far_apart_are_found_in_raster_order() -> None:
    nuclei, cells = segment(paint(FAR_APART), PARAMS)
    assert_sound(nuclei, cells, (SIDE, SIDE))
    assert cells.max() == 2
    assert cells[int(0.3 * SIDE), int(0.7 * SIDE)] == 1
    assert cells[int(0.7 * SIDE), int(0.3 * SIDE)] == 2
    for label in (1, 2):
        assert (cells == label).sum() == pytest.approx(np.pi * (0.11 * SIDE) ** 2, rel=0.1)
        assert (nuclei == label).sum() == pytest.approx(np.pi * (0.42 * 0.11 * SIDE) ** 2, rel=0.15)


def test_touching_cells_are_parted_in_the_middle() -> None:
    cells = segment(paint(TOUCHING), PARAMS)[1]
    assert cells.max() == 2
    middle = cells[SIDE // 2]
    border = np.flatnonzero((middle[:-1] != middle[1:]) & (middle[:-1] > 0) & (middle[1:] > 0))
    assert border.tolist() == pytest.approx([SIDE / 2], abs=4)


def test_touching_nuclei_make_two_cells() -> None:
    cells = segment(paint([(0.5, 0.43, 0.09), (0.5, 0.57, 0.09)], nucleus=0.8), PARAMS)[1]
    assert cells.max() == 2


def test_lobes_of_a_nucleus_stay_one_cell() -> None:
    image = paint([(0.5, 0.5, 0.15), (0.2, 0.2, 0.1), (0.8, 0.2, 0.1)])
    lobes = paint([(0.49, 0.47, 0.025), (0.51, 0.51, 0.025), (0.49, 0.54, 0.025)], nucleus=1)[2]
    image[2, :, SIDE // 3 :] = lobes[:, SIDE // 3 :]
    assert segment(image, PARAMS)[1].max() == 3


def test_nuclei_with_a_narrow_neck_are_split_and_with_a_wide_one_not() -> None:
    rows, cols = np.mgrid[:100, :160]
    for distance, count in ((38, 2), (20, 1)):
        mask = np.minimum(np.hypot(rows - 50, cols - 60), np.hypot(rows - 50, cols - 60 - distance)) < 20
        assert split_touching(mask, 3, 0.75, 0.55).max() == count


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("level", [0, 100])
def test_an_evenly_grey_picture_has_no_cells(dtype: type, level: int) -> None:
    nuclei, cells = segment(np.full((4, 300, 400), level, dtype), PARAMS)
    assert not nuclei.any()
    assert not cells.any()
    assert cells.shape == (300, 400)


@pytest.mark.parametrize("side", [256, 512, 2048])
def test_noise_has_no_cells(side: int) -> None:
    noise = np.random.default_rng(0).poisson(20, (4, side, side)).astype(np.uint8)
    assert segment(noise, PARAMS)[1].max() == 0


def test_a_nucleus_without_cytoplasm_is_its_own_cell() -> None:
    image = paint(FAR_APART, nucleus=0.8)
    image[[0, 3]] = 0
    nuclei, cells = segment(image, PARAMS)
    assert cells.max() == 2
    assert iou_table(nuclei, cells).diagonal().min() > 0.95


def test_16_bits_give_the_masks_of_8_bits() -> None:
    image = paint(scatter(np.random.default_rng(1), 15), (700, 700))
    for narrow, wide in zip(
        segment(image, PARAMS), segment(image.astype(np.uint16) * 257, PARAMS), strict=True
    ):
        assert np.array_equal(narrow, wide)


def test_brightness_and_black_level_of_the_camera_do_not_matter() -> None:
    image = paint(scatter(np.random.default_rng(1), 15))
    cells = segment(image, PARAMS)[1]
    other = segment(image.astype(np.uint16) * 9 + 500, PARAMS)[1]
    assert other.max() == cells.max()
    assert iou_table(cells, other).max(1).min() > 0.95


@pytest.mark.parametrize("factor", [0.5, 2, 3.3, 8])
def test_a_picture_of_another_size_gives_the_same_cells(factor: float) -> None:
    image = paint(scatter(np.random.default_rng(2), 12))
    side = round(factor * SIDE)
    scaled = np.stack([cv2.resize(channel, (side, side), interpolation=cv2.INTER_AREA) for channel in image])
    cells, other = segment(image, PARAMS)[1], segment(scaled, PARAMS)[1]
    assert other.max() == cells.max()
    back = cv2.resize(other, (SIDE, SIDE), interpolation=cv2.INTER_NEAREST)
    assert iou_table(cells, back).max(1).min() > 0.9


@pytest.mark.parametrize("shape", [(512, 512), (256, 700), (900, 300), (333, 257), (1, 300), (5, 7)])
@pytest.mark.parametrize("count", [1, 10, 40])
def test_masks_are_sound_for_any_shape_and_count(shape: tuple[int, int], count: int) -> None:
    rng = np.random.default_rng(count)
    image = paint(scatter(rng, count), shape)
    image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    assert_sound(*segment(image, PARAMS), shape)


def test_cells_cut_by_the_border_are_kept() -> None:
    cells = segment(paint([(0.0, 0.5, 0.11), (0.5, 0.98, 0.11)]), PARAMS)[1]
    assert cells.max() == 2
    assert cells[0, SIDE // 2] == 1
    assert cells[SIDE // 2, -1] == 2


def test_crumbs_are_dropped_relative_to_the_field() -> None:
    image = paint([*FAR_APART, (0.1, 0.1, 0.02)], (1024, 1024), nucleus=0.6)
    assert segment(image, PARAMS)[1].max() == 2
    assert segment(image, ClassicalParams(min_nucleus_um2=2, min_cell_um2=5, min_part_ratio=0))[1].max() == 3


@pytest.mark.parametrize(
    "image", [np.zeros((3, 9, 9), np.uint8), np.zeros((4, 0, 9), np.uint8), np.zeros((4, 9, 9), np.float32)]
)
def test_another_shape_or_type_is_refused(image: np.ndarray) -> None:
    with pytest.raises(DataError, match="expected"):
        segment(image, PARAMS)


def test_more_cells_than_a_mask_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classical, "MAX_CELLS", 1)
    with pytest.raises(DataError, match="found 2 cells"):
        segment(paint(FAR_APART), PARAMS)


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(ValidationError):
        ClassicalParams.model_validate({"min_nucleus_px": 3})


def test_renumbering_closes_gaps() -> None:
    assert renumber(np.array([[0, 5], [9, 5]])).tolist() == [[0, 1], [2, 1]]


def test_cells_without_nucleus_are_dropped_and_the_rest_ordered() -> None:
    cells, nuclei = np.array([[0, 7, 7, 2], [3, 3, 0, 2]]), np.array([[0, 7, 0, 0], [3, 0, 0, 0]])
    new_nuclei, new_cells = in_raster_order(nuclei, cells)
    assert new_cells.tolist() == [[0, 1, 1, 0], [2, 2, 0, 0]]
    assert new_nuclei.tolist() == [[0, 1, 0, 0], [2, 0, 0, 0]]


@pytest.mark.parametrize("shape", [(400, 400), (150, 130), (61, 77), (100, 100)])
def test_enlarged_labels_cover_what_scaled_shapes_cover(shape: tuple[int, int]) -> None:
    def halves(height: int, width: int) -> np.ndarray:
        rows, cols = (np.mgrid[:height, :width] + 0.5) / np.array([height, width])[:, None, None]
        return np.where(np.hypot(rows - 0.4, cols - 0.5) < 0.3, 1 + (cols > 0.5), 0)

    truth, big = halves(*shape), enlarge(halves(100, 100), shape)
    assert iou_table(truth, big).diagonal().min() > 0.94


@pytest.mark.timeout(120)
def test_most_cells_of_the_official_segmenter_are_found(shared: Path) -> None:
    masks = sorted((shared / "data" / "fields_masks").glob("*_cell.png"))
    total = hits = found = 0
    start = time.perf_counter()
    for path in masks:
        field = path.name.removesuffix("_cell.png")
        files = [shared / "data" / "fields" / f"{field}_{color}.png" for color in COLORS]
        image = np.stack([np.asarray(Image.open(file)) for file in files])
        reference = np.asarray(Image.open(path))
        nuclei, cells = segment(image, PARAMS)
        assert_sound(nuclei, cells, reference.shape)
        table = iou_table(reference, cells)
        total, found, hits = total + len(table), found + table.shape[1], hits + int((table >= 0.6).sum())
    assert total == 72
    assert hits >= 65
    assert found - hits <= 6
    assert time.perf_counter() - start < 60
