"""Trains one fold of a recipe: a network that classifies whole images.

python -m approaches.image_level.train --recipe approaches/image_level/recipes/image_multilabel.yaml --fold 0
--images data/images --fields data/fields --folds data/folds.parquet
--out data/models/image_level/image_multilabel/fold-0
"""

from pathlib import Path

from common.commands import run_stage


def main(
    recipe: Path,
    fold: int,
    images: Path,
    fields: Path,
    folds: Path,
    out: Path,
    params: Path = Path("params.yaml"),
) -> None:
    """Train one fold of a recipe: --out gets model.safetensors, recipe.json and history.csv."""
    from approaches.image_level.learning import train_fold
    from approaches.image_level.recipe import Recipe
    from common.image_table import read_images
    from common.labels.weak import image_targets
    from common.params import load_recipe, load_scale, load_section
    from common.quality import QualityParams, training_images
    from common.tables import read_folds
    from common.training_run import training_run

    settings = load_recipe(Recipe, recipe, load_scale(params))
    config = settings.model_dump(mode="json")
    inputs = (images / "images.parquet", folds, fields / "index.parquet", fields / "params.json")
    with training_run("image_level", recipe.stem, fold, config, out, *inputs, level="images") as place:
        known = read_images(images)
        chosen = known[training_images(known, load_section(QualityParams, params, "quality"))]
        train_fold(settings, fold, fields, image_targets(chosen), read_folds(folds), place)


if __name__ == "__main__":
    run_stage(main)
