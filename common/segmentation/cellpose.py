"""The ``cellpose`` segmenter: an adapter to the cellpose package (version 4) with weights given by path.

Cellpose-SAM's own weights were trained on data whose licence forbids commercial use. Cells are found on
microtubules, reticulum and nuclei together, nuclei on the nucleus channel alone.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from common.classes import CHANNELS
from common.errors import MissingWeightsError, ParamsError
from common.segmentation.label_maps import enlarge, in_raster_order, largest_parts
from common.segmentation.network_params import CellposeParams

RECORD = "https://huggingface.co/mouseland/cellpose-sam"


def load_model(weights: Path) -> Any:
    """A ``cellpose.models.CellposeModel`` with the weights of a file, on the GPU where there is one.

    Raises:
        ParamsError: the package is not installed.
        MissingWeightsError: there is no such file; cellpose itself would go and download another one.
    """
    if find_spec("cellpose") is None:
        raise ParamsError("segmenter cellpose needs its package; install it: pip install 'cellpose>=4'")
    if not weights.is_file():
        raise MissingWeightsError(
            f"{weights}: no such weights; download them from {RECORD} (not for commercial use), or train your own, and "
            "name the file by segment.weights in params.yaml or --weights"
        )
    from cellpose.models import CellposeModel

    return CellposeModel(gpu=torch.cuda.is_available(), pretrained_model=str(weights))


def segment(
    images: Sequence[np.ndarray], model: Any, params: CellposeParams
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Find the nuclei and cells of fields; see ``unet.segment``. Cells without a nucleus are dropped."""
    small = [_reduce(image, params) for image in images]
    options = {"batch_size": params.batch_size, "channel_axis": 0}
    cells, *_ = model.eval([np.stack([_cytoplasm(planes), planes[2]]) for planes in small], **options)
    nuclei, *_ = model.eval([planes[2:] for planes in small], **options)
    return [
        _restore(*labels, image.shape[1:])
        for labels, image in zip(zip(nuclei, cells, strict=True), images, strict=True)
    ]


def _reduce(image: np.ndarray, params: CellposeParams) -> np.ndarray:
    """(4, H, W) to (3, h, w) float32 of a common scale: microtubules, reticulum, nucleus."""
    ratio = params.field_width_um / params.um_per_px / max(image.shape)
    size = (max(1, round(image.shape[2] * ratio)), max(1, round(image.shape[1] * ratio)))
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    used = [image[CHANNELS.index(name)] for name in ("microtubules", "reticulum", "nucleus")]
    return np.stack([cv2.resize(plane, size, interpolation=how).astype(np.float32) for plane in used])


def _cytoplasm(planes: np.ndarray) -> np.ndarray:
    """Mean of microtubules and reticulum over their 99th percentiles."""
    tops = [max(float(np.percentile(plane, 99)), 1.0) for plane in planes[:2]]
    return (planes[0] / tops[0] + planes[1] / tops[1]) / 2


def _restore(nuclei: np.ndarray, cells: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the reduced picture to masks of the full one; a nucleus has the number of the cell it lies in."""
    full = largest_parts(enlarge(cells.astype(np.int32), shape))
    inside = enlarge((nuclei > 0).astype(np.int32), shape) > 0
    both = in_raster_order(np.where(inside, full, 0), full)
    return both[0].astype(np.uint16), both[1].astype(np.uint16)
