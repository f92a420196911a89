"""The network of a recipe, and how the crops were cut that it was trained on."""

import json
from pathlib import Path

from torch import nn

from approaches.cell_crop.recipe import Recipe
from common.backbones import build_classifier
from common.classes import CLASSES
from common.crops import CropParams
from common.errors import ParamsError
from common.params import build


def build_network(recipe: Recipe, pretrained: bool = True) -> nn.Module:
    """(B, channels, size, size) -> (B, classes) logits; not ``pretrained``: with random weights, to be loaded."""
    wanted = recipe.backbone.model_copy(update={"pretrained": recipe.backbone.pretrained and pretrained})
    return build_classifier(wanted, len(recipe.view.channels), len(CLASSES))


def note_crops(folder: Path, crops: CropParams) -> None:
    """Write how the crops of a training were cut."""
    (folder / "crops.json").write_text(crops.model_dump_json() + "\n")


def refuse_other_crops(folder: Path, crops: CropParams) -> None:
    """Refuse to predict crops that were cut in another way than those of the training.

    Raises:
        ParamsError: names both ways.
    """
    trained = build(CropParams, json.loads((folder / "crops.json").read_text()), str(folder / "crops.json"))
    if (trained.field_px, trained.bit_depth) != (crops.field_px, crops.bit_depth):
        kinds = [f"field_px={each.field_px} bit_depth={each.bit_depth}" for each in (trained, crops)]
        raise ParamsError(
            f"{folder}: was trained on crops with {kinds[0]}, these have {kinds[1]}; use the same crops"
        )
