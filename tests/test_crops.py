"""The crop store: what is stored, against slow plain code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.cells import BOX, measure_cells
from common.classes import CHANNELS
from common.crops import CropParams, CropStore
from common.cutting import cut_cell, write_store
from common.images import Field, write_png
from common.views import View, apply_view
from tests.cropped import MARGIN, random_mask, stored

Draw = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


def slow_crop(image: np.ndarray, mask: np.ndarray, row: Any, margin: int) -> tuple[list[Any], list[int]]:
    """Pixel by pixel: the five planes and the box within them."""
    ys = [y for y in range(row.y0 - margin, row.y1 + margin) if 0 <= y < mask.shape[0]]
    xs = [x for x in range(row.x0 - margin, row.x1 + margin) if 0 <= x < mask.shape[1]]
    planes = [[[image[c, y, x] for x in xs] for y in ys] for c in range(4)]
    role = [[1 if mask[y, x] == row.cell_id else 2 if mask[y, x] else 0 for x in xs] for y in ys]
    return [*planes, role], [
        ys.index(row.y0),
        xs.index(row.x0),
        ys.index(row.y1 - 1) + 1,
        xs.index(row.x1 - 1) + 1,
    ]


def slow_view(planes: list[Any], box: list[int], view: View) -> np.ndarray:
    """A view whose size is that of the padded window, so that nothing is resized."""
    height, width = len(planes[0]), len(planes[0][0])
    ys = [y for y in range(box[0] - view.margin_px, box[2] + view.margin_px) if 0 <= y < height]
    xs = [x for x in range(box[1] - view.margin_px, box[3] + view.margin_px) if 0 <= x < width]
    kept = {"none": (0, 1, 2), "own": (1,), "others": (0, 1)}[view.mask]
    out = np.zeros((view.size_px, view.size_px, len(view.channels)), np.uint8)
    top, left = (view.size_px - len(ys)) // 2, (view.size_px - len(xs)) // 2
    for place, channel in enumerate(view.channels):
        for j, y in enumerate(ys):
            for i, x in enumerate(xs):
                if planes[4][y][x] in kept:
                    out[top + j, left + i, place] = planes[CHANNELS.index(channel)][y][x]
    return out


@pytest.mark.parametrize("seed", range(6))
def test_stored_crops_and_their_views_are_those_of_slow_code(
    tmp_path: Path, seed: int, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    image, mask = draw_image(seed, 64), random_mask(seed)
    store = stored(tmp_path, image, mask, write_image)
    rows = list(measure_cells("a", mask, mask).itertuples())
    assert store.index["cell_id"].tolist() == [row.cell_id for row in rows]
    rng = np.random.default_rng(seed)
    for place, row in enumerate(rows):
        crop, box = store.read(place)
        planes, inner = slow_crop(image, mask, row, MARGIN)
        np.testing.assert_array_equal(crop, planes)
        assert box.tolist() == inner
        margin = int(rng.integers(0, MARGIN + 3))  # beyond what is stored there is nothing
        window = crop[0, max(0, box[0] - margin) : box[2] + margin, max(0, box[1] - margin) : box[3] + margin]
        view = View(
            channels=tuple(rng.permutation(CHANNELS)[: rng.integers(1, 5)].tolist()),
            mask=rng.choice(["none", "own", "others"]),
            square="pad",
            margin_px=margin,
            size_px=max(window.shape),
        )
        np.testing.assert_array_equal(apply_view(crop, box, view), slow_view(planes, inner, view))


def test_a_large_field_is_stored_at_half_size(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    image, mask = draw_image(0, 64), np.zeros((64, 64), np.uint16)
    mask[10:30, 20:44], mask[30:50, 20:44] = 1, 2
    store = stored(tmp_path, image, mask, write_image, field_px=32, margin_px=2)
    crop, box = store.read(0)
    halves = image[:, 6:34, 16:48].reshape(4, 14, 2, 16, 2).mean(axis=(2, 4))
    assert np.abs(crop[:4] - halves).max() <= 0.5
    assert box.tolist() == [2, 2, 12, 14]
    role = np.zeros((14, 16), np.uint8)
    role[2:12, 2:14], role[12:, 2:14] = 1, 2
    np.testing.assert_array_equal(crop[4], role)


def test_a_small_field_is_not_enlarged(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    mask = random_mask(1)
    store = stored(tmp_path, draw_image(0, 64), mask, write_image, field_px=1024, margin_px=0)
    boxes = measure_cells("a", mask, mask)[["y0", "x0", "y1", "x1"]].to_numpy()
    for place, (y0, x0, y1, x1) in enumerate(boxes):
        assert store.read(place)[0].shape == (5, y1 - y0, x1 - x0)


@pytest.mark.parametrize(("height", "width"), [(100, 300), (299, 100), (301, 77), (77, 300)])
def test_a_cell_at_the_edge_of_an_oblong_field_keeps_a_pixel(
    tmp_path: Path, height: int, width: int, write_image: Callable[..., Field]
) -> None:
    mask = np.zeros((height, width), np.uint16)
    mask[height - 1, 5:40], mask[5:40, width - 1] = 1, 2
    image = np.full((4, height, width), 9, np.uint8)
    store = stored(tmp_path, image, mask, write_image, field_px=100, margin_px=0)
    view = View(channels=("protein",), mask="none", square="stretch", margin_px=0, size_px=8)
    for place in range(2):
        assert (apply_view(*store.read(place), view) == 9).all()


def test_shards_are_closed_when_full_and_every_crop_is_found_again(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    fields, cells, expected = [], [], []
    rng = np.random.default_rng(0)
    (tmp_path / "masks").mkdir()
    for number in range(4):
        image = rng.integers(0, 256, (4, 64, 64), np.uint8)  # noise cannot be compressed
        mask = np.ones((64, 64), np.uint16)
        write_png(tmp_path / f"masks/i{number}_cell.png", mask)
        fields.append(write_image(tmp_path / "pixels", f"i{number}", image))
        cells.append(measure_cells(f"i{number}", mask, mask))
        expected.append(image)
    params = CropParams(field_px=64, margin_px=0, shard_cells=1)
    write_store(fields, tmp_path / "masks", pd.concat(cells), params, tmp_path / "store")
    store = CropStore(tmp_path / "store")
    assert len(list((tmp_path / "store").glob("shard-*.bin"))) == 4
    for number in (2, 0, 3, 1):
        np.testing.assert_array_equal(store.read(number)[0][:4], expected[number])


@pytest.mark.parametrize(("bit_depth", "values"), [(8, (255, 7)), (16, (65535, 257 * 7 + 30))])
def test_sixteen_bit_pixels_are_kept_or_rounded(
    tmp_path: Path, write_image: Callable[..., Field], bit_depth: int, values: tuple[int, int]
) -> None:
    image = np.full((4, 64, 64), 65535, np.uint16)
    image[1] = 257 * 7 + 30
    crop, _ = stored(tmp_path, image, random_mask(2), write_image, bit_depth=bit_depth).read(0)
    assert crop.dtype == f"uint{bit_depth}"
    assert (set(crop[0].ravel()), set(crop[1].ravel())) == ({values[0]}, {values[1]})
    assert set(crop[4].ravel()) <= {0, 1, 2}


def test_eight_bit_pixels_fill_a_store_of_sixteen(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    image, mask = draw_image(0, 64), np.ones((64, 64), np.uint16)
    crop, _ = stored(tmp_path, image, mask, write_image, bit_depth=16).read(0)
    np.testing.assert_array_equal(crop[:4], image.astype(int) * 257)


def test_a_store_without_compression_reads_the_same(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    image, mask = draw_image(0, 64), random_mask(0)
    stores = []
    for compression in ("lz4", "none"):
        (tmp_path / compression).mkdir()
        stores.append(stored(tmp_path / compression, image, mask, write_image, compression=compression))
    for row in range(len(stores[0])):
        for packed, plain in zip(stores[0].read(row), stores[1].read(row), strict=True):
            np.testing.assert_array_equal(packed, plain)
    sizes = [sum(file.stat().st_size for file in store.folder.glob("*.bin")) for store in stores]
    assert sizes[0] < sizes[1] == sum(store_bytes(stores[1]))


def store_bytes(store: CropStore) -> list[int]:
    return [store.read(row)[0].nbytes for row in range(len(store))]


@pytest.mark.parametrize("seed", range(4))
def test_a_square_store_keeps_the_square_as_far_as_the_image_goes(
    tmp_path: Path, seed: int, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    image, mask = draw_image(seed, 64), random_mask(seed)
    store = stored(tmp_path, image, mask, write_image, box="square", margin_px=2)
    for place, (top, left, bottom, right) in enumerate(
        measure_cells("a", mask, mask)[BOX].to_numpy().tolist()
    ):
        crop, box = store.read(place)
        side = max(bottom - top, right - left)
        y0, x0 = top - (side - (bottom - top)) // 2 - 2, left - (side - (right - left)) // 2 - 2
        top, left = top - box[0], left - box[1]
        assert (top, left) == (max(y0, 0), max(x0, 0))
        assert crop.shape[1:] == (min(y0 + side + 4, 64) - top, min(x0 + side + 4, 64) - left)
        np.testing.assert_array_equal(
            crop[:4], image[:, top : top + crop.shape[1], left : left + crop.shape[2]]
        )


def test_a_store_for_windows_holds_them_round_box_and_nucleus() -> None:
    image = np.zeros((4, 200, 200), np.uint8)
    image[2, 90:94, 60:64] = 50  # its middle is 92, 62
    mask = np.zeros((200, 200), np.uint16)
    mask[90:110, 60:120] = 4
    params = CropParams(box="tight", margin_px=0, window_px=50)
    planes, inner = cut_cell(image, mask, 4, np.array([90, 60, 110, 120]), params)
    assert inner == (90 - 67, 60 - 37, 110 - 67, 120 - 37)
    assert planes.shape == (5, 125 - 67, 120 - 37)


def test_a_box_of_fractions_is_rounded_outwards() -> None:
    image = np.arange(4 * 100, dtype=np.uint8).reshape(4, 10, 10)
    params = CropParams(box="tight", margin_px=1)
    planes, inner = cut_cell(image, np.ones((10, 10), np.uint16), 1, np.array([2.5, 3.0, 4.2, 6.0]), params)
    np.testing.assert_array_equal(planes[:4], image[:, 1:6, 2:7])
    assert inner == (1, 1, 4, 4)


KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from common import cutting
from common.stages.crops import main

def cut(item, *given, cut=cutting._cut_image, **named):
    with open("log", "a") as log:
        log.write(item.field.image_id + "\\n")
    if item.field.image_id == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    return cut(item, *given, **named)

cutting._cut_image = cut
main(Path("images"), Path("masks"), Path("cells.parquet"), Path("crops"))
"""
