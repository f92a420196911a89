"""What better labels are worth: one network, taught seven kinds of labels, on the pipeline's data.

    python -m benchmarks.label_sources [--data data] [--size 48] [--epochs 8] [--seeds 0 1] [--kinds image truth]

The training cells of a demo run are labelled like their image, by out-of-fold pseudo labels, by the values that de-
noising gives those, by pseudo labels with the cells that it finds and those mined, by these and a rater's scores of
5 % of the cells (the truth, attached by place), by pseudo labels fitted to these scores, and by the truth of all. A
resnet18 from scratch sees crops of --size px and predicts the test cells; the board's metric judges it. `closes` is the
part of the gap between image labels and truth. Needs the predictions of `cell_crop/effb2_cell` and the embeddings of
`image_level/denoise_densenet_image`.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.special import expit

from benchmarks.simulator_learning import VIEW, train_and_predict
from common.cells import KEYS, read_cells
from common.classes import CLASSES, PROBABILITIES
from common.crops import CropStore
from common.evaluation import Result, evaluate_maps
from common.image_table import read_images
from common.labels.build import build_labels, read_sources
from common.labels.sources import Known
from common.metrics.ranking import cell_average_precision
from common.negative_class import with_negative
from common.truth import read_truth, truth_maps
from common.views import apply_view

PUPIL, LOOKS = "cell_crop/effb2_cell", "image_level/denoise_densenet_image"
SCORED = 0.05
PSEUDO: dict[str, object] = {"kind": "pseudo", "system": PUPIL, "labelled_only": True, "relative": True}
DENOISE: dict[str, object] = {"kind": "denoise", "system": LOOKS, "labelled_only": True}
SMOOTHED: dict[str, object] = DENOISE | {"use": ["denoised"]}
MINED: list[object] = [
    DENOISE | {"use": ["candidates"]},
    DENOISE | {"use": ["neighbours"], "name": "mined", "classes": [11]},
]
"""As published: de-noising finds cells, its values are no labels."""


def kinds_of_labels(scores: Path) -> dict[str, list[object]]:
    """The lists of sources; where people scored cells, pseudo labels are fitted to them."""
    people: object = {
        "kind": "scores",
        "file": str(scores),
        "classes": list(range(len(CLASSES))),
        "map": {0: 0, 5: 1},
    }
    fitted: object = PSEUDO | {"relative": False, "fitted_to": ["scores"]}
    return {
        "image": ["image"],
        "pseudo": ["image", PSEUDO],
        "smoothed": ["image", PSEUDO, SMOOTHED],
        "denoised": ["image", PSEUDO, *MINED],
        "scored": ["image", PSEUDO, *MINED, people],
        "fitted": ["image", people, fitted],
    }


def write_scores(cells: pd.DataFrame, truth: np.ndarray, out: Path) -> None:
    """A rater's scores of ``SCORED`` of the cells: 5 for what a cell shows, 0 for what it does not, by place."""
    rows = np.random.default_rng(0).choice(len(cells), round(SCORED * len(cells)), replace=False)
    scored = cells.iloc[rows]
    wide = pd.DataFrame(truth[rows] * 5, columns=range(len(CLASSES))).astype(int)
    keys = {"ID": scored["image_id"], "y": scored["centroid_y"], "x": scored["centroid_x"]}
    wide = pd.concat([pd.DataFrame(keys).reset_index(drop=True), wide], axis=1)
    wide.melt(["ID", "y", "x"], var_name="class", value_name="score").to_csv(out, index=False)


def pixels_of(store: CropStore, cells: pd.DataFrame, size: int) -> torch.Tensor:
    """(N, 4, size, size) uint8 of ``cells``."""
    view = VIEW.model_copy(update={"size_px": size})
    rows = cells[KEYS].merge(store.index[KEYS].reset_index(), on=KEYS, how="left", validate="one_to_one")
    crops = [apply_view(*store.read(int(row)), view) for row in rows["index"]]
    return torch.from_numpy(np.stack(crops).transpose(0, 3, 1, 2).copy())


