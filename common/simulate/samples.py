"""Which proteins, cell lines and fields a simulated data set has: cheap, drawn before any pixel."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from pydantic import Field as Limit
from pydantic import field_validator

from common.classes import CLASSES
from common.params import Params
from common.simulate.cell_lines import CELL_LINES
from common.simulate.label_sets import LabelSet, deal_label_sets

Split = Literal["train", "test"]
MOST_FIELDS = 6


class SimulateParams(Params):
    """What to simulate. The same parameters give the same bytes, whoever does the work."""

    fields: int = Limit(ge=1)
    """Of the train part."""
    test_fields: int = Limit(ge=0)
    seed: int = Limit(ge=0)
    side_px: int = Limit(default=512, ge=64, le=4096)
    zoom: float = Limit(default=1, ge=0.5, le=8)
    """1: a picture is 164 um wide, as in the atlas; 2: half of that, so that cells are twice as large."""
    bit_depth: Literal[8, 16] = 8
    difficulty: float = Limit(default=0.4, ge=0, le=1)
    balance: float = Limit(default=0.5, ge=0, le=1)
    """0: label sets as frequent as in the atlas; 1: every class is the rarest of as many sets."""
    classes: tuple[str, ...] = Limit(default=CLASSES, min_length=1)
    """Those that proteins may have."""
    cell_lines: tuple[str, ...] = Limit(default=tuple(CELL_LINES), min_length=1)
    fields_per_sample: float = Limit(default=3, ge=1, le=MOST_FIELDS)
    """The mean; a sample has 1 to 6."""
    label_noise: float = Limit(default=1, ge=0, le=10)
    """Scales misses and additions; 0 gives clean weak labels."""
    duplicates: float = Limit(default=0.02, ge=0, le=0.5)
    """The share of fields that are there again, as a sample of their own."""
    debris: float = Limit(default=0.3, ge=0, le=20)
    """Aggregates and dead cells in a field, on average."""
    mitotic_rate: float = Limit(default=0.015, ge=0, le=1)
    """The share of cells that divide; fields of spindle proteins have at least one."""

    @field_validator("classes")
    @classmethod
    def _known_classes(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _known(names, CLASSES, "class")

    @field_validator("cell_lines")
    @classmethod
    def _known_lines(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _known(names, tuple(CELL_LINES), "cell line")


def _known(names: tuple[str, ...], known: tuple[str, ...], what: str) -> tuple[str, ...]:
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no such {what}: {', '.join(unknown)}; known: {', '.join(known)}")
    return names


@dataclass(frozen=True)
class Entry:
    """One field before it is drawn. All fields of a sample share its protein and its cell line."""

    image_id: str
    sample_id: str
    cell_line: str
    split: Split
    classes: LabelSet  # of the protein; what the image is labelled follows from its cells
    field: int  # seeds the pixels; duplicates share it
    sample: int  # seeds the label noise
    look: int  # seeds what all cells of a sample have in common; duplicates share it
    duplicate_of: str = ""  # an image id


def generator(params: SimulateParams, use: str, number: int) -> np.random.Generator:
    """The generator of one field, sample or part: none shares its numbers with another."""
    uses = ("part", "field", "sample", "segmenter", "look")
    return np.random.default_rng([params.seed, uses.index(use), number])


def plan(params: SimulateParams) -> list[Entry]:
    """List the fields, the train part first; the parts share no sample and no protein."""
    train = _plan_part(params, "train", params.fields, 0, 0)
    samples = 1 + max(entry.sample for entry in train)
    return train + _plan_part(params, "test", params.test_fields, params.fields, samples)


def _plan_part(params: SimulateParams, split: Split, fields: int, first: int, sample: int) -> list[Entry]:
    """Plan one part. Images are numbered in random order, so that names tell nothing."""
    rng = generator(params, "part", 0 if split == "train" else 1)
    copies = int(params.duplicates * fields)
    sizes = _sample_sizes(rng, fields - copies, params.fields_per_sample)
    allowed = frozenset(CLASSES.index(name) for name in params.classes)
    sets = deal_label_sets(rng, len(sizes), params.balance, allowed)
    shares = np.array([CELL_LINES[name].share for name in params.cell_lines])
    lines = rng.choice(params.cell_lines, size=len(sizes), p=shares / shares.sum())
    numbers = iter((first + rng.permutation(fields)).tolist())
    entries = []
    for index, size in enumerate(sizes):
        name = _sample_name(sample + index)
        for number in sorted(next(numbers) for _ in range(size)):
            image_id, line, own = f"sim-{number:05d}", str(lines[index]), sample + index
            entries.append(Entry(image_id, name, line, split, sets[index], number, own, look=own))
    copied = rng.choice(len(entries), copies, replace=False) if copies else ()
    samples = range(sample + len(sizes), sample + len(sizes) + copies)
    entries += [_again(entries[i], next(numbers), s) for i, s in zip(copied, samples, strict=True)]
    return sorted(entries, key=lambda entry: entry.image_id)


def _again(entry: Entry, number: int, sample: int) -> Entry:
    return replace(
        entry,
        image_id=f"sim-{number:05d}",
        sample_id=_sample_name(sample),
        sample=sample,
        duplicate_of=entry.image_id,
    )


def _sample_name(number: int) -> str:
    return f"sample-{number:05d}"


def _sample_sizes(rng: np.random.Generator, fields: int, mean: float) -> list[int]:
    """How many fields each sample has; the last one takes what is left."""
    sizes: list[int] = []
    while (left := fields - sum(sizes)) > 0:
        sizes.append(min(1 + int(rng.binomial(MOST_FIELDS - 1, (mean - 1) / (MOST_FIELDS - 1))), left))
    return sizes
