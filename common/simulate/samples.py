"""Which proteins, cell lines and fields a simulated data set has: cheap, drawn before any pixel."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import Field as Limit

from common.classes import CLASSES, NEGATIVE
from common.params import Params
from common.simulate.labels import LABELS_PER_IMAGE, class_weights
from common.simulate.layout import CELL_LINES

Split = Literal["train", "test"]
MOST_FIELDS = 6


class SimulateParams(Params):
    """What to simulate. The same parameters give the same bytes, whoever does the work."""

    fields: int = Limit(ge=1)  # of the train part
    test_fields: int = Limit(ge=0)
    side_px: int = Limit(default=512, ge=64, le=4096)
    seed: int = Limit(ge=0)
    bit_depth: Literal[8, 16] = 8
    difficulty: float = Limit(default=0.4, ge=0, le=1)
    fields_per_sample: float = Limit(default=3, ge=1, le=MOST_FIELDS)  # the mean; a sample has 1 to 6
    label_noise: float = Limit(
        default=1, ge=0, le=10
    )  # scales misses and additions; 0 gives clean weak labels


@dataclass(frozen=True)
class Entry:
    """One field before it is drawn. All fields of a sample share its protein and its cell line."""

    image_id: str
    sample_id: str
    cell_line: str
    split: Split
    classes: tuple[int, ...]  # of the protein; what the image is labelled follows from its cells
    field: int  # seeds the pixels
    sample: int  # seeds the label noise


def generator(params: SimulateParams, use: str, number: int) -> np.random.Generator:
    """The generator of one field, sample or part: none shares its numbers with another."""
    return np.random.default_rng([params.seed, ("part", "field", "sample").index(use), number])


def plan(params: SimulateParams) -> list[Entry]:
    """List the fields, the train part first; the parts share no sample and no protein.

    Images are numbered in random order within a part, so that names tell nothing.
    """
    train = _plan_part(params, "train", params.fields, 0, 0)
    samples = 1 + max(entry.sample for entry in train)
    return train + _plan_part(params, "test", params.test_fields, params.fields, samples)


def _plan_part(params: SimulateParams, split: Split, fields: int, first: int, sample: int) -> list[Entry]:
    rng = generator(params, "part", 0 if split == "train" else 1)
    sizes = _sample_sizes(rng, fields, params.fields_per_sample)
    proteins = _deal_classes(rng, len(sizes))
    shares = np.array([line.share for line in CELL_LINES.values()])
    lines = rng.choice(list(CELL_LINES), size=len(sizes), p=shares / shares.sum())
    numbers = iter(first + rng.permutation(fields))
    entries = []
    for index, size in enumerate(sizes):
        name = f"sample-{sample + index:05d}"
        for number in sorted(int(next(numbers)) for _ in range(size)):
            image_id, line = f"sim-{number:05d}", str(lines[index])
            entries.append(Entry(image_id, name, line, split, proteins[index], number, sample + index))
    return sorted(entries, key=lambda entry: entry.field)


def _sample_sizes(rng: np.random.Generator, fields: int, mean: float) -> list[int]:
    """How many fields each sample has; the last one takes what is left."""
    sizes: list[int] = []
    while (left := fields - sum(sizes)) > 0:
        sizes.append(min(1 + int(rng.binomial(MOST_FIELDS - 1, (mean - 1) / (MOST_FIELDS - 1))), left))
    return sizes


def _deal_classes(rng: np.random.Generator, samples: int) -> list[tuple[int, ...]]:
    """Draw each sample's classes from one shuffled deck, whose counts follow the weights evenly.

    Independent draws would leave a small data set without some common class. Negative stands alone.
    """
    counts = 1 + rng.choice(len(LABELS_PER_IMAGE), size=samples, p=LABELS_PER_IMAGE)
    total = int(counts.sum())
    places = (np.arange(total) + rng.random()) / total
    deck = [
        int(c)
        for c in rng.permutation(np.searchsorted(class_weights().cumsum(), places).clip(0, len(CLASSES) - 1))
    ]
    hands = []
    for count in counts:
        hand = {deck.pop()}
        for class_id in list(deck):
            if NEGATIVE in hand or len(hand) == count:
                break
            if class_id not in hand and class_id != NEGATIVE:
                hand.add(class_id)
                deck.remove(class_id)
        hands.append(tuple(sorted(hand)))
    return hands
