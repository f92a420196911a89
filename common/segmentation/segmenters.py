"""Segmenters by name, and the step that runs one over a table of images.

A segmenter is a function from some pictures to their masks. It is made from the params once in each worker process, so
that what is expensive to make, a network, is loaded once; it is given several pictures, so that a network may take
them in one batch. The masks of a picture must not depend on the others. To add one: write its maker and enter it in
``SEGMENTERS`` and ``SegmentParams.segmenter``; files that it reads belong into ``_inputs``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from multiprocessing import parent_process
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field as Limit

from common.cells import COLUMNS, cell_mask_path, measure_cells, nucleus_mask_path, read_mask, write_mask
from common.errors import DataError
from common.images import Field, read_image
from common.measures import QUALITY, measure_quality
from common.params import Params
from common.segmentation import classical
from common.segmentation.network_params import CellposeParams, HpaCellSegParams, UnetParams
from common.shards import OnFault, Rows, Shard, fingerprint, run_shards, settle_faults

SHARD_IMAGES = 16
"""A killed run loses at most so many images for each worker."""
BATCH_IMAGES = 4
"""So many images are in a worker's memory at a time."""


@dataclass(frozen=True)
class Picture:
    """An image and its pixels, (4, H, W) uint8 or uint16."""

    image_id: str
    pixels: np.ndarray


Masks = tuple[np.ndarray, np.ndarray]
"""(nuclei, cells), each (H, W) uint16, a nucleus numbered like its cell."""
Segmenter = Callable[[Sequence[Picture]], list[Masks]]
"""The masks of each picture. A ``DataError`` says that a picture cannot be segmented; each is then tried alone."""


class SegmentParams(Params):
    """The section ``segment`` of params.yaml."""

    segmenter: Literal["classical", "precomputed", "unet", "hpacellseg", "cellpose"]
    masks: str
    """The folder of precomputed masks."""
    weights: str = "data/models/segmenter/unet"
    """The folder of the weights of ``unet`` or ``hpacellseg``, or the file of those of ``cellpose``."""
    on_fault: OnFault = "stop"
    """Whether an image that cannot be read or segmented stops the stage or is left out; it is listed in both cases."""
    max_empty_share: float = Limit(ge=0, le=1)
    classical: classical.ClassicalParams
    unet: UnetParams = UnetParams()
    hpacellseg: HpaCellSegParams = HpaCellSegParams()
    cellpose: CellposeParams = CellposeParams()


def make_classical(params: SegmentParams) -> Segmenter:
    """Nuclei from blue, cells grown from them over red and yellow."""
    return lambda pictures: [classical.segment(picture.pixels, params.classical) for picture in pictures]


def make_precomputed(params: SegmentParams) -> Segmenter:
    """Masks that another tool wrote: ``<ID>_cell.png``, and ``<ID>_nucleus.png`` where there is one."""
    return lambda pictures: [_read_precomputed(picture, Path(params.masks)) for picture in pictures]


def _read_precomputed(picture: Picture, folder: Path) -> Masks:
    shape = (picture.pixels.shape[1], picture.pixels.shape[2])
    cells = read_mask(cell_mask_path(folder, picture.image_id), shape)
    nuclei = nucleus_mask_path(folder, picture.image_id)
    return (read_mask(nuclei, shape) if nuclei.exists() else np.zeros_like(cells)), cells


def make_unet(params: SegmentParams) -> Segmenter:
    """Our own network, trained on simulated fields."""
    from common.segmentation.unet import load_unet, segment  # torch is slow to import, and others need none

    _use_one_core()
    trained = load_unet(Path(params.weights))
    return lambda pictures: segment([picture.pixels for picture in pictures], trained, params.unet)


def make_hpacellseg(params: SegmentParams) -> Segmenter:
    """The networks of the competition's official package, which the user installs."""
    from common.segmentation.hpacellseg import load_networks, segment

    _use_one_core()
    networks = load_networks(Path(params.weights), params.hpacellseg)
    return lambda pictures: segment([picture.pixels for picture in pictures], networks, params.hpacellseg)


def make_cellpose(params: SegmentParams) -> Segmenter:
    """The package cellpose, which the user installs."""
    from common.segmentation.cellpose import load_model, segment

    _use_one_core()
    model = load_model(Path(params.weights))
    return lambda pictures: segment([picture.pixels for picture in pictures], model, params.cellpose)


def _use_one_core() -> None:
    """Leave the other cores to the other worker processes, where this is one."""
    import torch

    if parent_process() is not None:
        torch.set_num_threads(1)


SEGMENTERS: dict[str, Callable[[SegmentParams], Segmenter]] = {
    "classical": make_classical,
    "precomputed": make_precomputed,
    "unet": make_unet,
    "hpacellseg": make_hpacellseg,
    "cellpose": make_cellpose,
}


