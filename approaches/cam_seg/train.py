"""Trains one fold's classifier: round 0, sub-categories, round 1.

python -m approaches.cam_seg.train --recipe approaches/cam_seg/recipes/sccam_unet.yaml --fold 0 --images data/images
--fields data/fields --masks data/masks --folds data/folds.parquet
--out data/models/cam_seg/sccam_unet.classifiers/fold-0
"""

from pathlib import Path

from common.commands import run_stage


def main(
    recipe: Path,
    fold: int,
    images: Path,
    fields: Path,
    masks: Path,
    folds: Path,
    out: Path,
    params: Path = Path("params.yaml"),
) -> None:
    """Train one fold's classifier: --out gets model, recipe.json, history.csv and subcategories.safetensors."""
    from approaches.cam_seg.learning import train_classifier
    from approaches.cam_seg.recipe import Recipe
    from common.field_data import fold_parts
    from common.fields import FieldStore
    from common.image_table import read_images
    from common.labels.weak import image_targets
    from common.params import load_recipe, load_scale, load_section
    from common.quality import QualityParams, training_images
    from common.tables import read_folds
    from common.training_run import training_run

    settings = load_recipe(Recipe, recipe, load_scale(params))
    config = settings.model_dump(mode="json")
    inputs = (images / "images.parquet", folds, fields / "index.parquet", fields / "params.json")
    with training_run("cam_seg", recipe.stem, fold, config, out, *inputs) as place:
        known, store = read_images(images), FieldStore(fields)
        chosen = known[training_images(known, load_section(QualityParams, params, "quality"))]
        parts = fold_parts(store, image_targets(chosen), read_folds(folds), fold)
        train_classifier(settings, store, parts, masks, place)


if __name__ == "__main__":
    run_stage(main)
