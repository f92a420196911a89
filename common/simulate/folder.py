"""Simulated fields as a competition folder: what a user would download, with all that is known beside it."""

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from common.cells import cell_mask_path, nucleus_mask_path, read_mask, write_mask
from common.classes import COLORS, format_labels
from common.errors import DataError
from common.files import atomic
from common.images import write_png
from common.simulate.debris import Debris
from common.simulate.fields import Field, Flags, LabelMap, Truth, label_fields, simulate_field
from common.simulate.samples import Entry, SimulateParams, generator, plan
from common.simulate.segmenter import flawed_masks

FLAGS = ("mitotic", "out_of_focus", "silent")
WRITTEN = {"train", "test", "masks", "truth_masks", "train.csv", "samples.csv", "truth.csv"} | {
    f"truth_{table}.csv" for table in ("labels", "cells", "debris", "duplicates")
}
"""All that a simulation holds."""


@dataclass(frozen=True)
class Written:
    """What a worker sends back of a field; pixels stay on disk."""

    image_id: str
    truth: Truth
    flags: Flags
    debris: list[Debris]


def write_competition_folder(
    folder: Path,
    params: SimulateParams,
    run: Callable[[Callable[[Entry], Written], Sequence[Entry]], Iterable[Written]] = map,
    layouts: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write the pictures and tables of a competition, and the truth.

    Args:
        folder: it appears when all of it is written. It gets ``train.csv``,
            ``train/``, ``test/`` and ``samples.csv``; of the truth ``truth.csv``, ``truth_masks/``,
            ``truth_labels.csv`` (weak labels without mistakes), ``truth_cells.csv`` (flags), ``truth_debris.csv``
            and ``truth_duplicates.csv``; and ``masks/``, as a good segmenter would draw them.
        run: maps a function over the plan, as ``map`` or a process pool's map does, in any order.
        layouts: a folder of cell masks, ``<ID>_cell.png`` or any PNG, and perhaps ``<ID>_nucleus.png``, to lay the
            fields out on in turn.
        overwrite: replace an earlier simulation; nothing else is ever replaced.

    Raises:
        DataError: ``folder`` holds something or is the current one; ``layouts`` holds no cell mask, or one that
            cannot be used.
        MachineError: a picture cannot be written.
    """
    _refuse_full(folder, overwrite)
    maps = _find_layouts(layouts) if layouts else []
    entries = plan(params)
    with atomic(folder) as part:
        for name in {entry.split for entry in entries} | {"truth_masks", "masks"}:
            (part / name).mkdir(parents=True)
        draw = partial(write_field, folder=part, params=params, layouts=maps)
        _write_tables(part, entries, {written.image_id: written for written in run(draw, entries)}, params)


def _refuse_full(folder: Path, overwrite: bool) -> None:
    if Path.cwd().is_relative_to(folder.resolve()):  # it will be put in place by a rename
        raise DataError(f"{folder}: is or holds the folder you are in; give the name of a folder below it")
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not all((folder / name).exists() for name in ("train.csv", "truth_cells.csv")):
        raise DataError(f"{folder}: is neither empty nor a simulation; choose another place to simulate into")
    if strangers := sorted({path.name for path in folder.iterdir()} - WRITTEN):
        found = ", ".join(strangers[:5])
        raise DataError(f"{folder}: holds a simulation and what is not of it ({found}); move that elsewhere")
    if not overwrite:
        raise DataError(f"{folder}: holds a simulation; remove it, choose another place, or add --overwrite")


def write_field(entry: Entry, folder: Path, params: SimulateParams, layouts: Sequence[Path] = ()) -> Written:
    """Draw one field and write its channels and its masks."""
    field = _draw(entry, params, layouts[entry.field % len(layouts)] if layouts else None)
    for color, channel in zip(COLORS, field.image, strict=True):
        write_png(folder / entry.split / f"{entry.image_id}_{color}.png", channel)
    rng = generator(params, "segmenter", entry.field)
    flawed = flawed_masks(rng, field.cells, field.nuclei, params.side_px / 512 * params.zoom)
    for name, (cells, nuclei) in {"truth_masks": (field.cells, field.nuclei), "masks": flawed}.items():
        write_mask(cell_mask_path(folder / name, entry.image_id), cells)
        write_mask(nucleus_mask_path(folder / name, entry.image_id), nuclei)
    return Written(entry.image_id, field.truth, field.flags, field.debris)


def _draw(entry: Entry, params: SimulateParams, layout: Path | None) -> Field:
    if layout is None:
        return simulate_field(entry, params)
    given = _read_layout(layout)
    try:
        return simulate_field(entry, params, given)
    except DataError as error:
        raise DataError(f"{layout}: {error}") from None


def _find_layouts(folder: Path) -> list[Path]:
    if found := sorted(folder.glob("*_cell.png")):
        return found
    others = [f"_{name}.png" for name in ("nucleus", *COLORS)]
    found = sorted(path for path in folder.glob("*.png") if not path.name.endswith(tuple(others)))
    if not found:
        advice = f"expected cell masks, best named <ID>_cell.png; {', '.join(others)} are none"
        raise DataError(f"{folder}: holds no PNG of cells; {advice}")
    return found


def _read_layout(path: Path) -> tuple[LabelMap, LabelMap | None]:
    nuclei = nucleus_mask_path(path.parent, path.name.removesuffix("_cell.png"))
    return read_mask(path), read_mask(nuclei) if nuclei.is_file() else None


def _write_tables(
    folder: Path, entries: Sequence[Entry], written: dict[str, Written], params: SimulateParams
) -> None:
    labels = label_fields(entries, {image_id: one.truth for image_id, one in written.items()}, params)
    train = [(e.image_id, format_labels(labels[e.image_id].noisy)) for e in entries if e.split == "train"]
    clean = [(e.image_id, format_labels(labels[e.image_id].clean)) for e in entries]
    samples = [(e.image_id, e.sample_id, e.cell_line) for e in entries]
    duplicates = [(e.image_id, e.duplicate_of) for e in entries if e.duplicate_of]
    known = [written[entry.image_id] for entry in entries]
    _write_csv(folder / "train.csv", ("ID", "Label"), train)
    _write_csv(folder / "samples.csv", ("ID", "sample_id", "cell_line"), samples)
    _write_csv(
        folder / "truth.csv", ("ID", "cell_id", "Label"), [row for one in known for row in _cells(one)]
    )
    _write_csv(folder / "truth_labels.csv", ("ID", "Label"), clean)
    _write_csv(
        folder / "truth_cells.csv", ("ID", "cell_id", *FLAGS), [row for one in known for row in _flags(one)]
    )
    debris = [(o.image_id, d.kind, *np.round((d.y, d.x, d.radius_px), 1)) for o in known for d in o.debris]
    _write_csv(folder / "truth_debris.csv", ("ID", "kind", "y", "x", "radius_px"), debris)
    _write_csv(folder / "truth_duplicates.csv", ("ID", "duplicate_of"), duplicates)


def _cells(written: Written) -> list[tuple[object, ...]]:
    return [
        (written.image_id, cell_id, format_labels(tuple(np.flatnonzero(row))))
        for cell_id, row in enumerate(written.truth, start=1)
    ]


def _flags(written: Written) -> list[tuple[object, ...]]:
    columns = np.stack([getattr(written.flags, name) for name in FLAGS], axis=1).astype(int)
    return [(written.image_id, cell_id, *row) for cell_id, row in enumerate(columns, start=1)]


def _write_csv(path: Path, header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
