"""Trains one fold's U-Net on the pseudo masks of the other folds' images.

python -m approaches.cam_seg.segment --recipe approaches/cam_seg/recipes/sccam_unet.yaml --fold 0 --images data/images
--fields data/fields --masks data/masks --folds data/folds.parquet --labels data/labels/cam_seg/sccam_unet.parquet
--classifier data/models/cam_seg/sccam_unet.classifiers/fold-0 --out data/models/cam_seg/sccam_unet/fold-0
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
    labels: Path,
    classifier: Path,
    out: Path,
    params: Path = Path("params.yaml"),
) -> None:
    """Train one fold's U-Net: --out gets model.safetensors, recipe.json, history.csv, and --classifier as a folder."""
    import shutil

    from approaches.cam_seg.asking import CLASSIFIER
    from approaches.cam_seg.learning import train_segmenter
    from approaches.cam_seg.recipe import Recipe
    from common.cells import KEYS
    from common.field_data import fold_parts
    from common.fields import FieldStore
    from common.image_table import read_images
    from common.labels.weak import image_targets
    from common.params import load_recipe, load_scale, load_section
    from common.quality import QualityParams, training_images
    from common.tables import read_folds, read_table
    from common.training_run import training_run

    settings = load_recipe(Recipe, recipe, load_scale(params))
    config = settings.model_dump(mode="json")
    inputs = (images / "images.parquet", folds, labels, fields / "index.parquet", fields / "params.json")
    with training_run("cam_seg", recipe.stem, fold, config, out, *inputs) as place:
        known, store = read_images(images), FieldStore(fields)
        chosen = known[training_images(known, load_section(QualityParams, params, "quality"))]
        parts = fold_parts(store, image_targets(chosen), read_folds(folds), fold)
        shutil.copytree(classifier, place.out / CLASSIFIER)
        painted_by = read_table(labels, KEYS, "the label stage of this approach")
        train_segmenter(settings, store, parts, masks, painted_by, place)


if __name__ == "__main__":
    run_stage(main)