class Field:
    """The pipeline's data: cells of both parts with their pixels and truth."""

    def __init__(self, data: Path, size: int) -> None:
        self.data, self.images = data, read_images(data / "images")
        self.cells = read_cells(data / "cells.parquet")
        split = self.cells["image_id"].map(self.images.set_index("image_id")["split"])
        self.train, self.test = (
            self.cells[split == part].reset_index(drop=True) for part in ("train", "test")
        )
        store = CropStore(data / "crops")
        self.seen, self.unseen = (pixels_of(store, cells, size) for cells in (self.train, self.test))
        self.true = read_truth(data / "truth")
        self.shown, self.shown_test = (
            self._truth_of(cells, name) for cells, name in ((self.train, "oof"), (self.test, "test"))
        )

    def _truth_of(self, cells: pd.DataFrame, name: str) -> np.ndarray:
        table = pd.read_parquet(self.data / f"controls/true_cells/{name}.parquet")
        return cells[KEYS].merge(table, on=KEYS, how="left")[list(PROBABILITIES)].to_numpy()

    def labels(self) -> dict[str, np.ndarray]:
        """(N, 19) of the training cells, by kind."""
        names = ("masks", "predictions", "embeddings")
        folders: dict[str, Path | None] = {name: self.data / name for name in names}
        known, found = Known(self.images, self.cells, folders), {}
        with tempfile.TemporaryDirectory() as scratch:
            scores = Path(scratch) / "scores.csv"
            write_scores(self.train, self.shown, scores)
            for name, sources in kinds_of_labels(scores).items():
                found[name] = build_labels(read_sources(sources, name), self.train, known).values
        return found | {"truth": self.shown}

    def evaluate(self, probabilities: np.ndarray) -> Result:
        """The board's judgement of (M, 19) test probabilities."""
        values = with_negative(probabilities.astype(np.float32), "one_minus_max")
        table = pd.concat([self.test[KEYS], pd.DataFrame(values, columns=list(PROBABILITIES))], axis=1)
        ids = sorted(set(self.true["image_id"]) & set(self.test["image_id"]))
        maps = truth_maps(ids, self.data / "masks", self.data / "truth/masks")
        return evaluate_maps(maps, table, self.true[self.true["image_id"].isin(ids)], "mask_all")


def main(data: Path, size: int, epochs: int, seeds: list[int], kinds: list[str] | None) -> None:
    """Print a row a kind of labels: how good they are themselves, and what a network makes of them."""
    field = Field(data, size)
    print(f"{'labels':<10}{'own AP':>8}{'test mAP by seed':>24}{'mean':>8}{'CPU s':>8}")
    means: dict[str, float] = {}
    for name, values in field.labels().items():
        if kinds and name not in kinds:
            continue
        start, targets = time.process_time(), torch.from_numpy(values.astype(np.float32))
        found = [
            field.evaluate(expit(train_and_predict(field.seen, targets, field.unseen, epochs, seed))).mAP
            for seed in seeds
        ]
        means[name] = float(np.mean(found))
        own, seconds = cell_average_precision(values, field.shown)[0], time.process_time() - start
        by_seed = " ".join(f"{each:.3f}" for each in found)
        print(f"{name:<10}{own:>8.3f}{by_seed:>24}{means[name]:>8.3f}{seconds:>8.0f}", flush=True)
    if {"image", "truth"} <= set(means):
        gap = means["truth"] - means["image"]
        for name, mean in means.items():
            print(f"{name:<10} closes {(mean - means['image']) / gap:>6.0%} of the gap")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--size", type=int, default=48, help="of the crops, in pixels")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--kinds", nargs="+", help="of labels; without it all seven")
    options = parser.parse_args()
    torch.set_num_threads(1)
    main(options.data, options.size, options.epochs, options.seeds, options.kinds)
