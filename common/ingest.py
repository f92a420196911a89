"""Takes images into the house: opens each once, copies its files, and writes the tables of images and truth."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from common.cells import nucleus_mask_path, read_mask
from common.classes import CLASSES, COLORS
from common.competition import Competition, TrueField
from common.duplicates import duplicate_groups, perceptual_hash
from common.errors import DataError, fail_together
from common.image_table import COLUMNS
from common.images import Field, find_fields, read_channel, read_image
from common.parallel import killed_at, pmap
from common.shards import OnFault, settle_faults
from common.truth import COLUMNS as TRUTH_COLUMNS

Split = Literal["train", "test"]
Take = Literal["copy", "link", "move"]
"""What becomes of a source's files."""


@dataclass(frozen=True)
class Entry:
    """An image on its way into the table."""

    field: Field
    split: Split
    labels: tuple[int, ...] = ()
    sample_id: str = ""
    cell_line: str = ""
    source: str = ""
    """Where it is not that of the others."""


def competition_entries(competition: Competition) -> list[Entry]:
    """Both parts of a competition folder; images without a row in samples.csv are their own sample."""
    parts: list[tuple[list[Field], Split]] = [(competition.train, "train"), (competition.test, "test")]
    return [
        Entry(field, split, competition.labels.get(i, ()), *competition.samples.get(i, (i, "")))
        for fields, split in parts
        for field in fields
        for i in [field.image_id]
    ]


def folder_entries(folder: Path) -> list[Entry]:
    """A user's own images, unlabelled: all of them are the test part.

    Raises:
        DataError: no image, or a fault in their names; lists all.
    """
    fields, faults = find_fields(folder)
    fail_together(faults, folder, "mend the files")
    return [Entry(field, "test", sample_id=field.image_id) for field in fields]


def ingest(
    entries: list[Entry], source: str, out: Path, take: Take = "copy", on_fault: OnFault = "stop"
) -> pd.DataFrame:
    """Open every image, ``take`` its files to ``out/pixels`` and write ``out/images.parquet``.

    Images that cannot be used stop it, or are left out and listed in ``out/skipped.csv``.

    Raises:
        DataError: images cannot be used, and ``on_fault`` is ``stop`` or there is no other; lists them all.
    """
    (out / "pixels").mkdir(parents=True)
    work = partial(_ingest_one, source=source, out=out, take=take)
    records = list(pmap(work, entries, "images", deadly=lambda entry: killed_at(entry.field.image_id)))
    faults = {e.field.image_id: r for e, r in zip(entries, records, strict=True) if isinstance(r, str)}
    settle_faults(faults, len(entries), on_fault, out)
    rows = [record for record in records if isinstance(record, dict)]
    hashes = np.array([row.pop("hashes") for row in rows], dtype=np.uint64).reshape(-1, 3)
    table = pd.DataFrame(rows)
    table["duplicate_group"] = duplicate_groups([row["image_id"] for row in rows], hashes)
    table = table[COLUMNS].sort_values("image_id", ignore_index=True)
    table.to_parquet(out / "images.parquet", index=False)
    return table


def _ingest_one(entry: Entry, source: str, out: Path, take: Take) -> dict[str, Any] | str:
    """The row of one image, or a sentence on what is wrong with it."""
    try:
        image = read_image(entry.field)
    except DataError as error:
        return str(error)
    for path in entry.field.paths:
        _take(path, out / "pixels" / path.name, take)
    return {
        "image_id": entry.field.image_id,
        "source": entry.source or source,
        **{color: f"pixels/{path.name}" for color, path in zip(COLORS, entry.field.paths, strict=True)},
        "height": image.shape[1],
        "width": image.shape[2],
        "bit_depth": image.dtype.itemsize * 8,
        "cell_line": entry.cell_line,
        "sample_id": entry.sample_id,
        "labels": list(entry.labels),
        "split": entry.split,
        "hashes": perceptual_hash(image),
    }


def _take(path: Path, copy: Path, take: Take) -> None:
    if take == "link":
        copy.symlink_to(path.resolve())
    elif take == "move":
        shutil.move(path, copy)
    else:
        shutil.copyfile(path, copy)


def write_truth(competition: Competition, out: Path) -> None:
    """Write ``out/truth.parquet`` (a 0/1 column a class) and ``out/masks``; no rows where nothing is known.

    What a simulated folder knows besides (``truth_*.csv``, masks of nuclei) goes along.

    Raises:
        DataError: a truth mask is missing or of another size than its image, or its cells are not those of
            truth.csv; all such images are listed.
    """
    (out / "masks").mkdir(parents=True)
    true_fields = competition.true_fields()
    faults = [fault for fault in pmap(truth_mask_fault, true_fields, "truth masks") if fault]
    fail_together(faults, competition.folder, "mend the truth")
    for true_field in true_fields:
        nuclei = nucleus_mask_path(true_field.mask.parent, true_field.field.image_id)
        for path in (true_field.mask, *([nuclei] if nuclei.is_file() else [])):
            shutil.copyfile(path, out / "masks" / path.name)
    for path in competition.folder.glob("truth_*.csv"):
        shutil.copyfile(path, out / path.name)
    rows = [
        (*cell, *(int(class_id in classes) for class_id in range(len(CLASSES))))
        for cell, classes in sorted(competition.truth.items())
    ]
    pd.DataFrame(rows, columns=TRUTH_COLUMNS).to_parquet(out / "truth.parquet", index=False)


def write_no_truth(out: Path) -> None:
    """Write an empty truth table."""
    (out / "masks").mkdir(parents=True)
    pd.DataFrame(columns=TRUTH_COLUMNS).to_parquet(out / "truth.parquet", index=False)


def truth_mask_fault(true_field: TrueField) -> str | None:
    """Say what is wrong with a truth mask: absent, of another size, or with other cells than truth.csv."""
    try:
        height, width = read_channel(true_field.field.paths[0], COLORS[0]).shape
        mask = read_mask(true_field.mask, (height, width))
    except DataError as error:
        return str(error)
    in_mask = set(pd.unique(mask.ravel()).tolist()) - {0}
    if in_mask == true_field.cells:
        return None
    differing = sorted(in_mask ^ true_field.cells)[:5]
    return f"{true_field.field.image_id}: cells {differing} are in only one of truth.csv and the truth mask"
