"""The cache of maps: half precision, few large files, read by image.

Only maps that are not empty are kept: at 512 px a map of a class is 0.5 MB before lz4, and an image has one to three.
"""

import mmap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lz4.block
import numpy as np
import pandas as pd

from common.classes import CLASSES, PROBABILITIES
from common.errors import DataError
from common.tables import read_table

SHARD_BYTES = 256 * 2**20
"""A shard is closed when it holds so much."""
PLACE = ["shard", "offset", "size", "height", "width", "classes"]
ADVICE = "the maps stage of this approach"


def write_maps(folder: Path, images: Iterable[tuple[str, np.ndarray, np.ndarray]]) -> None:
    """Write the maps of images one by one, so that one image is in memory at a time.

    Args:
        folder: new; it gets ``shard-00000.bin`` ... and ``index.parquet``. The caller makes it whole or absent.
        images: image_id, (19, h, w) maps and (19,) probabilities of each.

    Raises:
        DataError: an image is there twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[list[Any]] = []
    shard = offset = 0
    for image_id, maps, probabilities in images:
        classes = np.flatnonzero(maps.any((1, 2)))
        content = lz4.block.compress(maps[classes].astype(np.float16).tobytes(), store_size=False)
        if offset and offset + len(content) > SHARD_BYTES:
            shard, offset = shard + 1, 0
        with _shard_file(folder, shard).open("ab") as file:
            file.write(content)
        place = [shard, offset, len(content), *maps.shape[1:], classes.tolist()]
        rows.append([image_id, *place, *probabilities.tolist()])
        offset += len(content)
    index = pd.DataFrame(rows, columns=["image_id", *PLACE, *PROBABILITIES])
    if (repeated := index["image_id"].duplicated()).any():
        raise DataError(f"{folder}: the image {index.loc[repeated, 'image_id'].iloc[0]!r} is there twice")
    index.to_parquet(folder / "index.parquet", index=False)


class MapStore:
    """Reads maps by image; may be copied into other processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = read_table(folder / "index.parquet", ["image_id", *PLACE, *PROBABILITIES], ADVICE)
        self._rows = {image_id: row for row, image_id in enumerate(self.index["image_id"])}
        self._open: dict[int, mmap.mmap] = {}

    def __len__(self) -> int:
        return len(self.index)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def probabilities(self, image_id: str) -> np.ndarray:
        """(19,) float64 of the image; raises as ``read``."""
        return self._row(image_id)[list(PROBABILITIES)].to_numpy(float)

    def read(self, image_id: str) -> np.ndarray:
        """(19, h, w) float32.

        Raises:
            DataError: the store has no such image, or a shard is absent or damaged.
        """
        row = self._row(image_id)
        shape = (len(row["classes"]), row["height"], row["width"])
        content = memoryview(self._shard(row["shard"]))[row["offset"] : row["offset"] + row["size"]]
        try:
            plain = lz4.block.decompress(content, uncompressed_size=2 * int(np.prod(shape)))
        except lz4.block.LZ4BlockError:
            raise self._damaged(row["shard"]) from None
        maps = np.zeros((len(CLASSES), *shape[1:]), np.float32)
        maps[row["classes"].astype(np.intp)] = np.frombuffer(plain, np.float16).reshape(shape)
        return maps

    def _row(self, image_id: str) -> "pd.Series[Any]":
        if image_id not in self._rows:
            raise DataError(f"{self.folder}: holds no maps of {image_id!r}; run {ADVICE}")
        return self.index.iloc[self._rows[image_id]]

    def _shard(self, number: int) -> mmap.mmap:
        if number not in self._open:
            path = _shard_file(self.folder, number)
            if not path.is_file() or not path.stat().st_size:
                raise self._damaged(number)
            with path.open("rb") as file:
                self._open[number] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._open[number]

    def _damaged(self, number: int) -> DataError:
        return DataError(f"{_shard_file(self.folder, number)}: is absent or damaged; run {ADVICE} again")


def _shard_file(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:05d}.bin"
