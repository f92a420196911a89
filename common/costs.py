"""What a system costs: seconds of training, megabytes of models, cells predicted in a second."""

import json
from pathlib import Path

FILE = "cost.json"


def write_cost(folder: Path, seconds: float, cells: int = 0) -> None:
    """Note in ``folder`` how long its making took (since the last break), and how many cells it predicts."""
    (folder / FILE).write_text(json.dumps({"seconds": round(seconds, 1), "cells": cells}) + "\n")


def read_costs(models: Path, predictions: Path) -> dict[str, float]:
    """``train_s`` and ``model_mb`` of all folds, and ``cells_per_s``; without what nobody noted.

    Args:
        models: the folder of what predicts; earlier trainings, ``<recipe>.<step>`` beside it, took their time, too.
        predictions: the folder of its predictions, out of fold and test.
    """
    folders = [models, *sorted(models.parent.glob(f"{models.name}.*"))]
    trained = [json.loads(path.read_text()) for folder in folders for path in folder.rglob(FILE)]
    weights = [path.stat().st_size for path in models.rglob("*.safetensors")]
    found: dict[str, float] = {}
    if trained:
        found["train_s"] = round(sum(cost["seconds"] for cost in trained), 1)
    if weights:
        found["model_mb"] = round(sum(weights) / 1e6, 1)
    if (noted := predictions / FILE).exists() and (cost := json.loads(noted.read_text()))["seconds"] > 0:
        found["cells_per_s"] = round(cost["cells"] / cost["seconds"], 1)
    return found
