"""Runs a trained network over a data set."""

import os
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from common.progress import track


def predict(network: nn.Module, data: Dataset[Any], batch_size: int) -> np.ndarray:
    """Probabilities of every item: (N, classes) float32."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    with torch.inference_mode():
        batches = DataLoader(data, batch_size, **loader_options())
        found = [
            network(pixels.to(device)).float().sigmoid().cpu().numpy()
            for pixels, *_ in track(batches, len(batches), "prediction")
        ]
    return np.concatenate(found)


def loader_options() -> dict[str, Any]:
    """Where a GPU waits, processes feed it; on a CPU they would only take its cores."""
    if not torch.cuda.is_available():
        return {}
    return {"num_workers": min(8, os.cpu_count() or 1), "pin_memory": True, "persistent_workers": True}
