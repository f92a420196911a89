"""The classical segmenter against the official masks of real fields, and its time against a plain watershed.

    python -m benchmarks.segmentation --shared PATH

The peer is scikit-image's usual recipe at full size, started from the very nuclei that ``classical`` found:
gaussian, Otsu of the logarithm, watershed. Times are medians and ratios of one run, without reading files.
"""

import argparse
import os
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.filters import gaussian, threshold_otsu
from skimage.segmentation import watershed

from common.classes import COLORS
from common.errors import DataError
from common.segmentation.classical import ClassicalParams, segment

MIN_IOU = 0.6

Field = tuple[str, np.ndarray, np.ndarray]
"""Id, image (4, H, W), official cell mask (H, W)."""


def iou_table(reference: np.ndarray, found: np.ndarray) -> np.ndarray:
    """IoU of reference label i + 1 and found label j + 1 of two (H, W) maps, (n, m) float."""
    rows, cols = int(reference.max()) + 1, int(found.max()) + 1
    pairs = reference.ravel().astype(np.int64) * cols + found.ravel()
    both = np.bincount(pairs, minlength=rows * cols).reshape(rows, cols)
    either = both.sum(1, keepdims=True) + both.sum(0, keepdims=True) - both
    return both[1:, 1:] / np.maximum(either[1:, 1:], 1)


def plain_watershed(image: np.ndarray, nuclei: np.ndarray) -> np.ndarray:
    """Cells of (4, H, W) by the usual recipe at full size, (H, W) int."""
    width = max(nuclei.shape)
    signal = gaussian(image[0].astype(np.float32) + image[3], 1.5 * width / 512)
    logarithm = np.log1p(signal)
    region = (logarithm > threshold_otsu(logarithm)) | (nuclei > 0)
    return watershed(-signal, nuclei.astype(np.int32), mask=region)


def median_time(repeats: int, work: Callable[..., object], *arguments: object) -> float:
    """Median seconds of ``work(*arguments)``."""
    return float(np.median(timeit.repeat(lambda: work(*arguments), number=1, repeat=repeats)))


def read_fields(shared: Path) -> list[Field]:
    """Read the real fields that have an official mask.

    Raises:
        DataError: no official mask in the folder, or a channel is missing.
    """
    paths = sorted((shared / "data" / "fields_masks").glob("*_cell.png"))
    if not paths:
        raise DataError(
            f"{shared}: no data/fields_masks/*_cell.png; name the folder of real data by --shared"
        )
    fields = []
    for path in paths:
        field = path.name.removesuffix("_cell.png")
        files = [shared / "data" / "fields" / f"{field}_{color}.png" for color in COLORS]
        if missing := [file for file in files if not file.is_file()]:
            raise DataError(f"{missing[0]} is missing, and {path} needs it; complete the data folder")
        image = np.stack([np.asarray(Image.open(file)) for file in files])
        fields.append((field, image, np.asarray(Image.open(path))))
    return fields


def report(fields: list[Field], repeats: int) -> None:
    """Print a row per field and the totals."""
    params = ClassicalParams()
    totals, peer_hits, good, ratios = np.zeros(3, int), 0, list[float](), list[float]()
    print(f"{'image':36}  cells  found  IoU>={MIN_IOU}  mean IoU  seconds  / plain watershed")
    for field, image, reference in fields:
        nuclei, cells = segment(image, params)
        seconds = median_time(repeats, segment, image, params)
        peer = median_time(repeats, plain_watershed, image, nuclei)
        table = iou_table(reference, cells)
        matched = table[table >= MIN_IOU]
        peer_hits += int((iou_table(reference, plain_watershed(image, nuclei)) >= MIN_IOU).sum())
        totals += [*table.shape, len(matched)]
        good.extend(matched)
        ratios.append(seconds / peer)
        row = f"{table.shape[0]:5}  {table.shape[1]:5}  {len(matched):7}  {np.mean(matched):8.3f}"
        print(f"{field:36}  {row}  {seconds:7.2f}  {ratios[-1]:.3f}")
    count, found, hits = totals
    extra = f"{found - hits} found without a match"
    print(
        f"total: {hits} of {count} cells matched ({hits / count:.1%}), mean IoU {np.mean(good):.3f}, {extra}"
    )
    peer_share = f"which matched {peer_hits} ({peer_hits / count:.1%}) from the same nuclei"
    print(f"median time {np.median(ratios):.3f} of the plain watershed's, {peer_share}")


def main() -> int:
    """Parse the command line and print the report; 3 where there are no data."""
    default = Path(os.environ.get("HPA_SHARED", Path(__file__).parents[2] / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=default, help="folder of the real data")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs per field")
    options = parser.parse_args()
    try:
        report(read_fields(options.shared), options.repeats)
    except DataError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
