"""Writes the controls' predictions: class prior, and image labels copied to every cell.

python -m common.stages.controls --images data/images --cells data/cells.parquet --folds data/folds.parquet
--truth data/truth --out data/controls
"""

from pathlib import Path

from common.commands import run_stage


def main(images: Path, cells: Path, folds: Path, truth: Path, out: Path) -> None:
    """Predict without learning: --out gets prior/ and image_labels/, each with oof.parquet and test.parquet."""
    from common.cells import read_cells
    from common.controls import class_prior, image_labels
    from common.files import atomic, exclusive
    from common.image_table import read_images
    from common.predictions import write_predictions
    from common.tables import read_folds
    from common.truth import read_truth

    table, known = read_images(images), read_cells(cells)
    controls = {
        "prior": class_prior(table, known, read_folds(folds)),
        "image_labels": image_labels(table, known, read_truth(truth)),
    }
    with exclusive(out), atomic(out) as part:
        for name, predictions in controls.items():
            for split, file in (("train", "oof"), ("test", "test")):
                ids = set(table.loc[table["split"] == split, "image_id"])
                chosen, wanted = (t[t["image_id"].isin(ids)] for t in (predictions, known))
                write_predictions(chosen, part / name / f"{file}.parquet", wanted)


if __name__ == "__main__":
    run_stage(main)
