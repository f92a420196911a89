"""Runs a trained network over a data set."""

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from common.errors import ParamsError
from common.progress import track
from common.tta import predict_with

N = TypeVar("N", bound=nn.Module)
WITHOUT_GRADIENTS = 4
"""So many times the batch of the training: nothing is kept for a way back, and small pictures go by a fifth faster."""
HALF = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}


def predict(
    network: nn.Module,
    data: Dataset[Any],
    batch_size: int,
    views: Sequence[str] = ("identity",),
    precision: str = "32-true",
    black: float | Tensor = 0.0,
) -> np.ndarray:
    """Probabilities of every item, the mean over ``views``: (N, classes) float32.

    Args:
        data: pixels as uint8, which the network sees in [0, 1], or as it wants them.
        batch_size: that of the training; ``WITHOUT_GRADIENTS`` times as many items are seen at once.
        precision: that of the training, see ``half_precision``.
        black: as in ``tta.see``.
    """
    network, device = make_ready(network)
    batches = DataLoader(data, WITHOUT_GRADIENTS * batch_size, **loader_options())
    found = []
    with torch.inference_mode(), half_precision(device, precision):
        for pixels, *_ in track(batches, len(batches), "prediction"):
            found.append(predict_with(views, network, in_unit(pixels.to(device)), black).cpu().numpy())
    return np.concatenate(found)


def in_unit(pixels: Tensor) -> Tensor:
    """uint8 pixels in [0, 1]; floats as they are."""
    return pixels if pixels.is_floating_point() else pixels.float() / 255


def make_ready(network: N, channels_last: bool = False) -> tuple[N, torch.device]:
    """Bring a trained network, in its layout, to the device that predicts; returns both."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layout = torch.channels_last if channels_last else torch.preserve_format
    return network.to(device).to(memory_format=layout).eval(), device  # type: ignore[call-overload]


def half_precision(device: torch.device, precision: str) -> torch.autocast:
    """The precision of the training, in prediction: float16 on a GPU alone, bfloat16 everywhere."""
    enabled = precision == "bf16-mixed" or (precision in HALF and device.type == "cuda")
    return torch.autocast(device.type, HALF.get(precision), enabled=enabled)


def loader_options() -> dict[str, Any]:
    """Where a GPU waits, processes feed it; on a CPU they would only take its cores. ``HPA_LOADERS`` is their number.

    Raises:
        ParamsError: ``HPA_LOADERS`` is no number.
    """
    gpu = torch.cuda.is_available()
    given = os.environ.get("HPA_LOADERS") or str(min(8, os.cpu_count() or 1) if gpu else 0)
    if not given.isdecimal():
        raise ParamsError(f"HPA_LOADERS is {given!r}, expected a whole number from 0")
    return {"num_workers": int(given), "pin_memory": gpu, "persistent_workers": int(given) > 0}
