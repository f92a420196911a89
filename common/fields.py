"""The field store: every image once, reduced to the size that networks see, in few large files."""

from pathlib import Path

import cv2
import numpy as np
from pydantic import Field

from common.classes import CHANNELS
from common.errors import ParamsError
from common.packed import PLACE, PackedStore, StoreParams
from common.params import Params
from common.views import Channel

INDEX = ["image_id", *PLACE]


class FieldParams(StoreParams):
    """The section ``fields`` of params.yaml."""

    shard_fields: int = Field(default=64, ge=1)
    """So many fields share a file; a killed stage loses the files that it was at."""


class FieldView(Params):
    """How a recipe sees a field: some channels, the longer side of ``size_px``, padded to a square with zeros."""

    channels: tuple[Channel, ...] = Field(min_length=1)
    size_px: int = Field(ge=1)


class FieldStore(PackedStore[FieldParams]):
    """Reads stored fields by row of ``index`` (image_id, place): (4, h, w) uint8 or uint16."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, FieldParams, INDEX, 4, "fields")

    def refuse_view(self, view: FieldView) -> None:
        """Refuse a view of more pixels than are stored.

        Raises:
            ParamsError: names both sizes.
        """
        if view.size_px > self.params.field_px:
            raise ParamsError(
                f"{self.folder}: the recipe's view wants size_px {view.size_px}, the store keeps fields of "
                f"{self.params.field_px} px; change the section fields of params.yaml or the view"
            )

    def read(self, row: int, view: FieldView) -> np.ndarray:
        """A field as ``view`` has it: (size, size, channels), uint8 or uint16.

        Raises:
            DataError: a shard is absent or damaged.
        """
        planes = self.picture(row)
        seen = [fit(planes[CHANNELS.index(channel)], view.size_px) for channel in view.channels]
        return cv2.merge(seen).reshape(view.size_px, view.size_px, len(seen))


def fit(plane: np.ndarray, side: int, nearest: bool = False) -> np.ndarray:
    """Bring a plane (h, w) to (side, side): scaled as a whole, then padded with zeros below or to the right.

    Args:
        nearest: for masks, whose values are no colours.
    """
    scale = side / max(plane.shape)
    height, width = (max(1, round(length * scale)) for length in plane.shape)
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    how = cv2.INTER_NEAREST_EXACT if nearest else smooth
    sized = plane if plane.shape == (height, width) else cv2.resize(plane, (width, height), interpolation=how)
    if height == width:
        return sized
    return cv2.copyMakeBorder(sized, 0, side - height, 0, side - width, cv2.BORDER_CONSTANT, value=0)
