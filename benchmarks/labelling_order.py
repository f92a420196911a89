"""What the order of the labelling page is worth: a scripted rater scores cells in it, and in random order.

    python -m benchmarks.labelling_order [--data data] [--labels 0 200 500 1000] [--size 48] [--epochs 8] [--seeds 0 1]

The rater knows the truth and errs in 5 % of the scores. The labels are shared by the rarest classes, each scored in its
own order, which is made anew whenever a cell is found, as the page does. Scores replace the label that a cell has from
its image. Then the network of `benchmarks.label_sources` learns these labels and predicts the test cells: `found` is
how many cells that show a class the rater has seen, `rare` the mean test AP of the scored classes. Needs the
predictions and embeddings of a demo run.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit

from benchmarks.label_sources import Field
from benchmarks.simulator_learning import train_and_predict
from common.cells import KEYS
from common.classes import CLASSES
from common.labelling.evidence import Evidence, streams
from common.labelling.order import OrderParams, arrange
from common.labelling.subjects import of_pipeline
from common.progress import track

ERRS, RAREST, FEWEST = 0.05, 4, 10
ORDERS = {"informed": OrderParams(), "random": OrderParams(control=1)}


def rare_classes(shown: np.ndarray) -> list[int]:
    """The rarest classes that at least ``FEWEST`` of the (N, 19) cells show; Negative is none of them."""
    counts = shown[:, :-1].sum(axis=0)
    by_count = np.argsort(counts, kind="stable")
    return [int(k) for k in by_count if counts[k] >= FEWEST][:RAREST]


def score_cells(
    evidence: Evidence, shows: np.ndarray, class_id: int, params: OrderParams, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first ``count`` rows that a rater is shown, and what it says of each.

    Args:
        shows: (N,) bool, the truth.
    """
    rng = np.random.default_rng(class_id)
    said = shows ^ (rng.random(len(shows)) < ERRS)
    seen: list[int] = []
    while len(seen) < count:
        positives = np.array([row for row in seen if said[row]], int)
        wanted = streams(evidence, class_id, positives)
        order = arrange(wanted, params, np.random.default_rng([0, class_id]))[0]
        left = order[~np.isin(order, seen)][: count - len(seen)]
        until = int(np.argmax(said[left])) + 1 if said[left].any() else len(left)
        seen += left[:until].tolist()
    rows = np.array(seen, int)
    return rows, said[rows]


def main(data: Path, labels: list[int], size: int, epochs: int, seeds: list[int]) -> None:
    """Print a row a number of labels and order."""
    field, subjects = Field(data, size), of_pipeline(data, Path("approaches"))
    if not field.train[KEYS].equals(subjects.cells[KEYS]):
        raise SystemExit("the page and the trainings see other cells")
    shown, weak = field.shown.astype(bool), field.labels()["image"]
    classes = rare_classes(shown)
    print("scored:", ", ".join(f"{CLASSES[k]} ({shown[:, k].sum()} of {len(shown)} cells)" for k in classes))
    print(f"{'order':<10}{'labels':>7}{'found':>7}{'rare':>8}{'mAP':>8}")
    runs = [(name, count) for count in sorted(labels) for name in ORDERS if count or name == "informed"]
    for name, count in track(runs, len(runs), "trainings"):
        targets, found = weak.copy(), 0
        for k in classes:
            rows, said = score_cells(subjects.evidence, shown[:, k], k, ORDERS[name], count // len(classes))
            targets[rows, k], found = said, found + int(shown[rows, k].sum())
        taught = torch.from_numpy(targets.astype(np.float32))
        guesses = [train_and_predict(field.seen, taught, field.unseen, epochs, seed) for seed in seeds]
        scores = [field.evaluate(expit(guess)) for guess in guesses]
        rare = float(np.mean([np.nanmean(score.AP[classes]) for score in scores]))
        print(
            f"{name if count else 'none':<10}{count:>7}{found:>7}{rare:>8.3f}"
            f"{np.mean([score.mAP for score in scores]):>8.3f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--labels", type=int, nargs="+", default=[0, 200, 500, 1000])
    parser.add_argument("--size", type=int, default=48, help="of the crops, in pixels")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    main(options.data, options.labels, options.size, options.epochs, options.seeds)
