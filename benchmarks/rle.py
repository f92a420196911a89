"""How much faster a full-size label map becomes mask texts than by one pycocotools call a cell.

python -m benchmarks.rle
"""

import base64
import statistics
import time
import zlib
from collections.abc import Callable

import numpy as np
from pycocotools import mask as coco

from common.rle import encode_mask_map

SIDE_PX = 2048
CELLS = 20
REPEATS = 5


def round_cells(side_px: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """A (side, side) uint16 label map of bumpy disks that fill most of the image, later ones on top."""
    mask = np.zeros((side_px, side_px), dtype=np.uint16)
    y, x = np.mgrid[:side_px, :side_px].astype(np.float32)
    columns = int(np.ceil(np.sqrt(cells)))
    step = side_px / columns
    for cell in range(cells):
        centre = (np.array(divmod(cell, columns)) + 0.5) * step + rng.uniform(-0.1, 0.1, 2) * step
        angle = np.arctan2(y - centre[0], x - centre[1])
        bumps = 1 + 0.12 * np.sin(rng.integers(3, 7) * angle + rng.uniform(0, 6))
        mask[np.hypot(y - centre[0], x - centre[1]) < 0.46 * step * bumps] = cell + 1
    return mask


def one_by_one(mask: np.ndarray) -> dict[int, str]:
    """The texts as a submission notebook makes them."""
    texts = {}
    for cell in range(1, int(mask.max()) + 1):
        counts = coco.encode(np.asfortranarray((mask == cell).astype(np.uint8)))["counts"]
        texts[cell] = base64.b64encode(zlib.compress(counts, 9)).decode("ascii")
    return texts


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Print the median times of several runs, taken in turn, and their ratio."""
    mask = round_cells(SIDE_PX, CELLS, np.random.default_rng(0))
    if encode_mask_map(mask) != one_by_one(mask):
        raise SystemExit("the texts differ; the times mean nothing")
    runs = [
        (seconds(lambda: one_by_one(mask)), seconds(lambda: encode_mask_map(mask))) for _ in range(REPEATS)
    ]
    theirs, ours = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"{CELLS} cells of {SIDE_PX} x {SIDE_PX} px, medians of {REPEATS} runs")
    print(f"pycocotools, a call a cell   {theirs * 1000:8.1f} ms")
    print(f"common.rle, one pass         {ours * 1000:8.1f} ms")
    print(f"ratio                        {theirs / ours:8.1f}")


if __name__ == "__main__":
    main()
