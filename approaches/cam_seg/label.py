"""Labels the cells of training images by the maps of the classifiers: what pseudo masks are painted by.

python -m approaches.cam_seg.label --models data/models/cam_seg/sccam_unet.classifiers --images data/images
--fields data/fields --masks data/masks --cells data/cells.parquet --folds data/folds.parquet
--maps data/labels/cam_seg/sccam_unet.maps
--out data/labels/cam_seg/sccam_unet.parquet
"""

from pathlib import Path

from common.commands import run_stage


def main(
    models: Path,
    images: Path,
    fields: Path,
    masks: Path,
    cells: Path,
    folds: Path,
    maps: Path,
    out: Path,
    params: Path = Path("params.yaml"),
) -> None:
    """Label cells by maps: --out gets a labels table, --maps the maps of all labelled training images."""
    from approaches.cam_seg.labelling import label_images
    from common.cells import read_cells
    from common.field_data import Inputs
    from common.fields import FieldStore
    from common.files import atomic, exclusive
    from common.image_table import read_images
    from common.labels.weak import image_targets
    from common.params import load_section
    from common.quality import QualityParams, training_images
    from common.tables import read_folds
    from common.trained import refuse_other_folds

    known, assigned = read_images(images), read_folds(folds)
    chosen = known[training_images(known, load_section(QualityParams, params, "quality"))]
    refuse_other_folds(models, set(assigned["fold"]))
    inputs = Inputs(FieldStore(fields), masks, read_cells(cells))
    with exclusive(maps), atomic(out) as table, atomic(maps) as folder:
        labels = label_images(models, inputs, image_targets(chosen), assigned, folder)
        labels.to_parquet(table, index=False)


if __name__ == "__main__":
    run_stage(main)
