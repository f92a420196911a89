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
    import numpy as np

    from approaches.image_level.predicting import predict_out_of_fold, predict_unseen
    from approaches.image_level.recipe import Recipe
    from common.cells import KEYS, read_cells
    from common.costs import write_cost
    from common.field_data import Inputs
    from common.fields import FieldStore
    from common.files import atomic, exclusive
    from common.image_table import read_images
    from common.labels.published import write_embeddings
    from common.params import system_values
    from common.predictions import (
        with_skipped,
        with_skipped_images,
        write_image_predictions,
        write_predictions,
    )
    from common.tables import read_folds, read_skipped
    from common.tracking import tracked_run
    from common.trained import recipe_of, refuse_other_folds

    table, known, assigned = read_images(images), read_cells(cells), read_folds(folds)
    inputs, skipped = Inputs(FieldStore(fields), masks, known), read_skipped(fields)
    parts = {split: set(table.loc[table["split"] == split, "image_id"]) for split in ("train", "test")}
    refuse_other_folds(models, set(assigned["fold"]))
    config = system_values("image_level", out.name, Path("params.yaml"))
    with exclusive(out), atomic(out) as part, tracked_run("image_level", out.name, "predict", config):
        part.mkdir()
        started = time.monotonic()
        steps = recipe_of(models, Recipe).postprocess
        oof = predict_out_of_fold(models, inputs, assigned).postprocessed(known, steps)
        test = predict_unseen(models, inputs, parts["test"]).postprocessed(known, steps)
        for split, name, found in (("train", "oof", oof), ("test", "test", test)):
            wanted = known[known["image_id"].isin(parts[split])]
            write_predictions(with_skipped(found.cells, wanted, skipped), part / f"{name}.parquet", wanted)
            images_found = with_skipped_images(found.images, parts[split] & skipped)
            write_image_predictions(images_found, part / f"{name}_images.parquet", sorted(parts[split]))
        write_cost(part, time.monotonic() - started, len(oof.cells) + len(test.cells))
        embeddings.mkdir(parents=True, exist_ok=True)
        if oof.embeddings is not None:
            fold_of = assigned.set_index("image_id")["fold"]
            keyed = with_skipped(oof.cells, known[known["image_id"].isin(parts["train"])], skipped)[KEYS]
            values = np.zeros((len(keyed), oof.embeddings.shape[1]), np.float16)
            values[: len(oof.embeddings)] = oof.embeddings
            write_embeddings(embeddings, keyed.assign(fold=keyed["image_id"].map(fold_of)), values)


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
    from common.predictions import Predictions
    from common.trained import recipe_of

    store = FieldStore(data / "fields")
    inputs = Inputs(store, data / "masks", read_cells(data / "cells.parquet"))
    found = predict_unseen(models, inputs, set(store.index["image_id"]))
    found = found.postprocessed(inputs.cells, recipe_of(models, Recipe).postprocess)
    return Predictions(found.cells, found.images)


if __name__ == "__main__":
    run_stage(main)
