"""Reads a folder in the competition's shape and lists all that is wrong with it at once.

``train.csv`` (ID,Label), images in ``train/`` or beside it, optionally ``test/``, ``samples.csv``
(ID,sample_id,cell_line), and the truth of a simulated or human-labelled folder: ``truth.csv`` (ID,cell_id,Label)
with ``truth_masks/<ID>_cell.png``.
"""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from common.cells import cell_mask_path
from common.classes import NEGATIVE, parse_labels
from common.errors import DataError
from common.images import Field, find_fields, id_fault

CELL_ID = re.compile(r"[1-9][0-9]{0,4}")


@dataclass(frozen=True)
class TrueField:
    """An image whose cells are known: its files, its truth mask, the ids of the cells in truth.csv."""

    field: Field
    mask: Path
    cells: set[int]


@dataclass(frozen=True)
class Competition:
    """What a competition folder holds. ``faults`` is one sentence for each thing to mend."""

    folder: Path
    train: list[Field]
    test: list[Field]
    labels: dict[str, tuple[int, ...]]
    samples: dict[str, tuple[str, str]]
    """image id -> (sample id, cell line)"""
    truth: dict[tuple[str, int], tuple[int, ...]]
    """(image id, cell id) -> classes; empty where the folder carries no truth"""
    faults: list[str]

    def true_fields(self) -> list[TrueField]:
        """The images that truth.csv speaks of."""
        cells: dict[str, set[int]] = defaultdict(set)
        for image_id, cell_id in self.truth:
            cells[image_id].add(cell_id)
        masks = self.folder / "truth_masks"
        known = [field for field in self.train + self.test if field.image_id in cells]
        return [TrueField(f, cell_mask_path(masks, f.image_id), cells[f.image_id]) for f in known]


def only(competition: Competition, image_ids: set[str]) -> Competition:
    """The part of a competition that speaks of some images."""
    return replace(
        competition,
        train=[field for field in competition.train if field.image_id in image_ids],
        test=[field for field in competition.test if field.image_id in image_ids],
        truth={cell: classes for cell, classes in competition.truth.items() if cell[0] in image_ids},
    )


def read_competition(folder: Path) -> Competition:
    """Read the tables of a competition folder and find its images; pixels are not opened.

    Raises:
        DataError: ``folder`` has no train.csv, or no image.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with train.csv and images")
    if not (folder / "train.csv").is_file():
        raise DataError(f"{folder}: holds no train.csv; expected a competition folder (ID,Label and images)")
    faults: list[str] = []
    labels = read_labels(folder / "train.csv", faults)
    samples = _read_samples(folder / "samples.csv", faults)
    truth = _read_truth(folder / "truth.csv", faults)
    train, train_faults = find_fields(folder / "train" if (folder / "train").is_dir() else folder)
    test, test_faults = find_fields(folder / "test") if (folder / "test").is_dir() else ([], [])
    faults += train_faults + test_faults + _mismatches(labels, train, test)
    found = {f.image_id for f in train + test}
    for table, ids in (("samples.csv", set(samples)), ("truth.csv", {image_id for image_id, _ in truth})):
        faults += [f"{table}: {i} is no image of this folder; remove its rows" for i in sorted(ids - found)]
    return Competition(folder, train, test, labels, samples, truth, faults)


def _mismatches(labels: dict[str, tuple[int, ...]], train: list[Field], test: list[Field]) -> list[str]:
    if not labels:
        return []  # the table itself is at fault, and that is said already
    found = {f.image_id for f in train}
    twice = found & {f.image_id for f in test}
    return [
        *(
            f"train.csv: {i} has no complete set of channels in the folder"
            for i in sorted(set(labels) - found)
        ),
        *(
            f"{i}: has no row in train.csv; add one, or move the image to test/"
            for i in sorted(found - set(labels))
        ),
        *(f"{i}: is in both the train and the test part; keep one" for i in sorted(twice)),
    ]


def read_labels(path: Path, faults: list[str]) -> dict[str, tuple[int, ...]]:
    """The class ids of each image of a train.csv (ID,Label); what is wrong with rows is added to ``faults``."""
    labels: dict[str, tuple[int, ...]] = {}
    for where, (image_id, label) in _rows(path, ("ID", "Label"), faults):
        if image_id in labels:
            faults.append(f"{where}: id {image_id} is there twice; keep one row")
        if fault := id_fault(image_id):
            faults.append(f"{where}: {fault}")
        try:
            labels[image_id] = parse_labels(label)
        except ValueError as error:
            faults.append(f"{where}: label {label!r}: {error}; expected ids joined by |, like 0|16")
            labels.setdefault(image_id, ())
    return labels


def _read_samples(path: Path, faults: list[str]) -> dict[str, tuple[str, str]]:
    samples: dict[str, tuple[str, str]] = {}
    rows = _rows(path, ("ID", "sample_id", "cell_line"), faults) if path.is_file() else ()
    for where, (image_id, sample, line) in rows:
        if image_id in samples:
            faults.append(f"{where}: id {image_id} is there twice; keep one row")
        if not sample:
            faults.append(
                f"{where}: sample_id is empty; give {image_id} a sample of its own, or remove the row"
            )
        samples[image_id] = (sample, line)
    return samples


def _read_truth(path: Path, faults: list[str]) -> dict[tuple[str, int], tuple[int, ...]]:
    truth: dict[tuple[str, int], tuple[int, ...]] = {}
    for where, (image_id, cell, label) in (
        _rows(path, ("ID", "cell_id", "Label"), faults) if path.is_file() else ()
    ):
        if not CELL_ID.fullmatch(cell):
            faults.append(f"{where}: cell_id is {cell[:20]!r}, expected a whole number from 1 to 65535")
            continue
        if (image_id, int(cell)) in truth:
            faults.append(f"{where}: {image_id} cell {cell} is there twice; keep one row")
        try:
            truth[image_id, int(cell)] = parse_labels(label) if label else (NEGATIVE,)
        except ValueError as error:
            faults.append(f"{where}: label {label!r}: {error}")
    return truth


def _rows(path: Path, columns: tuple[str, ...], faults: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield ``("train.csv row 2", values)``; what is no plain comma separated UTF-8 goes to ``faults``."""
    content = path.read_bytes()
    if content.startswith(b"\xef\xbb\xbf"):
        faults.append(f"{path.name}: begins with a byte order mark; save it as UTF-8 without BOM")
        content = content[3:]
    if b"\r" in content:
        faults.append(
            f"{path.name}: has Windows line ends (CRLF); save it with LF, for example with dos2unix"
        )
    try:
        lines = list(csv.reader(content.decode("utf-8").splitlines()))
    except (UnicodeDecodeError, csv.Error) as error:
        faults.append(f"{path.name}: is no UTF-8 CSV ({error}); save it as UTF-8, comma separated")
        return
    if not lines or tuple(lines[0]) != columns:
        found = ",".join(lines[0]) if lines else "nothing"
        hint = "; it is separated by ';', save it with ','" if ";" in found else ""
        faults.append(f"{path.name} row 1: header is {found!r}, expected {','.join(columns)!r}{hint}")
        return
    if len(lines) == 1:
        faults.append(f"{path.name}: holds no row below its header")
    for number, values in enumerate(lines[1:], start=2):
        if len(values) == len(columns):
            yield f"{path.name} row {number}", values
        else:
            faults.append(f"{path.name} row {number}: has {len(values)} values, expected {len(columns)}")
