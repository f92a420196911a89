"""Simulated fields as a competition folder: what a user would download, with the truth beside it."""

import csv
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from common.cells import cell_mask_path, nucleus_mask_path, write_mask
from common.classes import COLORS, format_labels
from common.errors import DataError
from common.files import atomic
from common.images import write_png
from common.simulate.fields import Truth, label_fields, simulate_field
from common.simulate.samples import Entry, SimulateParams, plan

Written = tuple[str, Truth]
"""What a worker sends back: an image id and the truth of its cells. Pixels stay on disk."""


def write_competition_folder(
    folder: Path,
    params: SimulateParams,
    run: Callable[[Callable[[Entry], Written], Sequence[Entry]], Iterable[Written]] = map,
) -> None:
    """Write ``train.csv``, ``train/``, ``test/``, ``samples.csv``, ``truth.csv`` and ``truth_masks/``.

    Args:
        folder: must be absent or empty; it appears when all of it is written.
        run: maps a function over the plan, as ``map`` or a process pool's map does, in any order.

    Raises:
        DataError: ``folder`` holds something.
        MachineError: a picture cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"{folder}: is not an empty folder; remove it, or choose another place to simulate into"
        )
    entries = plan(params)
    with atomic(folder) as part:
        for name in {entry.split for entry in entries} | {"truth_masks"}:
            (part / name).mkdir(parents=True)
        truths = dict(run(partial(write_field, folder=part, params=params), entries))
        _write_tables(part, entries, truths, label_fields(entries, truths, params))


def write_field(entry: Entry, folder: Path, params: SimulateParams) -> Written:
    """Draw one field and write its channels and its masks."""
    field = simulate_field(entry, params)
    for color, channel in zip(COLORS, field.image, strict=True):
        write_png(folder / entry.split / f"{entry.image_id}_{color}.png", channel)
    write_mask(cell_mask_path(folder / "truth_masks", entry.image_id), field.cells)
    write_mask(nucleus_mask_path(folder / "truth_masks", entry.image_id), field.nuclei)
    return entry.image_id, field.truth


def _write_tables(
    folder: Path, entries: Sequence[Entry], truths: dict[str, Truth], labels: dict[str, tuple[int, ...]]
) -> None:
    train = [(e.image_id, format_labels(labels[e.image_id])) for e in entries if e.split == "train"]
    samples = [(e.image_id, e.sample_id, e.cell_line) for e in entries]
    truth = [
        (entry.image_id, cell_id, format_labels(tuple(np.flatnonzero(row))))
        for entry in entries
        for cell_id, row in enumerate(truths[entry.image_id], start=1)
    ]
    _write_csv(folder / "train.csv", ("ID", "Label"), train)
    _write_csv(folder / "samples.csv", ("ID", "sample_id", "cell_line"), samples)
    _write_csv(folder / "truth.csv", ("ID", "cell_id", "Label"), truth)


def _write_csv(path: Path, header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
