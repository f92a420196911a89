"""The ``classical`` segmenter: nuclei of the blue channel, cells grown over microtubules and ER. No network.

The picture is reduced to a working width, so that every length means the same at 512 and at 4096 px; the
label maps are then enlarged smoothly. No threshold is an absolute grey level or a number of full-size pixels.
"""

import cv2
import numpy as np
from pydantic import Field

from common.classes import CHANNELS
from common.errors import DataError
from common.params import Params
from common.segmentation.cells import grow_cells
from common.segmentation.label_maps import enlarge, in_raster_order, largest_parts
from common.segmentation.nuclei import find_nuclei

MAX_CELLS = 65535
USED = ("microtubules", "nucleus", "reticulum")
"""The channels that are looked at, in the order of ``segment``."""


class ClassicalParams(Params):
    """What may be tuned. Set ``field_width_um`` where a picture is not a whole field."""

    field_width_um: float = Field(default=164.0, gt=0)
    """Longer side of the picture, um (2048 px of .08 um)."""
    working_width_px: int = Field(default=512, ge=128, le=2048)
    """Longer side of the reduced picture that is worked on, px."""
    nucleus_smoothing_um: float = Field(default=0.6, gt=0)
    """Sigma of the blur of the nucleus channel, um."""
    cell_smoothing_um: float = Field(default=0.5, gt=0)
    """Sigma of the blur of the microtubule and ER channels, um."""
    min_nucleus_um2: float = Field(default=20.0, gt=0)
    """Smaller nuclei are dropped, um2."""
    min_cell_um2: float = Field(default=60.0, gt=0)
    """Smaller cells are dropped, um2."""
    neck_ratio: float = Field(default=0.75, gt=0, le=1)
    """Touching nuclei are one where their neck is wider than this share of the narrower one."""
    min_part_ratio: float = Field(default=0.55, ge=0)
    """A part of a clump of nuclei below this share of the median nucleus' area is a lobe, not a nucleus."""
    cell_threshold_ratio: float = Field(default=0.6, gt=0)
    """Cell threshold over Otsu's threshold of the log picture; lower makes larger cells."""
    distance_weight: float = Field(default=0.2, ge=0)
    """Cost of growing 20 um away from the nucleus, over the cost of black; 0: only grey levels count."""

    @property
    def px_per_um(self) -> float:
        """Working pixels in a um."""
        return self.working_width_px / self.field_width_um


def segment(image: np.ndarray, params: ClassicalParams) -> tuple[np.ndarray, np.ndarray]:
    """Find the nuclei and cells of a field.

    Args:
        image: (4, H, W) uint8 or uint16 in the order of ``CHANNELS``. The protein channel is not looked at.
        params: see ``ClassicalParams``.

    Returns:
        nuclei: (H, W) uint16, 0 background; value k lies inside cell k and may have several parts.
        cells: (H, W) uint16, 0 background; values 1..n in raster order of the cells' first pixels, each
            4-connected. A nucleus without signal round it is its own cell. Both maps are all zero where
            no nucleus stands out.

    Raises:
        DataError: another shape or type, or more than 65,535 cells.
    """
    _check(image)
    microtubules, nucleus, reticulum = (_reduce(image[CHANNELS.index(name)], params) for name in USED)
    nuclei = find_nuclei(nucleus, params)
    cells = grow_cells(microtubules, reticulum, nuclei, params)
    size = image.shape[1:]
    cells = largest_parts(enlarge(cells, size))
    nuclei = enlarge(nuclei, size)
    nuclei[nuclei != cells] = 0
    nuclei, cells = in_raster_order(nuclei, cells)
    if cells.max(initial=0) > MAX_CELLS:
        raise DataError(
            f"segmentation found {cells.max()} cells, a mask holds at most {MAX_CELLS}; "
            "raise min_cell_um2 or check field_width_um"
        )
    return nuclei.astype(np.uint16), cells.astype(np.uint16)


def _check(image: np.ndarray) -> None:
    if image.ndim != 3 or image.shape[0] != len(CHANNELS) or 0 in image.shape:
        raise DataError(f"the image has shape {image.shape}, expected (4, H, W): {', '.join(CHANNELS)}")
    if image.dtype not in (np.uint8, np.uint16):
        raise DataError(f"the image is {image.dtype}, expected uint8 or uint16; convert it first")


def _reduce(channel: np.ndarray, params: ClassicalParams) -> np.ndarray:
    """Bring a channel to the working width, (h, w) float32 on the 8-bit scale (a 16-bit picture / 257)."""
    grey = channel.astype(np.float32)
    if channel.dtype == np.uint16:
        grey /= 257
    ratio = params.working_width_px / max(channel.shape)
    width, height = (max(1, round(side * ratio)) for side in channel.shape[::-1])
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    return cv2.resize(grey, (width, height), interpolation=how)
