"""The crop store: every cell cut out once, in few large files, for recipes that look at it in their own ways.

A stored crop is (5, h, w) uint8 or uint16: the four channels and the role of each pixel (``common.views``), at the
resolution where a field is ``field_px`` wide (never enlarged). lz4 reads 20 x faster than PNG and takes 45 % of the
bytes.
"""

import json
import mmap
from pathlib import Path
from typing import Any, Literal

import lz4.block
import numpy as np
from pydantic import Field

from common.cells import BOX, KEYS
from common.errors import DataError, ParamsError
from common.params import build
from common.tables import read_table
from common.views import Frame, View

PARAMS = "params.json"
PLACE = ["shard", "offset", "size", "height", "width"]
INDEX = [*KEYS, *BOX, *PLACE]
OPEN_SHARDS = 256
"""So many shards stay open: a system allows a process about a thousand files."""


class CropParams(Frame):
    """The section ``crops`` of params.yaml; the window is what views may look at."""

    field_px: int = Field(default=1024, ge=1)
    """Width of a whole field at the store's resolution; smaller fields are not enlarged."""
    box: Literal["tight", "square"] = "square"
    margin_px: int = Field(default=16, ge=0)
    bit_depth: Literal[8, 16] = 8
    compression: Literal["lz4", "none"] = "lz4"
    """``none`` reads faster from a disk of twice the size."""
    shard_cells: int = Field(default=512, ge=1)
    """About so many cells share a file; a killed stage loses the files that it was at."""
    on_fault: Literal["stop", "skip"] = "stop"
    """Whether an image that cannot be read stops the stage or is left out; it is listed in both cases."""


def shard_name(number: int) -> str:
    """The file of a shard."""
    return f"shard-{number:05d}.bin"


class CropStore:
    """Reads stored crops by row of ``index`` (image_id, cell_id, box, place); may be copied into other processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = read_table(folder / "index.parquet", INDEX, "dvc repro crops")
        self._places = self.index[PLACE].to_numpy(np.int64)
        self._boxes = self.index[BOX].to_numpy(np.int64)
        self._sizes = (self.index["offset"] + self.index["size"]).groupby(self.index["shard"]).max().to_dict()
        self._dtype = np.dtype(f"uint{self.params().bit_depth}")
        self._packed = self.params().compression == "lz4"
        self._open: dict[int, mmap.mmap] = {}

    def __len__(self) -> int:
        return len(self.index)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def params(self) -> CropParams:
        """How these crops were cut."""
        path = self.folder / PARAMS
        return build(CropParams, json.loads(path.read_text()), str(path))

    def refuse_view(self, view: View) -> None:
        """Refuse a view of what is not stored.

        Raises:
            ParamsError: names the values of the view and of the store.
        """
        if faults := what_lacks(self.params(), view):
            advice = "change the section crops of params.yaml or the view"
            raise ParamsError(f"{self.folder}: the recipe's view wants {'; '.join(faults)}; {advice}")

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """The crop (5, h, w), read-only, and the box of the cell in it.

        Raises:
            DataError: a shard is absent or damaged.
        """
        shard, offset, size, height, width = self._places[row].tolist()
        content = memoryview(self._shard(shard))[offset : offset + size]
        length = 5 * height * width * self._dtype.itemsize
        if self._packed:
            try:
                content = lz4.block.decompress(content, uncompressed_size=length)
            except lz4.block.LZ4BlockError:
                raise self._damaged(shard) from None
        return np.frombuffer(content, self._dtype).reshape(5, height, width), self._boxes[row]

    def _shard(self, number: int) -> mmap.mmap:
        if number not in self._open:
            if len(self._open) == OPEN_SHARDS:
                self._open.pop(next(iter(self._open)))
            path = self.folder / shard_name(number)
            if not path.is_file() or path.stat().st_size != self._sizes[number]:
                raise self._damaged(number)
            with path.open("rb") as file:
                self._open[number] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return self._open[number]

    def _damaged(self, shard: int) -> DataError:
        path = self.folder / shard_name(shard)
        return DataError(f"{path}: is absent or damaged; run: dvc repro -f crops")


def what_lacks(store: CropParams, view: View) -> list[str]:
    """What a view wants and a store does not keep, one sentence each."""
    faults = []
    if view.bit_depth > store.bit_depth:
        faults.append(f"bit_depth {view.bit_depth}, the store keeps {store.bit_depth}")
    if view.mask == "own" and not view.dim:
        return faults  # nothing outside the cell is seen
    if view.window_px:
        wanted = ["window_px"]
    else:
        wanted = ["margin_px", "margin_share"]
        if (view.box, store.box) == ("square", "tight"):
            faults.append("box square, the store keeps tight")
    for key in wanted:
        if getattr(view, key) > getattr(store, key):
            faults.append(f"{key} {getattr(view, key)}, the store keeps {getattr(store, key)}")
    return faults
