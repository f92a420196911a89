"""Predicts every image and every cell: training images out of fold, test images by all folds.

python -m approaches.cam_seg.predict --models data/models/cam_seg/sccam_unet --images data/images --fields data/fields
--masks data/masks --cells data/cells.parquet --folds data/folds.parquet --out data/predictions/cam_seg/sccam_unet
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from common.commands import run_stage

if TYPE_CHECKING:
    from common.predictions import Predictions


def main(models: Path, images: Path, fields: Path, masks: Path, cells: Path, folds: Path, out: Path) -> None:
    """Predict everything: --out gets {oof,test}.parquet and {oof,test}_images.parquet."""
    from approaches.cam_seg.predicting import predict_out_of_fold, predict_unseen
    from approaches.cam_seg.recipe import Recipe
    from common.cells import read_cells
    from common.costs import write_cost
    from common.field_data import Inputs
    from common.fields import FieldStore
    from common.files import atomic, exclusive
    from common.image_table import ids_of, read_images
    from common.params import system_values
    from common.publishing import finished, publish
    from common.tables import read_folds, read_skipped
    from common.tracking import tracked_run
    from common.trained import recipe_of, refuse_other_folds

    table, known, assigned = read_images(images), read_cells(cells), read_folds(folds)
    inputs = Inputs(FieldStore(fields), masks, known)
    refuse_other_folds(models, set(assigned["fold"]))
    config = system_values("cam_seg", out.name, Path("params.yaml"))
    with exclusive(out), atomic(out) as part, tracked_run("cam_seg", out.name, "predict", config):
        part.mkdir()
        started = time.monotonic()
        steps = recipe_of(models, Recipe).postprocess
        oof = finished(predict_out_of_fold(models, inputs, assigned), known, steps)
        test = finished(predict_unseen(models, inputs, ids_of(table, "test")), known, steps)
        publish(part, oof, test, table, known, read_skipped(fields))
        write_cost(part, time.monotonic() - started, len(oof.cells) + len(test.cells))


def predict_new(models: Path, data: Path) -> "Predictions":
    """Predict all images of ``data``, a folder like data/ with images none of which was trained on.

    Raises:
        MissingWeightsError: ``models`` holds no trained fold, or one without its U-Net.
    """
    from approaches.cam_seg.predicting import predict_unseen
    from approaches.cam_seg.recipe import Recipe
    from common.cells import read_cells
    from common.field_data import Inputs
    from common.fields import FieldStore
    from common.publishing import finished
    from common.trained import recipe_of

    store = FieldStore(data / "fields")
    inputs = Inputs(store, data / "masks", read_cells(data / "cells.parquet"))
    found = predict_unseen(models, inputs, set(store.index["image_id"]))
    return finished(found, inputs.cells, recipe_of(models, Recipe).postprocess)


if __name__ == "__main__":
    run_stage(main)
