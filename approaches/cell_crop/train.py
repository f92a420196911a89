"""Trains one fold of a recipe: a network that classifies cells one by one, from the labels of their images.

python -m approaches.cell_crop.train --recipe approaches/cell_crop/recipes/effb2_cell.yaml --fold 0
--crops data/crops --labels data/labels/cell_crop/effb2_cell.parquet --folds data/folds.parquet
--out data/models/cell_crop/effb2_cell/fold-0
"""

from pathlib import Path

from common.commands import run_stage


def main(
    recipe: Path,
    fold: int,
    crops: Path,
    labels: Path,
    folds: Path,
    out: Path,
    models: Path | None = None,
    params: Path = Path("params.yaml"),
) -> None:
    """Train one fold of a recipe: --out gets model.safetensors, recipe.json and history.csv.

    A recipe that starts from the weights of another system needs --models.
    """
    from approaches.cell_crop.learning import train_fold
    from approaches.cell_crop.origin import find_start
    from approaches.cell_crop.recipe import Recipe
    from common.cells import KEYS
    from common.classes import PROBABILITIES
    from common.params import load_recipe, load_scale
    from common.tables import read_folds, read_table
    from common.training_run import training_run

    settings = load_recipe(Recipe, recipe, load_scale(params))
    config = settings.model_dump(mode="json")
    start = find_start(settings, fold, models)
    inputs = [labels, folds, crops / "index.parquet", crops / "params.json"]
    inputs += [start / "model.safetensors"] if start else []
    with training_run("cell_crop", recipe.stem, fold, config, out, *inputs, level="cells") as place:
        known = read_table(labels, [*KEYS, *PROBABILITIES], "the labels stage of this approach")
        train_fold(settings, fold, crops, known, read_folds(folds), place, start)


if __name__ == "__main__":
    run_stage(main)
