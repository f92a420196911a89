"""From image to cell, four ways: the scorers of `image_level` beside each other, on cells whose truth is known.

python -m benchmarks.cell_scorers [--models data/models/image_level] [--data data]

The trained folds of each recipe score the test images by each way, under the recipe's own views; the mean over folds is
compared with the truth. `image` copies the image's probability to all cells: what looking at cells adds to.
"""

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path

import pandas as pd

from approaches.image_level.predicting import predict_unseen
from approaches.image_level.recipe import Recipe
from approaches.image_level.scorers import SCORERS
from common.cells import KEYS, read_cells
from common.classes import PROBABILITIES
from common.field_data import Inputs
from common.fields import FieldStore
from common.image_table import read_images
from common.publishing import finished
from common.scoring import Guess, score_part
from common.trained import recipe_of
from common.truth import read_truth


def with_scorer(models: Path, scorer: str, out: Path) -> Path:
    """Copy a recipe's folds, told to score cells in another way."""
    shutil.copytree(models, out / scorer)
    for path in (out / scorer).glob("fold-*/recipe.json"):
        recipe = json.loads(path.read_text())
        recipe["cells"]["scorer"] = scorer
        path.write_text(json.dumps(recipe))
    return out / scorer


def main(models: Path, data: Path) -> None:
    """Print a row a recipe and scorer."""
    images, truth = read_images(data / "images"), read_truth(data / "truth")
    test = images[images["split"] == "test"]
    cells = read_cells(data / "cells.parquet")
    inputs = Inputs(FieldStore(data / "fields"), data / "masks", cells)
    print(f"{'recipe':<26}{'scorer':<8}{'mAP':>7}{'mask_gt':>9}{'seconds':>9}")

    def report(recipe: str, scorer: str, table: pd.DataFrame, seconds: float) -> None:
        scored = score_part(Guess(table, data / "masks"), test, truth, data / "truth/masks", 0.5)
        assert scored is not None
        found = scored["competition"]
        print(f"{recipe:<26}{scorer:<8}{found['mAP']:>7.3f}{found['mAP_mask_gt']:>9.3f}{seconds:>9.1f}")

    for folder in sorted(path for path in models.iterdir() if path.is_dir()):
        with tempfile.TemporaryDirectory() as scratch:
            for scorer in SCORERS:
                copied = with_scorer(folder, scorer, Path(scratch))
                start = time.monotonic()
                rule = recipe_of(copied, Recipe).postprocess
                raw = predict_unseen(copied, inputs, set(test["image_id"])).predictions
                found = finished(raw, cells, rule)
                report(folder.name, scorer, found.cells, time.monotonic() - start)
        assert found.images is not None
        alike = found.cells[KEYS].merge(found.images, on="image_id")
        report(folder.name, "image", alike[[*KEYS, *PROBABILITIES]], 0.0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("data/models/image_level"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    options = parser.parse_args()
    main(options.models, options.data)
