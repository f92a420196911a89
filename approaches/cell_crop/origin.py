"""What a network comes from: crops that were cut in one way, and the weights that its training started with."""

import json
from pathlib import Path

from approaches.cell_crop.recipe import Recipe
from common.crops import CropParams
from common.errors import ParamsError
from common.params import build


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


def find_start(recipe: Recipe, fold: int, models: Path | None) -> Path | None:
    """The trained fold from which a recipe starts: that of the same number, which never saw its images' groups.

    Raises:
        ParamsError: the stage was run without the folder of models, so that DVC would not see it change; or with it
            in vain.
    """
    if (recipe.start_from is None) != (models is None):
        found = "without" if models is None else "with"
        raise ParamsError(
            f"start_from is {recipe.start_from}, and the stage was run {found} --models; mend the stage or the recipe"
        )
    return models / recipe.start_from / f"fold-{fold}" if models and recipe.start_from else None
