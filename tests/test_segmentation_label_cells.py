"""Masks from three-class maps: drawn cells with known answers, the published algorithm, real cells."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import ndimage

from benchmarks.label_cells import Masks, best_ious, maps_of, published
from common.cells import cell_mask_path, read_mask
from common.errors import DataError
from common.segmentation import label_cells as module
from common.segmentation.label_cells import LabelCellsParams, label_cells
from common.segmentation.label_maps import areas, peel

EXACT = LabelCellsParams(mode="exact", field_width_um=None)
FAST = LabelCellsParams(mode="fast", field_width_um=None)
BOTH = pytest.mark.parametrize("params", [EXACT, FAST], ids=["exact", "fast"])

Box = tuple[int, int, int, int]
"""y0, x0, y1, x1 in pixels of .08 um."""


def square(y: int, x: int, half: int) -> Box:
    return y - half, x - half, y + half, x + half


def draw(boxes: list[Box], shape: tuple[int, int], rim: int = 4) -> np.ndarray:
    """Maps of boxes, (3, H, W) uint8: a border ``rim`` px wide inside, as wide a mixture, and interior within."""
    maps = np.zeros((3, *shape), np.uint8)
    maps[0] = 255
    for y0, x0, y1, x1 in boxes:
        for depth, values in ((0, (55, 200, 0)), (rim, (0, 100, 155)), (2 * rim, (0, 0, 255))):
            box = np.s_[:, y0 + depth : y1 - depth, x0 + depth : x1 - depth]
            maps[box] = np.array(values)[:, None, None]
    return maps


def nuclei_at(centres: list[tuple[int, int]], shape: tuple[int, int], half: int = 32) -> np.ndarray:
    return draw([square(y, x, half) for y, x in centres], shape, rim=0)


def random_cells(seed: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Nuclei and cells of a crowded field: discs that later ones overlap, (H, W) int32 each."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    nuclei, cells = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for label in range(1, shape[0] * shape[1] // 15_000):
        y, x, radius = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(55, 90)
        distance = np.hypot(rows - y, columns - x)
        nuclei[distance < radius + 4] = 0
        cells[distance < radius] = nuclei[distance < 0.5 * radius] = label
    return nuclei, cells


def blurred(nuclei: np.ndarray, cells: np.ndarray) -> Masks:
    """The maps that networks might have given for two label maps, (3, H, W) uint8 each."""
    rng = np.random.default_rng(0)
    return maps_of(nuclei, rng), maps_of(cells, rng)


def assert_sound(nuclei: np.ndarray, cells: np.ndarray, shape: tuple[int, ...]) -> None:
    """Every promise that ``label_cells`` makes about its result."""
    assert nuclei.dtype == cells.dtype == np.uint16
    assert nuclei.shape == cells.shape == shape
    assert np.array_equal(nuclei[nuclei > 0], cells[nuclei > 0])
    assert set(np.unique(cells)) - {0} == set(range(1, int(cells.max()) + 1))


@BOTH
def test_a_lone_cell_is_its_box_less_a_pixel(params: LabelCellsParams) -> None:
    nuclei, cells = label_cells(
        nuclei_at([(120, 140)], (240, 320)), draw([square(120, 140, 60)], (240, 320)), params
    )
    expected = np.zeros((240, 320), np.uint16)
    expected[61:179, 81:199] = 1
    assert np.array_equal(cells, expected)
    expected[:] = 0
    expected[88:152, 108:172] = 1
    assert np.array_equal(nuclei, expected)


@BOTH
def test_touching_cells_are_parted_by_two_pixels_and_numbered_row_by_row(params: LabelCellsParams) -> None:
    cell_maps = draw([(100, 100, 220, 200), (80, 200, 220, 300)], (300, 400))
    nuclei, cells = label_cells(nuclei_at([(160, 150), (150, 250)], (300, 400)), cell_maps, params)
    assert_sound(nuclei, cells, (300, 400))
    assert cells[160, 150] == nuclei[160, 150] == 2
    assert cells[150, 250] == nuclei[150, 250] == 1
    gap = np.flatnonzero(cells[160, 101:299] == 0) + 101
    assert len(gap) == 2
    assert gap.mean() == pytest.approx(199.5, abs=4)
    assert cells[160, [100, 299]].tolist() == [0, 0]


@pytest.mark.parametrize("shape", [(600, 600), (402, 731), (901, 333)])
@pytest.mark.parametrize("seed", [0, 1])
def test_exact_equals_the_published_algorithm(seed: int, shape: tuple[int, int]) -> None:
    nuclei, cells = random_cells(seed, shape)
    maps = blurred(nuclei, cells)
    reference, found = published(*maps), label_cells(*maps, EXACT)
    assert_sound(*found, shape)
    assert reference[1].max() == found[1].max() > 3
    for theirs, ours in zip(reference, found, strict=True):
        assert (theirs != ours).mean() < 1e-4  # scikit-image leaves the order of equal pixels to its heap
    assert_sound(*label_cells(*maps, FAST), shape)


@pytest.mark.timeout(120)
def test_real_cells_come_out_as_by_the_published_algorithm(shared: Path) -> None:
    field = "a34d8680-bb99-11e8-b2b9-ac1f6b6435d0"  # crowded
    labels = read_mask(cell_mask_path(shared / "data" / "fields_masks", field))
    inside = np.zeros(labels.shape, np.int32)
    for label in range(1, int(labels.max()) + 1):
        depth = cv2.distanceTransform((labels == label).astype(np.uint8), cv2.DIST_L2, 5)
        inside[depth > max(0.5 * depth.max(), depth.max() - 60)] = label
    maps = blurred(inside, labels)
    reference = published(*maps)
    for params, least in ((EXACT, 0.998), (FAST, 0.98)):
        found = label_cells(*maps, params)
        assert_sound(*found, labels.shape)
        assert found[1].max() == reference[1].max() >= 7
        for theirs, ours in zip(reference, found, strict=True):
            present = np.unique(theirs)[1:].astype(int) - 1
            assert best_ious(theirs, ours)[present].mean() >= least


@BOTH
def test_more_than_255_cells_have_a_number_each(params: LabelCellsParams) -> None:
    centres = [(60 + 110 * row, 60 + 110 * column) for row in range(18) for column in range(18)]
    cell_maps = draw([square(y, x, 48) for y, x in centres], (2048, 2048))
    nuclei, cells = label_cells(nuclei_at(centres, (2048, 2048)), cell_maps, params)
    assert [int(cells[centre]) for centre in centres] == list(range(1, 325))
    assert [int(nuclei[centre]) for centre in centres] == list(range(1, 325))
    assert set(areas(cells)[1:]) == {94**2}


@BOTH
def test_several_nuclei_in_a_cell_share_its_number(params: LabelCellsParams) -> None:
    cell_maps = draw([square(200, 200, 160)], (400, 400))
    cell_maps[:, 140:212, 140:212] = 0  # a moat round a piece too small for a cell
    cell_maps[2, 144:208, 144:208] = 255
    nuclei, cells = label_cells(nuclei_at([(176, 176), (270, 270)], (400, 400), half=28), cell_maps, params)
    assert cells.max() == 1
    assert nuclei[176, 176] == nuclei[270, 270] == 1
    assert ndimage.label(nuclei)[1] == 2
    assert np.array_equal(cells, peel(np.pad(np.ones((320, 320)), 40)))


@BOTH
def test_a_nucleus_without_a_cell_is_dropped(params: LabelCellsParams) -> None:
    nucleus_maps = nuclei_at([(120, 120), (120, 300)], (240, 400))
    nuclei, cells = label_cells(nucleus_maps, draw([square(120, 120, 60)], (240, 400)), params)
    assert cells.max() == 1
    assert np.array_equal(nuclei > 0, nucleus_maps[2] * (np.arange(400) < 200) > 0)


@BOTH
def test_interior_without_a_nucleus_is_no_cell(params: LabelCellsParams) -> None:
    cell_maps = draw([square(120, 120, 60), square(120, 300, 60)], (240, 400))
    cells = label_cells(nuclei_at([(120, 120)], (240, 400)), cell_maps, params)[1]
    assert cells.max() == 1
    assert not cells[:, 200:].any()


@BOTH
def test_a_cell_whose_nucleus_lies_mostly_outside_is_kept_without_nucleus(params: LabelCellsParams) -> None:
    cell_maps = draw([(60, 60, 180, 180)], (240, 400))
    nuclei, cells = label_cells(nuclei_at([(120, 186)], (240, 400)), cell_maps, params)
    assert areas(cells).tolist() == [240 * 400 - 118**2, 118**2]
    assert not nuclei.any()


@BOTH
def test_a_sum_of_borders_of_256_wraps_to_0_unless_told_otherwise(params: LabelCellsParams) -> None:
    nucleus_maps = nuclei_at([(120, 120), (120, 184)], (240, 320))  # two halves that touch
    cell_maps = draw([(40, 40, 200, 264)], (240, 320))
    nucleus_maps[1, :, 148:156] = cell_maps[1, :, 148:156] = 150
    assert label_cells(nucleus_maps, cell_maps, params)[1].max() == 1
    mended = params.model_copy(update={"wrap_border_sum": False})
    assert label_cells(nucleus_maps, cell_maps, mended)[1].max() == 2


@BOTH
def test_the_border_parts_cells_only_if_excluded(params: LabelCellsParams) -> None:
    cell_maps = draw([(40, 40, 200, 360)], (240, 400))
    cell_maps[1, 40:200, 240:248] = 100  # nearer to the right nucleus, and the interior certain all the same
    cell_maps = np.stack([cv2.GaussianBlur(plane, (0, 0), 2) for plane in cell_maps])
    nucleus_maps = nuclei_at([(120, 120), (120, 300)], (240, 400))
    for exclude, parting in ((False, 210), (True, 243.5)):
        cells = label_cells(nucleus_maps, cell_maps, params.model_copy(update={"exclude_border": exclude}))[1]
        gap = np.flatnonzero(cells[120, 60:340] == 0) + 60
        assert gap.mean() == pytest.approx(parting, abs=7)


@pytest.mark.parametrize("mode", ["exact", "fast"])
@pytest.mark.parametrize("factor", [0.5, 1.5, 2, 3])
def test_pixels_mean_nothing_where_the_width_of_the_field_is_known(mode: str, factor: float) -> None:
    centres = [(100, 100), (100, 300), (300, 100), (300, 290)]
    halves = (60, 36, 60, 60)  # the second cell is too small

    def masks_at(scale: float, width_um: float | None) -> Masks:
        def times(values: tuple[int, ...]) -> Box:
            y0, x0, y1, x1 = (round(scale * value) for value in values)
            return y0, x0, y1, x1

        shape = (round(400 * scale), round(400 * scale))
        nuclei = draw([times(square(*centre, 30)) for centre in centres], shape, rim=0)
        cells = [times(square(*centre, half)) for centre, half in zip(centres, halves, strict=True)]
        params = LabelCellsParams.model_validate({"mode": mode, "field_width_um": width_um})
        return label_cells(nuclei, draw(cells, shape, rim=round(4 * scale)), params)

    for small, large in zip(masks_at(1, 32.0), masks_at(factor, 32.0), strict=True):
        assert small.max() == large.max() == 3
        assert areas(large)[1:] / areas(small)[1:] == pytest.approx(factor**2, rel=0.05)
    found = masks_at(factor, None)[1].max()
    assert found == (0 if factor == 0.5 else 4)


@BOTH
def test_float_maps_and_maps_in_another_order_of_memory_give_the_same_masks(params: LabelCellsParams) -> None:
    maps = blurred(*random_cells(5, (500, 400)))
    floats = maps[0].astype(np.float32) / 255, maps[1].astype(np.float32) / 255
    last = (
        np.moveaxis(np.ascontiguousarray(np.moveaxis(maps[0], 0, 2)), 2, 0),
        maps[1],
    )  # as hpacellseg has it
    masks = label_cells(*maps, params)
    for nucleus_maps, cell_maps in (floats, last):
        for expected, found in zip(masks, label_cells(nucleus_maps, cell_maps, params), strict=True):
            assert np.array_equal(expected, found)


@BOTH
@pytest.mark.parametrize("shape", [(300, 400), (1, 1), (3, 700)])
@pytest.mark.parametrize("level", [0, 255])
def test_even_maps_have_sound_masks(params: LabelCellsParams, shape: tuple[int, int], level: int) -> None:
    maps = np.full((3, *shape), level, np.uint8)
    nuclei, cells = label_cells(maps, maps, params)
    assert_sound(nuclei, cells, shape)
    assert not nuclei.any()  # borders of 255 + 255 wrap to 254: no seed


@BOTH
def test_more_cells_than_a_mask_can_hold_are_refused(
    params: LabelCellsParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 1)
    centres = [(120, 120), (120, 300)]
    cell_maps = draw([square(y, x, 60) for y, x in centres], (240, 400))
    with pytest.raises(DataError, match="hold 2 nuclei or cells, a mask at most 1"):
        label_cells(nuclei_at(centres, (240, 400)), cell_maps, params)
