"""The ``unet`` segmenter beside the classical one: on real fields, on harsher views of them, on simulated ones.

    python -m benchmarks.segmenters --shared PATH --weights data/models/segmenter/unet

The reference of real fields are the official masks. Recall and precision count cells at IoU 0.6. Times are of one core,
without reading files.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from benchmarks.segmentation import Field, read_fields
from common.errors import UserError
from common.segmentation.classical import ClassicalParams
from common.segmentation.classical import segment as segment_classically
from common.segmentation.network_params import UnetParams
from common.segmentation.unet import load_unet, segment
from common.segmenter_training.hits import Hits, count_hits
from common.simulate.fields import simulate_field
from common.simulate.samples import SimulateParams, plan

SEED = 12_345
DIFFICULTIES = (0.4, 0.8)
View = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def as_is(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half the size, as all views: (4, H, W) uint8 to (4, H / 2, W / 2) float32 in [0, 1]."""
    half = [cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for plane in image]
    return np.stack(half).astype(np.float32) / 255


def dimmed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each channel with a gain of its own, 1/4 to 1."""
    return as_is(image, rng) * rng.uniform(0.25, 1, (4, 1, 1)).astype(np.float32)


def noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """25 photons at full scale, and read noise."""
    light = as_is(image, rng)
    return rng.poisson(light * 25) / 25 + rng.normal(0, 0.03, light.shape)


def blurred(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sigma .64 um: two pixels of a field of 512."""
    light = as_is(image, rng)
    return np.stack([cv2.GaussianBlur(plane, (0, 0), max(light.shape) / 256) for plane in light])


def steep(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Brightness to the power of 1.5: thin parts of cells vanish."""
    return as_is(image, rng) ** 1.5


def shaded(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light falls by .6 from one corner to the other."""
    light = as_is(image, rng)
    y, x = np.mgrid[0 : 1 : light.shape[1] * 1j, 0 : 1 : light.shape[2] * 1j]
    return light * (1 - 0.6 * (x + y) / 2)


def dim_blurred_noisy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Gains, sigma .32 um, 40 photons."""
    light = dimmed(image, rng)
    light = np.stack([cv2.GaussianBlur(plane, (0, 0), max(light.shape) / 512) for plane in light])
    return rng.poisson(light * 40) / 40 + rng.normal(0, 0.02, light.shape)


VIEWS: tuple[View, ...] = (as_is, dimmed, noisy, blurred, steep, shaded, dim_blurred_noisy)

Segment = Callable[[np.ndarray], np.ndarray]
"""Image (4, H, W) uint8 to cell mask (H, W)."""
Pairs = list[tuple[np.ndarray, np.ndarray]]
"""Images and their true cell masks."""


def sets_of(real: list[Field], simulated: int) -> Iterator[tuple[str, Pairs]]:
    """The named sets of images that segmenters are tried on."""
    yield "real, full size", [(image, mask) for _, image, mask in real]
    for view in VIEWS:
        rng = np.random.default_rng(SEED)
        seen = [np.rint(255 * np.clip(view(image, rng), 0, 1)).astype(np.uint8) for _, image, _ in real]
        yield (
            f"real, {view.__name__}",
            [(image, mask[::2, ::2]) for image, (*_, mask) in zip(seen, real, strict=True)],
        )
    for difficulty in DIFFICULTIES:
        params = SimulateParams(
            fields=simulated, test_fields=0, seed=SEED, difficulty=difficulty, duplicates=0
        )
        drawn = [simulate_field(entry, params) for entry in plan(params)]
        yield f"simulated, {difficulty}", [(field.image, field.cells) for field in drawn]


def measure(segmenter: Segment, pairs: Pairs) -> tuple[Hits, float]:
    """Hits, and seconds of a core for an image."""
    started = time.process_time()
    found = [segmenter(image) for image, _ in pairs]
    seconds = (time.process_time() - started) / len(pairs)
    return count_hits(zip(found, [mask for _, mask in pairs], strict=True)), seconds


def report(real: list[Field], simulated: int, segmenters: dict[str, Segment]) -> None:
    """Print a row for each set and segmenter."""
    print(f"{'set':26}  {'segmenter':10}  cells  found  hits  recall  precision  seconds")
    for name, pairs in sets_of(real, simulated):
        for segmenter, segment_one in segmenters.items():
            hits, seconds = measure(segment_one, pairs)
            counts = f"{hits.cells:5}  {hits.found:5}  {hits.matched:4}"
            print(
                f"{name:26}  {segmenter:10}  {counts}  {hits.recall:6.3f}  {hits.precision:9.3f}  {seconds:7.2f}",
                flush=True,
            )


def main() -> int:
    """Parse the command line and print the report; 3 where there are no data, 4 without weights."""
    default = Path(os.environ.get("HPA_SHARED", Path(__file__).parents[2] / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=default, help="folder of the real data")
    parser.add_argument("--weights", type=Path, default=Path("data/models/segmenter/unet"))
    parser.add_argument("--simulated", type=int, default=30, help="simulated fields of each difficulty")
    options = parser.parse_args()
    try:
        trained = load_unet(options.weights)
        segmenters: dict[str, Segment] = {
            "classical": lambda image: segment_classically(image, ClassicalParams())[1],
            "unet": lambda image: segment([image], trained, UnetParams())[0][1],
        }
        report(read_fields(options.shared), options.simulated, segmenters)
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
