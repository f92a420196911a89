"""The crop store: every cell cut out once, in few large files, for recipes that look at it in their own ways.

A stored crop is (5, h, w) uint8 or uint16: the four channels and the role of each pixel (``common.views``), at the
resolution where a field is ``field_px`` wide (never enlarged).
"""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from common.cells import BOX, KEYS
from common.errors import ParamsError
from common.packed import PLACE, PackedStore, StoreParams
from common.views import Frame, View

INDEX = [*KEYS, *BOX, *PLACE]


class CropParams(StoreParams, Frame):
    """The section ``crops`` of params.yaml; the window is what views may look at."""

    box: Literal["tight", "square"] = "square"
    margin_px: int = Field(default=16, ge=0)
    shard_cells: int = Field(default=512, ge=1)
    """About so many cells share a file; a killed stage loses the files that it was at."""


class CropStore(PackedStore[CropParams]):
    """Reads stored crops by row of ``index`` (image_id, cell_id, box, place)."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, CropParams, INDEX, 5, "crops")
        self._boxes = self.index[BOX].to_numpy(np.int64)

    def refuse_view(self, view: View) -> None:
        """Refuse a view of what is not stored.

        Raises:
            ParamsError: names the values of the view and of the store.
        """
        if faults := what_lacks(self.params, view):
            advice = "change the section crops of params.yaml or the view"
            raise ParamsError(f"{self.folder}: the recipe's view wants {'; '.join(faults)}; {advice}")

    def read(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """The crop (5, h, w), read-only, and the box of the cell in it.

        Raises:
            DataError: a shard is absent or damaged.
        """
        return self.picture(row), self._boxes[row]


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
