"""Predicts every cell: training cells out of fold, test cells by the mean over folds.

python -m approaches.cell_crop.predict --models data/models/cell_crop/effb2_cell --images data/images
--cells data/cells.parquet --crops data/crops --folds data/folds.parquet --out data/predictions/cell_crop/effb2_cell
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from common.commands import run_stage

if TYPE_CHECKING:
    from common.predictions import Predictions


def main(models: Path, images: Path, cells: Path, crops: Path, folds: Path, out: Path) -> None:
    """Predict every cell: --out gets oof.parquet and test.parquet."""
    from approaches.cell_crop.predicting import predict_out_of_fold, predict_unseen
    from approaches.cell_crop.recipe import Recipe
    from common.cells import read_cells
    from common.costs import write_cost
    from common.files import atomic, exclusive
    from common.image_table import ids_of, read_images
    from common.params import system_values
    from common.predictions import Predictions
    from common.publishing import finished, publish
    from common.tables import read_folds, read_skipped
    from common.tracking import tracked_run
    from common.trained import recipe_of, refuse_other_folds

    table, known, assigned = read_images(images), read_cells(cells), read_folds(folds)
    refuse_other_folds(models, set(assigned["fold"]))
    config = system_values("cell_crop", out.name, Path("params.yaml"))
    with exclusive(out), atomic(out) as part, tracked_run("cell_crop", out.name, "predict", config):
        part.mkdir()
        started = time.monotonic()
        steps = recipe_of(models, Recipe).postprocess
        oof = finished(Predictions(predict_out_of_fold(models, crops, assigned)), known, steps)
        test = finished(Predictions(predict_unseen(models, crops, ids_of(table, "test"))), known, steps)
        publish(part, oof, test, table, known, read_skipped(crops))
        write_cost(part, time.monotonic() - started, len(oof.cells) + len(test.cells))


def predict_new(models: Path, data: Path) -> "Predictions":
    """Predict all cells of ``data``, a folder like data/ with images none of which was trained on.

    Raises:
        MissingWeightsError: ``models`` holds no trained fold.
    """
    from approaches.cell_crop.predicting import predict_unseen
    from approaches.cell_crop.recipe import Recipe
    from common.cells import read_cells
    from common.predictions import Predictions
    from common.publishing import finished
    from common.trained import recipe_of

    found = Predictions(predict_unseen(models, data / "crops"))
    return finished(found, read_cells(data / "cells.parquet"), recipe_of(models, Recipe).postprocess)


if __name__ == "__main__":
    run_stage(main)
