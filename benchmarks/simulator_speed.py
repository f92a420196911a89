"""Time and memory of simulating fields, and of ``hpa simulate``, against writing their pictures as PNG.

    python -m benchmarks.simulator_speed [--fields 40]

The peer is OpenCV's encoding of the same four channels, without which no simulator could give a competition folder.
"""

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2

from common.parallel import pmap, worker_count
from common.simulate.fields import simulate_field
from common.simulate.folder import write_competition_folder
from common.simulate.samples import Entry, SimulateParams, plan

SECONDS, MEGABYTES, MINUTES = 0.12, 200, 2.0
"""Targets: CPU time of a 512 px field, memory above that of the imports, and time for 1,000 fields on two cores."""


Timed = tuple[float, float, int]
"""CPU seconds to simulate a field and to encode its four channels, and its cells."""


def timed_field(entry: Entry, params: SimulateParams) -> Timed:
    """Simulate one field and encode it."""
    start = time.process_time()
    field = simulate_field(entry, params)
    drawn = time.process_time()
    for channel in field.image:
        cv2.imencode(".png", channel)
    return drawn - start, time.process_time() - drawn, len(field.truth)


def one_by_one(fields: int) -> tuple[float, float, float]:
    """Medians over fields of the CPU seconds to simulate and to encode, and the mean number of cells."""
    cv2.setNumThreads(1)
    params = SimulateParams(fields=fields, test_fields=0, seed=0)
    timed = [timed_field(entry, params) for entry in plan(params)]
    simulated, encoded, cells = zip(*timed, strict=True)
    return statistics.median(simulated), statistics.median(encoded), statistics.mean(cells)


def growth_megabytes(fields: int) -> float:
    """How far the memory of a fresh process grows while it simulates a folder, one field after another."""
    before = peak_megabytes()
    with tempfile.TemporaryDirectory() as name:
        write_competition_folder(Path(name), SimulateParams(fields=fields, test_fields=0, seed=0))
    return peak_megabytes() - before


def peak_megabytes() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def folder_minutes(fields: int) -> tuple[float, float]:
    """Wall and CPU minutes that ``hpa simulate`` needs for 1,000 fields."""
    params = SimulateParams(fields=fields, test_fields=0, seed=0)
    with tempfile.TemporaryDirectory() as name:
        before, start = os.times(), time.perf_counter()
        write_competition_folder(Path(name), params, partial(pmap, what="fields"))
        wall, after = time.perf_counter() - start, os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    return wall / fields * 1000 / 60, cpu / fields * 1000 / 60


def main() -> None:
    """Print the numbers beside their targets; memory and time in processes of their own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fields", type=int, default=40)
    fields = parser.parse_args().fields
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as apart:
        megabytes = apart.submit(growth_megabytes, fields).result()
        simulated, encoded, cells = apart.submit(one_by_one, fields).result()
    wall, cpu = folder_minutes(fields)
    print(f"{fields} fields of 512 px, {cells:.1f} cells each")
    print(f"CPU seconds a field, median                {simulated:8.3f}  at most {SECONDS}")
    print(f"  the peer, four PNG by OpenCV             {encoded:8.3f}  ratio {simulated / encoded:.1f}")
    print(f"memory above the imports', MB              {megabytes:8.0f}  at most {MEGABYTES}")
    print(f"1,000 fields of hpa simulate, CPU minutes  {cpu:8.2f}  at most {2 * MINUTES} on two cores")
    print(f"  wall minutes with {worker_count()} workers              {wall:8.2f}")


if __name__ == "__main__":
    main()
