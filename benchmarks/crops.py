"""What it costs to cut the cells out of a field, and how fast a large store is read, with and without a view.

python -m benchmarks.crops [--shared FOLDER] [--cells 10000] [--repeats 7]

The field is a real one of 2048 px where the folder of real data is there, else a simulated one. It is cut again and
again, under other names, until the store is full. Times are CPU seconds of one process.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from common.cells import cell_mask_path, measure_cells, write_mask
from common.classes import COLORS
from common.crops import CropParams, CropStore
from common.cutting import write_store
from common.images import Field, read_image, write_png
from common.segmentation.classical import ClassicalParams, segment
from common.simulate.fields import simulate_field
from common.simulate.samples import SimulateParams, plan
from common.views import View, apply_view

PAGE = 4096
FIELD = "000a6c98-bb9b-11e8-b2b9-ac1f6b6435d0"
VIEW = View(channels=("microtubules", "protein", "nucleus"), mask="own", square="stretch", size_px=256)


def simulated_field(folder: Path) -> Field:
    """Write a simulated field of 2048 px."""
    params = SimulateParams(
        fields=1, test_fields=0, side_px=2048, bit_depth=8, fields_per_sample=1, label_noise=0, seed=0
    )
    paths = tuple(folder / f"simulated_{color}.png" for color in COLORS)
    for path, channel in zip(paths, simulate_field(plan(params)[0], params).image, strict=True):
        write_png(path, channel)
    return Field("simulated", paths)


def cpu_seconds(repeats: int, *works: Callable[[], object]) -> list[float]:
    """Median CPU seconds of each work, taken in turn."""
    times = []
    for _ in range(repeats):
        for work in works:
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
    return [statistics.median(times[place :: len(works)]) for place in range(len(works))]


def fields_and_cells(field: Field, masks: Path, cells: int) -> tuple[list[Field], pd.DataFrame]:
    """The field under as many names as make ``cells`` cells, with its masks in ``masks``."""
    nuclei, found = segment(read_image(field), ClassicalParams())
    table = measure_cells(field.image_id, nuclei, found)
    names = [f"copy{number}" for number in range(-(-cells // len(table)))]
    write_mask(cell_mask_path(masks, field.image_id), found)
    for name in names:
        cell_mask_path(masks, name).symlink_to(cell_mask_path(masks, field.image_id))
    copies = [table.assign(image_id=name) for name in names]
    return [Field(name, field.paths) for name in names], pd.concat(copies, ignore_index=True)


def report_cutting(fields: list[Field], masks: Path, cells: pd.DataFrame, repeats: int) -> None:
    """Print the cost of a field's crops as a ratio of decoding its four channels."""
    stores = iter(range(repeats))

    def cut() -> None:
        write_store(fields, masks, cells, CropParams(), masks / f"cut-{next(stores)}")

    def decode() -> None:
        for field in fields:
            for path in field.paths:
                cv2.imread(str(path), cv2.IMREAD_UNCHANGED)

    decoding, cutting = (seconds / len(fields) for seconds in cpu_seconds(repeats, decode, cut))
    print(f"{'decode the four channels of a field:':35}{decoding * 1000:6.0f} ms")
    count = f"crops of its {len(cells) // len(fields)} cells:"
    print(f"{count:35}{cutting * 1000:6.0f} ms, {cutting / decoding:.2f} x")


def report_reading(folder: Path, params: CropParams, repeats: int) -> None:
    """Print files, bytes, and crops a second of a store, in random order."""
    store = CropStore(folder)
    rows = np.random.default_rng(0).permutation(len(store))[:1000]
    raw = sum(store.read(int(row))[0].nbytes for row in rows) / len(rows)
    files = [path.stat().st_size for path in folder.iterdir()]
    share = sum(files) / len(store) / raw
    reading, viewing = cpu_seconds(
        repeats,
        lambda: [store.read(int(row))[0].ravel()[::PAGE].max() for row in rows],  # a map is read when touched
        lambda: [apply_view(*store.read(int(row)), VIEW) for row in rows],
    )
    print(
        f"{params.compression:5} {params.box:7} {len(store)} crops in {len(files)} files, {raw / 1000:.0f} KB raw, "
        f"{share:.0%} of it on disk: {len(rows) / reading:6.0f} crops/s, {len(rows) / viewing:6.0f} views/s"
    )


def main() -> None:
    """Print both reports."""
    default = Path(os.environ.get("HPA_SHARED", Path(__file__).parents[2] / "shared"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--shared", type=Path, default=default, help="folder of the real data")
    parser.add_argument("--cells", type=int, default=10_000, help="crops of the large store")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs, of which the median is taken")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    os.environ["HPA_PARALLEL"] = "serial"
    paths = tuple(options.shared / "data/fields" / f"{FIELD}_{color}.png" for color in COLORS)
    with tempfile.TemporaryDirectory() as scratch:
        masks = Path(scratch)
        field = Field(FIELD, paths) if all(path.exists() for path in paths) else simulated_field(masks)
        fields, cells = fields_and_cells(field, masks, options.cells)
        few = cells[cells["image_id"].isin([field.image_id for field in fields[:20]])]
        report_cutting(fields[:20], masks, few, options.repeats)
        for params in (CropParams(), CropParams(box="tight"), CropParams(compression="none")):
            out = masks / f"{params.compression}-{params.box}"
            os.environ["HPA_PARALLEL"] = "process"
            write_store(fields, masks, cells, params, out)
            report_reading(out, params, options.repeats)


if __name__ == "__main__":
    main()
