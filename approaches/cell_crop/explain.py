"""What ``hpa explain`` shows of this approach."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

from approaches.cell_crop.dataset import CellCrops
from approaches.cell_crop.origin import refuse_other_crops
from approaches.cell_crop.recipe import Recipe
from common.classes import CLASSES
from common.classifier import build_network
from common.crops import CropStore
from common.explaining import Explainable, Picture, last_features, view_colors
from common.trained import load_trained, read_recipe, trained_folds
from common.views import apply_view


def explainable(models: Path, data: Path) -> Explainable:
    """The first network of the first fold, shown each cell's crop."""
    folder, store = trained_folds(models)[0], CropStore(data / "crops")
    refuse_other_crops(folder, store.params)
    first = folder / read_recipe(folder, Recipe).parts[0].folder
    network, recipe = load_trained(first, Recipe, partial(build_network, pretrained=False))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    return Explainable(network, last_features(network.body), _crops(store, recipe, device))


def _crops(store: CropStore, recipe: Recipe, device: torch.device) -> Iterator[Picture]:
    view, rows = recipe.seen_at_the_end, np.arange(len(store))
    data = CellCrops(store, rows, np.zeros((len(rows), len(CLASSES))), recipe, view)
    for row in rows.tolist():
        cell = store.index.iloc[row]
        shown = view_colors(apply_view(*store.read(row), view), view.channels)
        mask = np.full(shown.shape[:2], cell["cell_id"])
        yield Picture(cell["image_id"], data[row][0].to(device), shown, mask, [int(cell["cell_id"])])
