"""Time and memory of the competition's score, from label maps and from a submission file, and against a plain loop.

python -m benchmarks.metric
"""

import base64
import csv
import resource
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from pycocotools import mask as coco

from benchmarks.rle import round_cells
from common.classes import NEGATIVE, PROBABILITIES
from common.evaluation import evaluate_maps, score_files
from common.metrics.detection import average_precision
from common.rle import encode_mask_map
from common.submission import validate_submission, write_submission

IMAGES, LOOP_IMAGES = 500, 50
CELLS, SIDE_PX = 20, 512
DIFFERENT_MAPS = 20  # the images take turns with these, so that the maps themselves need no memory
THRESHOLD = 0.6


def made_up(images: int) -> tuple[list[str], list[np.ndarray], list[np.ndarray], pd.DataFrame, pd.DataFrame]:
    """Image ids, predicted and true maps that they share, a prediction table and a truth table."""
    rng = np.random.default_rng(0)
    true = [round_cells(SIDE_PX, CELLS, rng) for _ in range(DIFFERENT_MAPS)]
    predicted = [np.roll(mask, rng.integers(-12, 13, 2), (0, 1)) for mask in true]
    ids = [f"image_{number:04d}" for number in range(images)]
    keys = {"image_id": np.repeat(ids, CELLS), "cell_id": np.tile(np.arange(1, CELLS + 1), images)}
    labels = (rng.random((images * CELLS, len(PROBABILITIES))) < 1.3 / len(PROBABILITIES)).astype(np.int64)
    labels[~labels.any(axis=1), NEGATIVE] = 1
    scores = np.clip(0.3 * labels + 0.7 * rng.random(labels.shape), 0, 1)
    tables = (pd.DataFrame(values, columns=list(PROBABILITIES)) for values in (scores, labels))
    predictions, truth = (pd.concat([pd.DataFrame(keys), table], axis=1) for table in tables)
    return ids, predicted, true, predictions, truth


