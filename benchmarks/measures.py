"""What measuring the quality of cells costs, over the classical segmenting of the same real fields.

    python -m benchmarks.measures --shared PATH

Medians of processor time on one core, without reading and writing files.
"""

import argparse
import os
import time
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from benchmarks.segmentation import read_fields
from common.cells import measure_cells
from common.measures import measure_quality
from common.segmentation.classical import ClassicalParams, segment

REPEATS = 5


def median_time(work: Callable[[], object]) -> float:
    """Median processor seconds of ``work()``."""
    return float(np.median(timeit.repeat(work, timer=time.process_time, number=1, repeat=REPEATS)))


def main() -> None:
    """Print a line a field and the median share."""
    default = Path(os.environ.get("HPA_SHARED", Path(__file__).parents[2] / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=default, help="folder of the real data")
    cv2.setNumThreads(1)
    shares = []
    for name, image, _ in read_fields(parser.parse_args().shared):
        nuclei, cells = segment(image, ClassicalParams())
        table = measure_cells(name, nuclei, cells)
        segmenting = median_time(partial(segment, image, ClassicalParams()))
        measuring = median_time(partial(measure_quality, image, nuclei, cells, table))
        shares.append(measuring / segmenting)
        print(f"{name}: segmenting {segmenting:.3f} s, measuring {measuring:.3f} s, {shares[-1]:.3f} of it")
    print(f"median {np.median(shares):.3f}")


if __name__ == "__main__":
    main()
