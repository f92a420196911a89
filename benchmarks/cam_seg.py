"""What each part of `cam_seg` adds, on test images whose cells are known: rounds, options, U-Net, and both together.

python -m benchmarks.cam_seg [--recipe approaches/cam_seg/recipes/sccam_unet.yaml] [--scale demo] [--data data]

Every variant is trained on all folds. mAP is the competition's, of test cells by the networks of all folds together.
`pointing` is the share of a map's mass in cells that lies in cells which show the class, less that of an even map; of
training images' maps for their labels, by the classifier that did not see them.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from approaches.cam_seg.asking import CLASSIFIER, Networks, load_classifiers, load_folds
from approaches.cam_seg.labelling import label_images
from approaches.cam_seg.learning import train_classifier, train_segmenter
from approaches.cam_seg.map_store import MapStore
from approaches.cam_seg.maps import enlarge
from approaches.cam_seg.pointing import measure_mass, pointing
from approaches.cam_seg.predicting import predict
from approaches.cam_seg.recipe import FairParams, Member, PuzzleParams, Recipe
from common.cells import cell_mask_path, read_cells, read_mask
from common.classes import CLASSES, PROBABILITIES
from common.field_data import Inputs, fold_parts
from common.fields import FieldStore, fit
from common.image_table import read_images
from common.labels.weak import image_targets
from common.params import load_recipe
from common.scoring import Guess, score_part
from common.tables import read_folds
from common.training_run import NoRun, Place
from common.truth import read_truth

OPTIONS: dict[str, dict[str, Any]] = {
    "round 0": {"subcategories": None},
    "round 1": {},
    "round 1, puzzle": {"puzzle": PuzzleParams()},
    "round 1, fair": {"fair": FairParams()},
    "round 0, puzzle": {"subcategories": None, "puzzle": PuzzleParams()},
}
MAPS_PX = 128


class Bench:
    """The data, and what is known of them."""

    def __init__(self, data: Path, scratch: Path) -> None:
        self.data, self.scratch = data, scratch
        self.images, self.truth = read_images(data / "images"), read_truth(data / "truth")
        self.folds = read_folds(data / "folds.parquet")
        self.numbers = sorted(self.folds["fold"].unique().tolist())
        self.labels = image_targets(self.images[self.images["split"] == "train"])
        self.inputs = Inputs(FieldStore(data / "fields"), data / "masks", read_cells(data / "cells.parquet"))

    def train(self, recipe: Recipe, name: str) -> list[Path]:
        """The classifiers of a variant."""
        folders = [self.scratch / name / f"fold-{number}" for number in self.numbers]
        for number, folder in zip(self.numbers, folders, strict=True):
            parts = fold_parts(self.inputs.fields, self.labels, self.folds, number)
            train_classifier(recipe, self.inputs.fields, parts, self.inputs.masks, self.place(folder))
        return folders

    def place(self, folder: Path) -> Place:
        """Where a network is written."""
        folder.mkdir(parents=True, exist_ok=True)
        return Place(folder, self.scratch / "checkpoints" / folder.parent.name / folder.name, NoRun())

    def score(self, networks: Networks) -> tuple[float, float]:
        """mAP of test cells, on found masks and on true ones."""
        test = self.images[self.images["split"] == "test"]
        found = predict(networks, self.inputs, self.inputs.rows(set(test["image_id"])))
        scored = score_part(
            Guess(found.cells, self.inputs.masks), test, self.truth, self.data / "truth/masks", 0.5
        )
        assert scored is not None
        competition = scored["competition"]
        return competition["mAP"], competition["mAP_mask_gt"]

    def point(self, maps: Path) -> dict[str, np.ndarray]:
        """Whether the maps of training images point at the true cells."""
        store = MapStore(maps)
        shows = dict(list(self.truth.groupby("image_id")))
        masses = []
        for image_id in store.index["image_id"]:
            mask = read_mask(cell_mask_path(self.data / "truth/masks", image_id))
            cells, known = fit(mask, MAPS_PX, nearest=True), shows[image_id]
            found = enlarge(store.read(image_id), (MAPS_PX, MAPS_PX))
            given = known[list(PROBABILITIES)].to_numpy() > 0
            masses.append(measure_mass(found, cells, known["cell_id"].to_numpy(), given))
        return pointing(masses)


def main(recipe: Recipe, data: Path, names: list[str]) -> None:
    """Print a row a variant, then the pointing of each class."""
    print(f"{'variant':<24}{'mAP':>7}{'mask_gt':>9}{'minutes':>9}{'pointing':>10}")
    points: dict[str, dict[str, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(data, Path(scratch))
        for name in names:
            started = time.process_time()
            folders = bench.train(recipe.model_copy(update=OPTIONS[name]), name)
            minutes = (time.process_time() - started) / 60
            maps = Path(scratch) / f"{name} maps"
            labels = label_images(folders[0].parent, bench.inputs, bench.labels, bench.folds, maps)
            points[name] = bench.point(maps)
            report(name, bench.score(load_classifiers(folders)), minutes, points[name])
            if name == "round 1":
                for row in segmented(bench, recipe, folders, labels):
                    report(*row, {})
    print_pointing(points)


def segmented(
    bench: Bench, recipe: Recipe, classifiers: list[Path], labels: pd.DataFrame
) -> Iterator[tuple[str, tuple[float, float], float]]:
    """Train the U-Nets on the labels; score them alone, and together with the classifiers."""
    folders, started = [], time.process_time()
    for number, classifier in zip(bench.numbers, classifiers, strict=True):
        folder = bench.scratch / "segmenters" / f"fold-{number}"
        shutil.copytree(classifier, folder / CLASSIFIER)
        parts = fold_parts(bench.inputs.fields, bench.labels, bench.folds, number)
        train_segmenter(recipe, bench.inputs.fields, parts, bench.inputs.masks, labels, bench.place(folder))
        folders.append(folder)
    minutes = (time.process_time() - started) / 60
    networks = load_folds(folders)
    alone = recipe.ensemble.model_copy(update={"classifier": Member(weight=1, role="probabilities")})
    for name, ensemble in (("U-Net maps", alone), ("classifier x U-Net", recipe.ensemble)):
        asked = replace(networks, recipe=networks.recipe.model_copy(update={"ensemble": ensemble}))
        yield name, bench.score(asked), minutes


def report(name: str, scores: tuple[float, float], minutes: float, points: dict[str, np.ndarray]) -> None:
    """Print a row."""
    gain = f"{np.nanmean(points['hit'] - points['chance']):>10.3f}" if points else ""
    print(f"{name:<24}{scores[0]:>7.3f}{scores[1]:>9.3f}{minutes:>9.1f}{gain}", flush=True)


def print_pointing(points: dict[str, dict[str, np.ndarray]]) -> None:
    """A row a class: what an even map would have, and the share of the mass in the right cells by each variant."""
    print(f"\n{'class':<44}{'even':>6}" + "".join(f"{name:>18}" for name in points))
    for class_id, name in enumerate(CLASSES):
        even = next(iter(points.values()))["chance"][class_id]
        hits = "".join(f"{found['hit'][class_id]:>18.3f}" for found in points.values())
        print(f"{name:<44}{even:>6.3f}{hits}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", type=Path, default=Path("approaches/cam_seg/recipes/sccam_unet.yaml"))
    parser.add_argument("--scale", choices=["demo", "full"], default="demo")
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--variants", nargs="+", choices=list(OPTIONS), default=list(OPTIONS))
    options = parser.parse_args()
    main(load_recipe(Recipe, options.recipe, options.scale), options.data, options.variants)
