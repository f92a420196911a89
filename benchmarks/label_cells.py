"""Masks from three-class maps: the same as by the published algorithm, and how much less CPU time.

    python -m benchmarks.label_cells --shared PATH

The peer is the published algorithm written down plainly at full size with scikit-image and SciPy. The maps are
made of the official cell masks and the classical nuclei of real fields: drawn at a quarter of the size, blurred
and enlarged, as the networks' maps are. Times are medians of CPU seconds of one thread, taken in turn.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import closing, disk, remove_small_holes, remove_small_objects
from skimage.segmentation import find_boundaries, watershed

from benchmarks.segmentation import Field, iou_table, read_fields
from common.errors import DataError
from common.segmentation.classical import ClassicalParams, segment
from common.segmentation.label_cells import LabelCellsParams, label_cells

Masks = tuple[np.ndarray, np.ndarray]

REDUCTION = 4
"""The networks see a field at a quarter of its size."""

MODES = {
    mode: LabelCellsParams.model_validate({"mode": mode, "field_width_um": None})
    for mode in ("exact", "fast")
}
"""In pixels of the maps, as the peer."""


def published(nucleus_maps: np.ndarray, cell_maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Label cells as HPA-Cell-Segmentation does, accidents included, except that more than 255 cells work.

    Args:
        nucleus_maps: (3, H, W) uint8: background, border, interior.
        cell_maps: (3, H, W) uint8, likewise.

    Returns:
        nuclei and cells, (H, W) uint16, numbered alike.
    """
    border, interior = cell_maps[1] / 255, cell_maps[2] / 255
    nuclei = published_nuclei(nucleus_maps, cell_maps)
    threshold = max(0.22, threshold_otsu(interior) / 2)
    height = -np.clip(cell_maps[2].astype(float), 255 * threshold, None)
    cells = watershed(height, nuclei, mask=interior > threshold)
    cells = closing(remove_small_objects(cells, max_size=5499), disk(6))
    cells = relabel_filled(cells)
    cells = watershed(height, cells, mask=(cells > 0) | (border > 0.05))
    cells = label(relabel_filled(cells) > 0)
    cells = label(remove_small_objects(cells, max_size=5499)).astype(np.uint16)
    kept = remove_small_objects(label((nuclei > 0) & (cells > 0)), max_size=2499) > 0
    return np.where(kept, cells, 0).astype(np.uint16), cells


def published_nuclei(nucleus_maps: np.ndarray, cell_maps: np.ndarray) -> np.ndarray:
    """Label nuclei of at least 2,500 px, (H, W) int; the sum of the two borders wraps at 256 as theirs does."""
    interior = nucleus_maps[2] / 255
    free = 1 - (nucleus_maps[1] + cell_maps[1]) / 255 > 0.05
    seeds = remove_small_objects(free & (interior > 0.4 - 0.25), max_size=499)
    mask = remove_small_holes(interior > 0.4, max_size=999)
    mask = remove_small_objects(mask, max_size=7)
    nuclei = watershed(mask.astype(np.uint8), ndimage.label(seeds)[0], mask=mask, watershed_line=True)
    return label(remove_small_objects(nuclei, max_size=2499))


def relabel_filled(labels: np.ndarray) -> np.ndarray:
    """Peel a pixel off every label, fill all holes, and number what is 4-connected."""
    return ndimage.label(ndimage.binary_fill_holes((labels > 0) & ~find_boundaries(labels)))[0]


def maps_of(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Make the maps that a network might have given for (H, W) labels: (3, H, W) uint8, background empty."""
    size = labels.shape[::-1]
    reduced = (size[0] // REDUCTION, size[1] // REDUCTION)
    small = cv2.resize(labels.astype(np.uint16), reduced, interpolation=cv2.INTER_NEAREST)
    border = find_boundaries(small)
    planes = [(small == 0) & ~border, border, (small > 0) & ~border]
    soft = np.stack([cv2.GaussianBlur(plane.astype(np.float32), (0, 0), 1) for plane in planes])
    grain = rng.random((3, *small.shape), np.float32) - 0.5
    noise = [cv2.GaussianBlur(plane, (0, 0), 2) for plane in grain]
    odds = np.exp(6 * soft + 3 * np.stack(noise))
    maps = np.round(255 * odds / odds.sum(0)).astype(np.uint8)
    maps[0] = 0
    return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in maps])


def cpu_seconds(work: Callable[..., Masks], *arguments: object) -> tuple[Masks, float]:
    """Masks, and the CPU seconds they took."""
    start = time.process_time()
    masks = work(*arguments)
    return masks, time.process_time() - start


def best_ious(reference: np.ndarray, found: np.ndarray) -> np.ndarray:
    """For each label of the reference, its IoU with the label that fits best; 0 where none does."""
    return iou_table(reference, found).max(1, initial=0)


def measure(maps: Masks, repeats: int) -> list[tuple[str, np.ndarray, np.ndarray, float, float]]:
    """For each mode: its name, IoU of each cell and nucleus with the peer's, CPU seconds, the peer's."""
    times: dict[str, list[float]] = {"peer": [], **{mode: [] for mode in MODES}}
    for _ in range(repeats):
        reference, seconds = cpu_seconds(published, *maps)
        times["peer"].append(seconds)
        found = {}
        for mode, params in MODES.items():
            found[mode], seconds = cpu_seconds(label_cells, *maps, params)
            times[mode].append(seconds)
    median = {mode: float(np.median(seconds)) for mode, seconds in times.items()}
    return [
        (mode, best_ious(reference[1], cells), best_ious(reference[0], nuclei), median[mode], median["peer"])
        for mode, (nuclei, cells) in found.items()
    ]


def report(fields: list[Field], repeats: int) -> None:
    """Print a row for each field and mode, and the totals."""
    ious: dict[str, list[float]] = {mode: [] for mode in MODES}
    ratios: dict[str, list[float]] = {mode: [] for mode in MODES}
    print(f"{'image':36}  side  mode   cells  mean IoU (nuclei)   CPU ms  peer ms  ratio")
    for name, image, official in fields:
        rng = np.random.default_rng(0)
        maps = maps_of(segment(image, ClassicalParams())[0], rng), maps_of(official, rng)
        for mode, cells, nuclei, seconds, peer in measure(maps, repeats):
            ious[mode].extend(cells)
            ratios[mode].append(peer / seconds)
            quality = f"{len(cells):5}  {cells.mean():8.4f} ({nuclei.mean():6.4f})"
            speed = f"{1000 * seconds:7.1f}  {1000 * peer:7.0f}  {ratios[mode][-1]:5.1f}"
            print(f"{name:36}  {len(official)}  {mode:5}  {quality}  {speed}")
    for mode in MODES:
        print(
            f"{mode}: mean IoU {np.mean(ious[mode]):.4f}, least {np.min(ious[mode]):.4f} of "
            f"{len(ious[mode])} cells; median {np.median(ratios[mode]):.1f} x the peer's speed"
        )


def main() -> int:
    """Parse the command line and print the report; 3 where there are no data."""
    default = Path(os.environ.get("HPA_SHARED", Path(__file__).parents[2] / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=default, help="folder of the real data")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs per field")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        report(read_fields(options.shared), options.repeats)
    except DataError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
