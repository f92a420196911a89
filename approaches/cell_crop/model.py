"""The network of a recipe, and its trained form on disk: ``model.safetensors`` beside the ``recipe.json`` it needs."""

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from approaches.cell_crop.recipe import Recipe
from common.backbones import build_classifier
from common.classes import CLASSES
from common.crops import CropParams
from common.errors import DataError, MissingWeightsError, ParamsError
from common.params import build


def build_network(recipe: Recipe) -> nn.Module:
    """(B, channels, size, size) -> (B, classes) logits."""
    return build_classifier(recipe.backbone, len(recipe.view.channels), len(CLASSES))


def save_model(folder: Path, network: nn.Module, recipe: Recipe, crops: CropParams) -> None:
    """Write the trained network, its recipe at the scale it was trained at, and how its crops were cut."""
    (folder / "crops.json").write_text(crops.model_dump_json() + "\n")
    save_file(network.state_dict(), folder / "model.safetensors")
    (folder / "recipe.json").write_text(recipe.model_dump_json(indent=1) + "\n")


def load_model(folder: Path) -> tuple[nn.Module, Recipe]:
    """Read what ``save_model`` wrote.

    Raises:
        MissingWeightsError: there is no trained model.
        DataError: the weights are damaged or of another network.
    """
    weights, settings = folder / "model.safetensors", folder / "recipe.json"
    if not (weights.is_file() and settings.is_file()):
        raise MissingWeightsError(
            f"{folder}: holds no trained model; run: dvc repro approaches/cell_crop/dvc.yaml"
        )
    recipe = build(Recipe, json.loads(settings.read_text()), str(settings))
    untrained = recipe.backbone.model_copy(update={"pretrained": False})
    network = build_network(recipe.model_copy(update={"backbone": untrained}))
    try:
        network.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise DataError(
            f"{weights}: does not fit its recipe ({str(error)[:200]}); train this fold again"
        ) from None
    return network, recipe


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


def refuse_other_folds(models: Path, folds: set[int]) -> None:
    """Refuse models of folds that are no more, which would otherwise be averaged in.

    Raises:
        DataError: names them.
    """
    if others := [
        path for path in sorted(models.glob("fold-*")) if path.name not in {f"fold-{k}" for k in folds}
    ]:
        raise DataError(f"{others[0]}: is of a fold that is not in data/folds.parquet; delete that folder")


def trained_folds(models: Path) -> list[Path]:
    """The fold folders of a recipe's models.

    Raises:
        MissingWeightsError: there is none.
    """
    folds = sorted(models.glob("fold-*"))
    if not folds:
        raise MissingWeightsError(
            f"{models}: holds no trained fold; run: dvc repro approaches/cell_crop/dvc.yaml"
        )
    return folds
