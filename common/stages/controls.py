"""Writes the controls' predictions: class prior, and image labels copied to every cell.

python -m common.stages.controls --images data/images --cells data/cells.parquet --folds data/folds.parquet
--masks data/masks --truth data/truth --out data/controls
"""

from pathlib import Path

from common.commands import run_stage


def main(images: Path, cells: Path, folds: Path, masks: Path, truth: Path, out: Path) -> None:
    """Predict without learning: --out gets a folder a control, each with oof.parquet and test.parquet."""
    from common.cells import read_cells
    from common.controls import class_prior, image_labels, true_cells
    from common.files import atomic, exclusive
    from common.image_table import ids_of, read_images
    from common.predictions import write_predictions
    from common.tables import read_folds
    from common.truth import read_truth, truth_maps

    table, known, true = read_images(images), read_cells(cells), read_truth(truth)
    maps = truth_maps(sorted(true["image_id"].unique()), masks, truth / "masks")
    controls = {
        "prior": class_prior(table, known, read_folds(folds)),
        "image_labels": image_labels(table, known, true),
        "true_cells": true_cells(known, true, maps),
    }
    with exclusive(out), atomic(out) as part:
        for name, predictions in controls.items():
            for split, file in (("train", "oof"), ("test", "test")):
                ids = ids_of(table, split)
                chosen, wanted = (t[t["image_id"].isin(ids)] for t in (predictions, known))
                write_predictions(chosen, part / name / f"{file}.parquet", wanted)


if __name__ == "__main__":
    run_stage(main)
