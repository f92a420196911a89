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
    from common.image_table import read_images
    from common.params import system_values
    from common.postprocess import postprocess
    from common.predictions import with_skipped, write_predictions
    from common.tables import read_folds, read_skipped
    from common.tracking import tracked_run
    from common.trained import recipe_of, refuse_other_folds

    table, known = read_images(images), read_cells(cells)
    parts = {split: set(table.loc[table["split"] == split, "image_id"]) for split in ("train", "test")}
    config = system_values("cell_crop", out.name, Path("params.yaml"))
    with exclusive(out), atomic(out) as part, tracked_run("cell_crop", out.name, "predict", config):
        part.mkdir()
        started = time.monotonic()
        assigned = read_folds(folds)
        refuse_other_folds(models, set(assigned["fold"]))
        steps = recipe_of(models, Recipe).postprocess
        oof = predict_out_of_fold(models, crops, assigned)
        test = predict_unseen(models, crops, parts["test"])
        for split, name, found in (("train", "oof", oof), ("test", "test", test)):
            wanted = known[known["image_id"].isin(parts[split])]
            finished = with_skipped(postprocess(found, known, steps), wanted, read_skipped(crops))
            write_predictions(finished, part / f"{name}.parquet", wanted)
        write_cost(part, time.monotonic() - started, len(oof) + len(test))


def predict_new(models: Path, data: Path) -> "Predictions":
    """Predict all cells of ``data``, a folder like data/ with images none of which was trained on.

    Raises:
        MissingWeightsError: ``models`` holds no trained fold.
    """
    from approaches.cell_crop.predicting import predict_unseen
    from approaches.cell_crop.recipe import Recipe
    from common.cells import read_cells
    from common.postprocess import postprocess
    from common.predictions import Predictions
    from common.trained import recipe_of

    found = predict_unseen(models, data / "crops")
    steps = recipe_of(models, Recipe).postprocess
    return Predictions(postprocess(found, read_cells(data / "cells.parquet"), steps))


if __name__ == "__main__":
    run_stage(main)