def write_files(folder: Path, images: int) -> None:
    """``submission.csv`` and ``gt.csv`` of the made-up images."""
    ids, predicted, true, predictions, truth = made_up(images)
    table = pd.DataFrame({"image_id": ids, "width": SIDE_PX, "height": SIDE_PX})
    masks = {image_id: predicted[number % DIFFERENT_MAPS] for number, image_id in enumerate(ids)}
    write_submission(folder / "submission.csv", table, predictions, masks.__getitem__)
    texts = [encode_mask_map(mask) for mask in true]
    labels = truth[list(PROBABILITIES)].to_numpy()
    with (folder / "gt.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["ImageID", "ImageWidth", "ImageHeight", "LabelName", "IsGroupOf", "Mask"])
        for row, class_id in np.argwhere(labels == 1).tolist():
            number, cell = divmod(row, CELLS)
            text = texts[number % DIFFERENT_MAPS][cell + 1]
            writer.writerow([ids[number], SIDE_PX, SIDE_PX, class_id, 0, text])


def peak_megabytes() -> float:
    """The most memory that this process held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def from_maps(images: int) -> tuple[float, float, float]:
    """Seconds, peak megabytes and mAP from label maps."""
    ids, predicted, true, predictions, truth = made_up(images)
    maps = ((name, predicted[i % DIFFERENT_MAPS], true[i % DIFFERENT_MAPS]) for i, name in enumerate(ids))
    start = time.perf_counter()
    result = evaluate_maps(maps, predictions, truth)
    return time.perf_counter() - start, peak_megabytes(), result.mAP


def from_files(folder: Path) -> tuple[float, float, float]:
    """Seconds, peak megabytes and mAP from a submission and a truth file."""
    start = time.perf_counter()
    result = score_files(folder / "submission.csv", folder / "gt.csv", "mask_all")
    return time.perf_counter() - start, peak_megabytes(), result.mAP


def validated(folder: Path, images: int) -> tuple[float, float, float]:
    """Seconds and peak megabytes of reading the submission again to check it."""
    ids = [f"image_{number:04d}" for number in range(images)]
    start = time.perf_counter()
    validate_submission(
        folder / "submission.csv", pd.DataFrame({"image_id": ids, "width": SIDE_PX, "height": SIDE_PX})
    )
    return time.perf_counter() - start, peak_megabytes(), float("nan")


def by_loop(folder: Path) -> tuple[float, float, float]:
    """The same by one pycocotools call an image and class, as plain evaluators go about it."""
    start = time.perf_counter()
    submission = pd.read_csv(folder / "submission.csv").set_index("ID")["PredictionString"]
    truth = pd.read_csv(folder / "gt.csv")
    values = [
        loop_over_images(submission, truth[truth["LabelName"] == class_id], class_id)
        for class_id in range(len(PROBABILITIES))
    ]
    return time.perf_counter() - start, peak_megabytes(), float(np.mean(values))


def loop_over_images(submission: pd.Series, truth: pd.DataFrame, class_id: int) -> float:
    """Average precision of one class."""
    found: list[tuple[float, bool]] = []
    for image_id, text in submission.items():
        words = str(text).split()
        triplets = zip(words[::3], words[1::3], words[2::3], strict=True)
        mine = sorted(
            ((float(s), decoded(t)) for c, s, t in triplets if int(c) == class_id), key=lambda d: -d[0]
        )
        objects = [decoded(mask) for mask in truth.loc[truth["ImageID"] == image_id, "Mask"]]
        found += match(mine, objects)
    hits = [hit for _, hit in sorted(found, key=lambda pair: -pair[0])]
    return average_precision(np.array(hits, dtype=bool), len(truth))


def match(mine: list[tuple[float, dict]], objects: list[dict]) -> Iterator[tuple[float, bool]]:
    """Score and hit of each detection of one image and class, highest score first."""
    iou = coco.iou([mask for _, mask in mine], objects, [0] * len(objects)) if objects else None
    taken = set()
    for row, (score, _) in enumerate(mine):
        best = int(np.argmax(iou[row])) if iou is not None else -1
        hit = iou is not None and iou[row, best] >= THRESHOLD and best not in taken
        taken |= {best} if hit else set()
        yield score, hit


def decoded(text: str) -> dict:
    return {"size": [SIDE_PX, SIDE_PX], "counts": zlib.decompress(base64.b64decode(text))}


def main() -> None:
    """Print a table; each measurement runs in a process of its own, so that peaks do not mix."""
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as apart,
    ):
        whole, part = Path(name) / "whole", Path(name) / "part"
        for folder, images in ((whole, IMAGES), (part, LOOP_IMAGES)):
            folder.mkdir()
            apart.submit(write_files, folder, images).result()
        rows = {
            f"label maps, {IMAGES} images": apart.submit(from_maps, IMAGES).result(),
            f"files, {IMAGES} images": apart.submit(from_files, whole).result(),
            f"check of the submission, {IMAGES} images": apart.submit(validated, whole, IMAGES).result(),
            f"files, {LOOP_IMAGES} images": apart.submit(from_files, part).result(),
            f"pycocotools loop, {LOOP_IMAGES} images": apart.submit(by_loop, part).result(),
        }
        megabytes = (whole / "submission.csv").stat().st_size / 1e6
    print(f"{IMAGES * CELLS * len(PROBABILITIES)} detections, {SIDE_PX} px, submission of {megabytes:.0f} MB")
    print(f"{'':40}{'seconds':>9}{'peak MB':>9}{'mAP':>12}")
    for label, (seconds, megabytes, score) in rows.items():
        print(f"{label:40}{seconds:9.2f}{megabytes:9.0f}{score:12.8f}")
    ours, theirs = (rows[f"{way}, {LOOP_IMAGES} images"][0] for way in ("files", "pycocotools loop"))
    print(f"loop / ours: {theirs / ours:.1f}")


if __name__ == "__main__":
    main()
