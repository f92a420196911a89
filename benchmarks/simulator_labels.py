"""The labels of simulated images, and how the truth of their cells agrees with them, beside the real ones.

Targets: image labels of the 2021 competition, and 5,090 human-checked cells of public fields.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.simulator_rows import Row
from common.classes import CLASSES, NEGATIVE, parse_labels
from common.simulate.label_sets import LabelSet
from common.simulate.labels import Truth

LABELS_PER_IMAGE = {1: 10508, 2: 8873, 3: 2233, 4: 190, 5: 2}
SHOWN_ALONE = (
    0.86, 0.80, 0.90, 0.60, 0.93, 0.55, 0.83, 0.65, 0.85, 0.95, 0.75, 0.07, 0.35, 0.93, 0.87, 0.60, 0.87, 0.64, 1.0,
)  # fmt: skip
"""P(a cell shows the class | it is its image's only label), by class."""
SHOWN_AMONG = (
    0.75, 0.68, 0.55, 0.45, 0.80, 0.42, 0.67, 0.50, 0.50, 0.70, 0.57, 0.07, 0.27, 0.68, 0.85, 0.50, 0.81, 0.54, 1.0,
)  # fmt: skip
"""The same where the image has other labels too."""
SHOWN_ANYWAY = {CLASSES.index("Nucleoplasm"): 0.010, CLASSES.index("Cytosol"): 0.019}
"""P(a cell shows the class | its image lacks it)."""
MOST_SHOWN_ANYWAY = 0.005
"""The same of the other classes, at most."""
EXACT, INSIDE, NOTHING = 0.483, 0.869, 0.10
"""Shares of cells that show just their image's labels, nothing beyond them, and nothing at all."""
CHECKED = {1: 0.267, 2: 0.436, 3: 0.282, 4: 0.015}
"""Which part of those cells is in images with one to four labels: half as many alone as in the whole atlas."""
POSITIVE_SHARES = {0.05: 0.04, 0.10: 0.10, 0.25: 0.40, 0.50: 0.83, 0.75: 1.0}
"""Quantiles of the share of an image's cells that show a label of it: most show in nearly all, or in few."""
COMMONEST = 10


@dataclass(frozen=True)
class Labelled:
    """One image: its weak labels, and (cells, 19) what its cells show."""

    sample_id: str
    labels: LabelSet
    truth: Truth


def agreement_rows(images: list[Labelled]) -> Iterator[Row]:
    """How cells agree with the labels of their images, in the mix of images that people checked."""
    kinds = [[_agreement(image) for image in images if len(image.labels) == number] for number in CHECKED]
    means = np.array([np.concatenate(kind).mean(axis=0) if kind else np.zeros(3) for kind in kinds])
    exact, inside, nothing = np.array(list(CHECKED.values())) @ means
    yield Row("cells with exactly their image's labels", EXACT, float(exact))
    yield Row("cells with nothing beyond them", INSIDE, float(inside))
    yield Row("cells that show nothing", NOTHING, float(nothing))
    shares = [float(image.truth[:, c].mean()) for image in images for c in image.labels if c != NEGATIVE]
    for quantile, target in POSITIVE_SHARES.items():
        found = float(np.quantile(shares, quantile))
        yield Row(f"cells that show a label, {quantile:.0%} quantile", target, found, "shift")


def _agreement(image: Labelled) -> np.ndarray:
    """(cells, 3) bool: shows just the labels of its image, nothing beyond them, nothing at all."""
    known, shown = np.isin(np.arange(len(CLASSES)), image.labels), image.truth.astype(bool)
    exact, inside = np.all(shown == known, axis=1), ~np.any(shown & ~known, axis=1)
    return np.stack([exact, inside, shown[:, NEGATIVE]], axis=1)


def class_rows(images: list[Labelled]) -> Iterator[Row]:
    """P(cell shows c | image has c) where c stands alone and among others, and P(shows c | image lacks c)."""
    for c, name in enumerate(CLASSES):
        alone = [image.truth[:, c] for image in images if image.labels == (c,)]
        among = [image.truth[:, c] for image in images if c in image.labels and len(image.labels) > 1]
        lacks = [image.truth[:, c] for image in images if c not in image.labels]
        for way, target, truths in (("alone", SHOWN_ALONE[c], alone), ("among", SHOWN_AMONG[c], among)):
            if c == NEGATIVE and way == "among":
                continue
            yield Row(f"{c:2} {name[:28]}, {way}", target, _mean(truths), "shift", _noise(truths))
        if c != NEGATIVE:
            most = c not in SHOWN_ANYWAY
            target = SHOWN_ANYWAY.get(c, MOST_SHOWN_ANYWAY)
            yield Row(
                f"{c:2} {name[:28]}, not a label",
                target,
                _mean(lacks),
                "most" if most else "ratio",
                _noise(lacks),
            )


def _noise(truths: list[np.ndarray]) -> float:
    """Two standard errors of a mean over images, whose cells go together."""
    means = np.array([truth.mean() for truth in truths])
    return float(2 * means.std(ddof=1) / len(means) ** 0.5) if len(means) > 2 else 1.0


def _mean(truths: list[np.ndarray]) -> float:
    return float(np.concatenate(truths).mean()) if truths else float("nan")


def set_rows(images: list[Labelled], table: Path | None) -> Iterator[Row]:
    """Labels per image; with the ``table`` of real label sets also which sets and classes."""
    samples = len({image.sample_id for image in images})
    found = Counter(len(image.labels) for image in images)
    total = sum(LABELS_PER_IMAGE.values())
    for number, target in LABELS_PER_IMAGE.items():
        yield share_row(f"images with {number} labels", target / total, found[number] / len(images), samples)
    if table is not None:
        yield from _table_rows(images, read_label_sets(table))


def share_row(name: str, target: float, found: float, samples: int) -> Row:
    """A share of images, whose labels only ``samples`` of them have drawn independently."""
    return Row(name, target, found, noise=2 * (target * (1 - target) / samples) ** 0.5)


def _table_rows(images: list[Labelled], real: Counter[LabelSet]) -> Iterator[Row]:
    mine = Counter(image.labels for image in images)
    shares, targets = ({s: n / counts.total() for s, n in counts.items()} for counts in (mine, real))
    commonest = [labels for labels, _ in real.most_common(COMMONEST)]
    yield Row(
        f"images with one of the {COMMONEST} commonest sets",
        sum(targets[labels] for labels in commonest),
        sum(shares.get(labels, 0) for labels in commonest),
    )
    samples = len({image.sample_id for image in images})
    chance = _distance_of_a_draw(targets, samples)
    yield Row("distance of the sets (target: a draw of as many)", chance, _distance(shares, targets), "most")
    for c, name in enumerate(CLASSES):
        target, found = (sum(n for labels, n in part.items() if c in labels) for part in (targets, shares))
        yield share_row(f"{c:2} {name[:28]}, share of images", target, found, samples)


def read_label_sets(path: Path) -> Counter[LabelSet]:
    """Real label sets with their counts from a JSON file: ``{"combos": {"0|16": 1278, ...}}``."""
    sets: Counter[LabelSet] = Counter()
    for text, count in json.loads(path.read_text())["combos"].items():
        sets[parse_labels(text)] += count
    return sets


def _distance(first: dict[LabelSet, float], second: dict[LabelSet, float]) -> float:
    """Total variation: half the sum of the differences."""
    return sum(abs(first.get(s, 0) - second.get(s, 0)) for s in first.keys() | second.keys()) / 2


def _distance_of_a_draw(targets: dict[LabelSet, float], samples: int) -> float:
    """The distance that ``samples`` true draws from the real table would have."""
    rng, shares = np.random.default_rng(0), list(targets.values())
    draws = rng.multinomial(samples, shares, size=20) / samples
    return float(np.abs(draws - shares).sum(axis=1).mean() / 2)
