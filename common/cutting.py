"""Cuts the cells out of their images and writes the crop store, shard by shard."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from common.cells import BOX, cell_mask_path, read_mask
from common.crops import INDEX, CropParams
from common.images import Field, read_image
from common.packed import append, reduce_channel, reduction, shard_name, write_index
from common.shards import Shard, fingerprint, finish_shards, one_by_one, run_shards, settle_faults
from common.views import OTHER, OWN, nucleus_of, to_depth, window_at, window_of


@dataclass(frozen=True)
class CellsOf:
    """An image, the ids of its cells (n,) and their boxes (n, 4)."""

    field: Field
    ids: np.ndarray
    boxes: np.ndarray


def write_store(fields: list[Field], masks: Path, cells: pd.DataFrame, params: CropParams, out: Path) -> None:
    """Cut all ``cells`` out of their images and write shards with their index.

    Args:
        masks: the folder of cell masks.
        out: a folder that is new, or holds the finished shards of a killed run, which are kept. It gets
            ``shard-00000.bin`` ..., ``params.json``, ``skipped.csv`` where images are left out, and
            ``index.parquet`` with the shard, offset, size and shape of each crop, and the box of the cell in it.

    Raises:
        DataError: images or masks cannot be used, and ``params.on_fault`` is ``stop``. Lists them all.
    """
    rows, ids, boxes = cells.groupby("image_id").indices, cells["cell_id"].to_numpy(), cells[BOX].to_numpy()
    full = [(field, rows[field.image_id]) for field in fields if field.image_id in rows]
    items = [CellsOf(field, ids[chosen], boxes[chosen]) for field, chosen in full]
    shards = [
        _shard(number, part, masks, params) for number, part in enumerate(_parts(items, params.shard_cells))
    ]
    work = partial(one_by_one, work=partial(_cut_image, masks=masks, params=params))
    index, faults = run_shards(work, shards, out, INDEX, "crops")
    settle_faults(faults, len(items), params.on_fault, out)
    write_index(index, params, out)
    finish_shards(out)


def _parts(items: list[CellsOf], size: int) -> Iterator[list[CellsOf]]:
    """Batches of at least ``size`` cells, the last one apart; the same in every run."""
    part: list[CellsOf] = []
    for item in items:
        part.append(item)
        if sum(len(item.ids) for item in part) >= size:
            yield part
            part = []
    if part:
        yield part


def _shard(number: int, items: list[CellsOf], masks: Path, params: CropParams) -> Shard[CellsOf]:
    cells = [(item.field.image_id, item.ids.tolist(), item.boxes.tolist()) for item in items]
    settings = f"{params.model_dump_json(exclude={'on_fault'})} {cells}"
    files = [
        path for item in items for path in (*item.field.paths, cell_mask_path(masks, item.field.image_id))
    ]
    return Shard(number, {item.field.image_id: item for item in items}, fingerprint(settings, files))


def _cut_image(item: CellsOf, folder: Path, shard: int, masks: Path, params: CropParams) -> pd.DataFrame:
    name = item.field.image_id
    image, mask, scale = _read_small(item.field, cell_mask_path(masks, name), params)
    image = to_depth(image, params.bit_depth)
    rows = []
    for cell_id, box in zip(item.ids.tolist(), item.boxes * scale, strict=True):
        planes, inner = cut_cell(image, mask, cell_id, box, params)
        rows.append((cell_id, *inner, shard, *append(folder / shard_name(shard), planes, params)))
    table = pd.DataFrame(np.array(rows), columns=INDEX[1:])
    table.insert(0, "image_id", name)
    return table


def _read_small(field: Field, mask_path: Path, params: CropParams) -> tuple[np.ndarray, np.ndarray, float]:
    """A field (4, h, w) and its mask (h, w) at the store's resolution, and how much they were reduced."""
    shapes: list[tuple[int, int]] = []

    def reduce(channel: np.ndarray) -> np.ndarray:
        shapes.append((channel.shape[0], channel.shape[1]))
        return reduce_channel(channel, params)

    image = read_image(field, reduce)
    mask = read_mask(mask_path, shapes[0])
    small = cv2.resize(mask, (image.shape[2], image.shape[1]), interpolation=cv2.INTER_NEAREST_EXACT)
    return image, small, reduction(shapes[0], params)


def cut_cell(
    image: np.ndarray, mask: np.ndarray, cell_id: int, box: np.ndarray, params: CropParams
) -> tuple[np.ndarray, tuple[int, ...]]:
    """Cut one cell out of an image.

    Args:
        image: (4, H, W) uint8 or uint16.
        mask: (H, W) uint16.
        box: half-open y0, x0, y1, x1, may be fractional.

    Returns:
        (5, h, w) like ``image`` with the role of each pixel last, and the box of the cell within it.
    """
    # The sides of a scaled mask are rounded: a box at its very end may begin beyond it.
    start = np.minimum(np.floor(box[:2]).astype(int), np.array(mask.shape) - 1)
    end = np.minimum(np.maximum(np.ceil(box[2:]).astype(int), start + 1), mask.shape)
    whole = np.concatenate([start, end])
    windows = [window_of(whole, params)]
    if params.window_px:
        tight = _cut(image, mask, cell_id, (*start, *end))
        nucleus = start + nucleus_of(tight, whole - np.tile(start, 2))
        windows += [window_at(centre, params.window_px) for centre in ((start + end) / 2, nucleus)]
    top, left = np.maximum(np.min(windows, axis=0)[:2], 0)
    bottom, right = np.max(windows, axis=0)[2:]
    planes = _cut(image, mask, cell_id, (top, left, bottom, right))
    return planes, tuple(int(side) for side in whole - (top, left, top, left))


def _cut(image: np.ndarray, mask: np.ndarray, cell_id: int, window: tuple[int, int, int, int]) -> np.ndarray:
    y0, x0, y1, x1 = window
    cells = mask[y0:y1, x0:x1]
    planes = np.empty((5, *cells.shape), image.dtype)
    planes[:4] = image[:, y0:y1, x0:x1]
    planes[4] = (cells > 0) * np.uint8(OTHER) - (cells == cell_id) * np.uint8(OTHER - OWN)
    return planes
