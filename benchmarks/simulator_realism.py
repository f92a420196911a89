"""Whether simulated fields behave like real ones for the rest of the project: duplicates and segmentation.

    python -m benchmarks.simulator_realism [--fields 100] [--shared PATH]

Every field is saved again as jpg at half the size, and some are in the data twice. Fields are apart by the bits that
differ in the worst of the three channels of the duplicate rule, which takes pairs up to its limit for copies. Cells
are found by the classical segmenter and held against the true masks, or the official ones of the real fields.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from benchmarks.segmentation import MIN_IOU, iou_table, read_fields
from benchmarks.simulator_rows import Row, print_rows
from common.duplicates import MAX_BITS, perceptual_hash
from common.errors import DataError
from common.parallel import pmap
from common.segmentation.classical import ClassicalParams, segment
from common.simulate.fields import simulate_field
from common.simulate.samples import Entry, SimulateParams, plan

Hash = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """What is kept of one field."""

    digest: str  # equal where one field is an exact copy of another
    hash: Hash
    copy_hash: Hash
    cells: int
    found: int


def look_at(image: np.ndarray, cells: np.ndarray) -> Look:
    """Hash and segment a (4, H, W) field with its (H, W) cell mask."""
    hits = iou_table(cells, segment(image, ClassicalParams())[1]) >= MIN_IOU
    copy_hash = perceptual_hash(resaved(image))
    digest = hashlib.sha256(image.tobytes()).hexdigest()
    return Look(digest, perceptual_hash(image), copy_hash, len(hits), int(hits.any(axis=1).sum()))


def resaved(image: np.ndarray) -> np.ndarray:
    """As after a lossy jpg at half the size."""
    small = [cv2.resize(channel, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for channel in image]
    coded = [cv2.imencode(".jpg", channel, [cv2.IMWRITE_JPEG_QUALITY, 60])[1] for channel in small]
    return np.stack([np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED)) for content in coded])


def simulated_look(entry: Entry, params: SimulateParams) -> Look:
    """Simulate a field and look at it."""
    field = simulate_field(entry, params)
    return look_at(field.image, field.cells)


def bits_between(first: Hash, second: Hash) -> int:
    """How many bits differ in the channel where most do."""
    return max((a ^ b).bit_count() for a, b in zip(first, second, strict=True))


def distances(looks: list[Look]) -> list[int]:
    """The bits between all pairs of different fields."""
    pairs = combinations(looks, 2)
    return [bits_between(one.hash, other.hash) for one, other in pairs if one.digest != other.digest]


def recall(looks: list[Look]) -> float:
    """The share of cells that the segmenter finds."""
    return sum(look.found for look in looks) / sum(look.cells for look in looks)


def duplicate_rows(looks: list[Look], real: list[Look]) -> Iterator[Row]:
    """False pairs, copies that are found, and how far apart different fields are."""
    apart, copies = distances(looks), [bits_between(look.hash, look.copy_hash) for look in looks]
    twice = len(looks) - len({look.digest for look in looks})
    print(f"{len(looks)} fields, {twice} of them exact duplicates")
    yield Row(
        "pairs of different fields taken for copies", 0, sum(bits <= MAX_BITS for bits in apart), "most"
    )
    yield Row("copies that are found", 1, float(np.mean([bits <= MAX_BITS for bits in copies])))
    print(f"bits between different simulated fields: least {min(apart)}, median {np.median(apart):.0f}")
    if real:
        theirs = distances(real)
        print(f"bits between different real fields:      least {min(theirs)}, median {np.median(theirs):.0f}")
        yield Row("bits between different fields, median", float(np.median(theirs)), float(np.median(apart)))


def report(fields: int, seed: int, shared: Path | None) -> None:
    """Print both tables."""
    params = SimulateParams(fields=fields, test_fields=0, seed=seed)
    looks = list(pmap(partial(simulated_look, params=params), plan(params), "fields"))
    real = [look_at(image, cells) for _, image, cells in read_fields(shared)] if shared else []
    print_rows("duplicates", duplicate_rows(looks, real))
    print(f"\ncells found at IoU {MIN_IOU}: {recall(looks):.3f} of {sum(look.cells for look in looks)}")
    if real:
        print_rows(
            "segmentation", [Row("cells found, beside real ones", recall(real), recall(looks), "shift")]
        )


def main() -> int:
    """Parse the command line and print the tables; 3 where there are no data."""
    given = os.environ.get("HPA_SHARED")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fields", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shared", type=Path, default=given and Path(given), help="folder of the real data")
    options = parser.parse_args()
    try:
        report(options.fields, options.seed, options.shared)
    except DataError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
