"""The ``unet`` segmenter: our own U-Net, trained on simulated fields, gives maps of nuclei and cells.

A picture is brought to the scale that the network was trained at, whatever its size and magnification. Its protein
channel is not looked at: that channel shows another protein in each sample, in few cells or in none, and masks
should not depend on what is to be found in them. The competition's official segmenter leaves it out too.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from common.classes import CHANNELS
from common.errors import DataError, MissingWeightsError, ParamsError
from common.params import build
from common.segmentation.batching import STRIDE_PX, in_batches
from common.segmentation.grey import above_black
from common.segmentation.label_maps import enlarge, in_raster_order, largest_parts
from common.segmentation.map_reading import read_maps
from common.segmentation.network_params import UnetNetwork, UnetParams
from common.torchvision_ops import declare_torchvision_ops

USED = ("microtubules", "reticulum", "nucleus")
"""The channels that the network sees, in its order."""

MAPS = ("background", "border", "interior")
"""What the network says of each pixel, first of nuclei, then of cells."""

BRIGHT_PERCENTILE = 99.8
"""What counts as bright in a channel: a small nucleus is .2 % of a field of 164 um."""

TRAIN = "python -m common.stages.segmenter --recipe segmenter/unet.yaml --out data/models/segmenter/unet"
WEIGHTS, SETTINGS = "model.safetensors", "network.json"


@dataclass(frozen=True)
class TrainedUnet:
    """A network with its weights, and the scale it works at."""

    network: nn.Module
    settings: UnetNetwork


def build_network(settings: UnetNetwork) -> nn.Module:
    """(B, 3, H, W), sides multiples of ``STRIDE_PX``, to logits (B, 6, H, W): ``MAPS`` of nuclei, then of cells.

    Raises:
        ParamsError: there is no such encoder, or it has fewer steps than the decoder.
    """
    declare_torchvision_ops()
    import segmentation_models_pytorch as smp

    try:
        network: nn.Module = smp.Unet(
            settings.encoder,
            encoder_depth=len(settings.decoder_channels),
            encoder_weights=None,
            decoder_channels=settings.decoder_channels,
            in_channels=len(USED),
            classes=2 * len(MAPS),
        )
    except (KeyError, RuntimeError, ValueError) as error:
        raise ParamsError(
            f"network.encoder: {settings.encoder!r} with {len(settings.decoder_channels)} decoder_channels cannot be "
            f"built ({str(error)[:200]}); see segmentation-models-pytorch for the names of encoders"
        ) from None
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def save_unet(folder: Path, trained: TrainedUnet) -> None:
    """Write the weights and ``network.json`` into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.contiguous() for name, value in trained.network.state_dict().items()}
    save_file(tensors, folder / WEIGHTS)
    (folder / SETTINGS).write_text(trained.settings.model_dump_json(indent=1) + "\n")


def load_unet(folder: Path) -> TrainedUnet:
    """Read what ``save_unet`` wrote, ready to run, onto the GPU where there is one.

    Raises:
        MissingWeightsError: there is no trained network.
        DataError: the weights are damaged or of another network.
    """
    weights, settings_file = folder / WEIGHTS, folder / SETTINGS
    if not (weights.is_file() and settings_file.is_file()):
        raise MissingWeightsError(
            f"{folder}: holds no trained U-Net ({WEIGHTS}, {SETTINGS}); train it: {TRAIN}, "
            "and name the folder that this writes by segment.weights in params.yaml or --weights"
        )
    settings = build(UnetNetwork, json.loads(settings_file.read_text()), str(settings_file))
    network = build_network(settings)
    try:
        network.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise DataError(
            f"{weights}: does not fit {SETTINGS} ({str(error)[:200]}); train it again: {TRAIN}"
        ) from None
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return TrainedUnet(network.to(device).eval(), settings)


def segment(
    images: Sequence[np.ndarray], trained: TrainedUnet, params: UnetParams
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Find the nuclei and cells of fields.

    Args:
        images: (4, H, W) uint8 or uint16 each, in the order of ``CHANNELS``; sizes may differ.
        trained: what ``load_unet`` gives.
        params: see ``UnetParams``.

    Returns:
        Nuclei and cells of each image, (H, W) uint16, numbered in raster order; a nucleus has its cell's number.
        Neither depends on the other images.
    """
    width_px = max(STRIDE_PX, round(params.field_width_um / trained.settings.um_per_px))
    pictures = [prepare(image, width_px) for image in images]
    return [
        _to_masks(maps, image.shape[1:], 1 / trained.settings.um_per_px, params)
        for image, maps in zip(
            images, predict_maps(pictures, trained.network, params.batch_size), strict=True
        )
    ]


def prepare(image: np.ndarray, width_px: int) -> np.ndarray:
    """Bring (4, H, W) uint8 or uint16 to the network's scale and range.

    Returns:
        (3, h, w) float32, the longer side ``width_px``: the channels of ``USED``, normalised.

    Raises:
        DataError: another shape.
    """
    if image.ndim != 3 or image.shape[0] != len(CHANNELS) or 0 in image.shape:
        raise DataError(f"the image has shape {image.shape}, expected (4, H, W): {', '.join(CHANNELS)}")
    ratio = width_px / max(image.shape)
    height, width = (max(1, round(side * ratio)) for side in image.shape[1:])
    how = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
    planes = [image[CHANNELS.index(name)].astype(np.float32) for name in USED]
    return np.stack([normalise(cv2.resize(plane, (width, height), interpolation=how)) for plane in planes])


def normalise(plane: np.ndarray) -> np.ndarray:
    """Grey levels of (h, w) float32 as cube roots of their share of a bright one, at most 1.3.

    Gain and black level of the camera fall out, and dim cells stand nearer to bright ones.
    """
    light = above_black(plane)
    bright = float(np.percentile(light, BRIGHT_PERCENTILE)) or float(light.max())
    if bright == 0:
        return light
    return np.cbrt(np.minimum(light / bright, 2.2)).astype(np.float32)


def predict_maps(pictures: Sequence[np.ndarray], network: nn.Module, batch_size: int) -> list[np.ndarray]:
    """Probabilities of ``MAPS`` of nuclei, then of cells: (6, h, w) float32 for each picture (3, h, w) float32.

    In 16 bits on a GPU only: a CPU gains nothing from them.
    """
    device = next(network.parameters()).device

    def probabilities(batch: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            logits = network(batch).float()
        return torch.cat([part.softmax(1) for part in logits.split(len(MAPS), 1)], 1)

    return in_batches(pictures, probabilities, device, batch_size)


def _to_masks(
    maps: np.ndarray, shape: tuple[int, ...], px_per_um: float, params: UnetParams
) -> tuple[np.ndarray, np.ndarray]:
    nuclei, cells = (enlarge(labels, shape) for labels in read_maps(maps, px_per_um, params))
    cells = largest_parts(cells)
    nuclei[nuclei != cells] = 0
    nuclei, cells = in_raster_order(nuclei, cells)
    return nuclei.astype(np.uint16), cells.astype(np.uint16)