@lru_cache(maxsize=1)
def segmenter_of(params: SegmentParams) -> Segmenter:
    """The segmenter that ``params`` name, made once a process."""
    return SEGMENTERS[params.segmenter](params)


def segment_fields(fields: list[Field], params: SegmentParams, out: Path) -> tuple[pd.DataFrame, list[str]]:
    """Write both masks of every image into ``out``; call ``finish_shards(out)`` when all else is written.

    Args:
        out: a folder that may hold what a killed run has finished; that is not done again.

    Returns:
        The cells table with its quality columns, and the ids of the images without a cell: in some none was found,
        others cannot be used and have no masks; those are listed in ``out/skipped.csv``.

    Raises:
        DataError: images cannot be used, and ``params.on_fault`` is ``stop``. Lists them all.
    """
    starts = range(0, len(fields), SHARD_IMAGES)
    shards = [_shard(n, fields[start : start + SHARD_IMAGES], params) for n, start in enumerate(starts)]
    work = partial(_segment_shard, params=params)
    cells, faults = run_shards(work, shards, out, [*COLUMNS, *QUALITY], "segmentation")
    settle_faults(faults, len(fields), params.on_fault, out)
    with_cells = set(cells["image_id"])
    return cells, [field.image_id for field in fields if field.image_id not in with_cells]


def _shard(number: int, fields: list[Field], params: SegmentParams) -> Shard[Field]:
    settings = params.model_dump_json(exclude={"on_fault", "max_empty_share"})
    files = [path for field in fields for path in (*field.paths, *_inputs(field.image_id, params))]
    return Shard(number, {field.image_id: field for field in fields}, fingerprint(settings, files))


def _inputs(image_id: str, params: SegmentParams) -> list[Path]:
    """The files beside an image's own that its masks are made from."""
    if params.segmenter == "classical":
        return []
    if params.segmenter == "precomputed":
        return [path(Path(params.masks), image_id) for path in (cell_mask_path, nucleus_mask_path)]
    weights = Path(params.weights)
    return sorted(weights.iterdir()) if weights.is_dir() else [weights]


def _segment_shard(
    fields: Mapping[str, Field], folder: Path, shard: int, params: SegmentParams
) -> dict[str, Rows]:
    found: dict[str, Rows] = {}
    waiting = iter(fields.values())
    while batch := list(islice(waiting, BATCH_IMAGES)):
        pictures = []
        for field in batch:
            try:
                pictures.append(Picture(field.image_id, read_image(field)))
            except DataError as error:
                found[field.image_id] = str(error)
        for picture, masks in _segment(pictures, segmenter_of(params)):
            name = picture.image_id
            found[name] = masks if isinstance(masks, str) else _write_one(picture, *masks, folder)
    return found


def _segment(pictures: list[Picture], segmenter: Segmenter) -> Iterator[tuple[Picture, Masks | str]]:
    """Each picture with its masks, or with what is wrong with it."""
    try:
        yield from zip(pictures, segmenter(pictures), strict=True)
    except DataError as error:
        if len(pictures) == 1:
            yield pictures[0], str(error)
        else:
            for picture in pictures:
                yield from _segment([picture], segmenter)


def _write_one(picture: Picture, nuclei: np.ndarray, cells: np.ndarray, folder: Path) -> pd.DataFrame:
    write_mask(cell_mask_path(folder, picture.image_id), cells)
    write_mask(nucleus_mask_path(folder, picture.image_id), nuclei)
    table = measure_cells(picture.image_id, nuclei, cells)
    return measure_quality(picture.pixels, nuclei, cells, table)


def write_blank_masks(images: pd.DataFrame, folder: Path) -> None:
    """Give the images that were left out masks without a cell, so that every image has its masks.

    Args:
        images: image_id, height, width.
    """
    for image_id, *shape in images[["image_id", "height", "width"]].itertuples(index=False):
        for path in (cell_mask_path(folder, image_id), nucleus_mask_path(folder, image_id)):
            if not path.exists():
                write_mask(path, np.zeros(shape, np.uint16))


def empty_sentence(empty: list[str], total: int) -> str:
    """Say which images have no cell."""
    names = ", ".join(empty[:5]) + (", ..." if len(empty) > 5 else "")
    return f"no cell was found in {len(empty)} of {total} images ({names})"


def refuse_many_empty(empty: list[str], total: int, max_share: float) -> None:
    """Print which images have no cell; they go on without predictions.

    Raises:
        DataError: they are more than ``max_share`` of all.
    """
    if not empty:
        return
    if len(empty) > max_share * total:
        advice = "look at their nuclei (blue) channel, or raise segment.max_empty_share in params.yaml"
        raise DataError(
            f"data/masks: {empty_sentence(empty, total)}, expected at most {max_share:.0%}; {advice}"
        )
    print(f"warning: {empty_sentence(empty, total)}; they get no predictions")
