"""The ``hpacellseg`` segmenter: the networks of the competition's official package, our batching and post-processing.

The package (CellProfiling/HPA-Cell-Segmentation) and its weights are the user's to get. The weights are pickles of
whole modules: loading one runs whatever code is in it, so they are loaded only where ``trust_pickle`` says so.
How pictures are prepared for the networks: ``hpacellseg/cellsegmentator.py`` of that package.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pickle import UnpicklingError

import cv2
import numpy as np
import torch
from torch import nn

from common.classes import CHANNELS
from common.errors import DataError, MissingWeightsError, ParamsError
from common.segmentation.batching import STRIDE_PX, in_batches
from common.segmentation.label_cells import label_cells
from common.segmentation.network_params import HpaCellSegParams

NUCLEUS_WEIGHTS = "dpn_unet_nuclei_v1.pth"
CELL_WEIGHTS = "dpn_unet_cell_3ch_v1.pth"
RECORD = "https://zenodo.org/record/4665863"
PACKAGE = "https://github.com/CellProfiling/HPA-Cell-Segmentation"

MEAN = (124 / 255, 117 / 255, 104 / 255)
STD = 1 / (0.0167 * 255)
UM_PER_PX = 0.32
"""What the networks were trained at: 2048 px of .08 um, reduced four times."""

MARGIN_PX = 32
"""Mirrored round a picture before the networks see it."""

NUCLEUS_INPUT = ("nucleus", "nucleus", "nucleus")
CELL_INPUT = ("microtubules", "reticulum", "nucleus")


@dataclass(frozen=True)
class OfficialNetworks:
    """(B, 3, H, W) to logits (B, 3, H, W) each: background, border, interior."""

    nuclei: nn.Module
    cells: nn.Module


def load_networks(weights: Path, params: HpaCellSegParams) -> OfficialNetworks:
    """Load both networks from the folder ``weights``, onto the GPU where there is one.

    Raises:
        ParamsError: the package is not installed, or ``trust_pickle`` is off.
        MissingWeightsError: a file is absent.
        DataError: a file is no network.
    """
    if find_spec("hpacellseg") is None:
        raise ParamsError(
            f"segmenter hpacellseg needs its package; install it: pip install {PACKAGE}/archive/master.zip"
        )
    files = [weights / NUCLEUS_WEIGHTS, weights / CELL_WEIGHTS]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise MissingWeightsError(
            f"{', '.join(missing)}: no such weights; download them from {RECORD} and name their folder by "
            "segment.weights in params.yaml or --weights"
        )
    if not params.trust_pickle:
        raise ParamsError(
            f"{files[0]}: is a pickle, and loading it runs the code in it; where you trust its source, set "
            "segment.hpacellseg.trust_pickle to true in params.yaml"
        )
    nuclei, cells = (_load(file) for file in files)
    return OfficialNetworks(nuclei, cells)


def _load(file: Path) -> nn.Module:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        network = torch.load(file, map_location=device, weights_only=False)  # trusted: see load_networks
    except (UnpicklingError, ModuleNotFoundError, AttributeError, EOFError, RuntimeError) as error:
        raise DataError(
            f"{file}: cannot be loaded ({str(error)[:200]}); download it again from {RECORD}, or install what it lacks"
        ) from None
    if isinstance(network, nn.DataParallel):
        network = network.module
    if not isinstance(network, nn.Module):
        raise DataError(f"{file}: holds {type(network).__name__}, expected a network; get it from {RECORD}")
    return network.to(device).eval()


def segment(
    images: Sequence[np.ndarray], networks: OfficialNetworks, params: HpaCellSegParams
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Find the nuclei and cells of fields; see ``unet.segment``. The protein channel is not looked at."""
    labelling = params.labelling.model_copy(update={"field_width_um": params.field_width_um})
    width_px = max(STRIDE_PX, round(params.field_width_um / UM_PER_PX))
    nuclei, cells = (
        predict_maps([_prepare(image, names, width_px) for image in images], network, params.batch_size)
        for names, network in ((NUCLEUS_INPUT, networks.nuclei), (CELL_INPUT, networks.cells))
    )
    return [
        label_cells(_restore(own, image.shape[1:]), _restore(cell, image.shape[1:]), labelling)
        for image, own, cell in zip(images, nuclei, cells, strict=True)
    ]


def _prepare(image: np.ndarray, names: tuple[str, ...], width_px: int) -> np.ndarray:
    """(4, H, W) uint8 or uint16 to (3, h, w) float32, the longer side ``width_px``, normalised."""
    ratio = width_px / max(image.shape)
    size = (max(1, round(image.shape[2] * ratio)), max(1, round(image.shape[1] * ratio)))
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    full = np.iinfo(image.dtype).max
    planes = []
    for name, mean in zip(names, MEAN, strict=True):
        plane = cv2.resize(image[CHANNELS.index(name)], size, interpolation=how).astype(np.float32)
        planes.append((plane / full - mean) / STD)
    return np.stack(planes)


def predict_maps(pictures: Sequence[np.ndarray], network: nn.Module, batch_size: int) -> list[np.ndarray]:
    """Probabilities (3, h, w) float32 of each picture (3, h, w); only pictures of equal size share a batch."""

    def probabilities(batch: torch.Tensor) -> torch.Tensor:
        return network(batch).float().softmax(1)

    return in_batches(pictures, probabilities, next(network.parameters()).device, batch_size, MARGIN_PX)


def _restore(maps: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(3, h, w) float32 to (3, H, W) uint8."""
    full = np.rint(maps * 255).astype(np.uint8)
    return np.stack([cv2.resize(plane, shape[::-1], interpolation=cv2.INTER_LINEAR) for plane in full])
