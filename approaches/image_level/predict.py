"""Predicts every image and every cell: training images out of fold, test images by the mean over folds.

python -m approaches.image_level.predict --models data/models/image_level/image_multilabel --images data/images
--fields data/fields --masks data/masks --cells data/cells.parquet --folds data/folds.parquet
--out data/predictions/image_level/image_multilabel --embeddings data/embeddings/image_level/image_multilabel
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from common.commands import run_stage

if TYPE_CHECKING:
    import pandas as pd

    from approaches.image_level.predicting import Found
    from common.predictions import Predictions


def main(
    models: Path,
    images: Path,
    fields: Path,
    masks: Path,
    cells: Path,
    folds: Path,
    out: Path,
    embeddings: Path,
) -> None:
    """Predict everything: --out gets {oof,test}.parquet and {oof,test}_images.parquet.

    --embeddings gets those of the training cells, out of fold, where the recipe publishes them; else it stays empty.
    """
    from approaches.image_level.predicting import predict_out_of_fold, predict_unseen
    from approaches.image_level.recipe import Recipe
    from common.cells import read_cells
    from common.costs import write_cost
    from common.field_data import Inputs
    from common.fields import FieldStore
    from common.files import atomic, exclusive
    from common.image_table import ids_of, read_images
    from common.params import system_values
    from common.publishing import finished, publish, with_skipped
    from common.tables import read_folds, read_skipped
    from common.tracking import tracked_run
    from common.trained import recipe_of, refuse_other_folds

    table, known, assigned = read_images(images), read_cells(cells), read_folds(folds)
    inputs, skipped = Inputs(FieldStore(fields), masks, known), read_skipped(fields)
    refuse_other_folds(models, set(assigned["fold"]))
    config = system_values("image_level", out.name, Path("params.yaml"))
    with exclusive(out), atomic(out) as part, tracked_run("image_level", out.name, "predict", config):
        part.mkdir()
        started = time.monotonic()
        steps = recipe_of(models, Recipe).postprocess
        found = predict_out_of_fold(models, inputs, assigned)
        oof = finished(found.predictions, known, steps)
        test = finished(predict_unseen(models, inputs, ids_of(table, "test")).predictions, known, steps)
        publish(part, oof, test, table, known, skipped)
        write_cost(part, time.monotonic() - started, len(oof.cells) + len(test.cells))
        embeddings.mkdir(parents=True, exist_ok=True)
        if found.embeddings is not None:
            train = known[known["image_id"].isin(ids_of(table, "train"))]
            _write_embeddings(embeddings, found, with_skipped(found.cells, train, skipped), assigned)


def _write_embeddings(folder: Path, found: "Found", cells: "pd.DataFrame", folds: "pd.DataFrame") -> None:
    """Those of ``found``, and zeros for what ``cells`` hold beyond them."""
    import numpy as np

    from common.labels.published import write_embeddings

    assert found.embeddings is not None
    keyed = cells.assign(fold=cells["image_id"].map(folds.set_index("image_id")["fold"]))
    values = np.zeros((len(cells), found.embeddings.shape[1]), np.float16)
    values[: len(found.embeddings)] = found.embeddings
    write_embeddings(folder, keyed, values)


def predict_new(models: Path, data: Path) -> "Predictions":
    """Predict all images of ``data``, a folder like data/ with images none of which was trained on.

    Raises:
        MissingWeightsError: ``models`` holds no trained fold.
    """
    from approaches.image_level.predicting import predict_unseen
    from approaches.image_level.recipe import Recipe
    from common.cells import read_cells
    from common.field_data import Inputs
    from common.fields import FieldStore
    from common.publishing import finished
    from common.trained import recipe_of

    store = FieldStore(data / "fields")
    inputs = Inputs(store, data / "masks", read_cells(data / "cells.parquet"))
    found = predict_unseen(models, inputs, set(store.index["image_id"]))
    return finished(found.predictions, inputs.cells, recipe_of(models, Recipe).postprocess)


if __name__ == "__main__":
    run_stage(main)
