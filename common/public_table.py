"""The metadata table of the public Human Protein Atlas: which images there are, and which of them are wanted.

The table is ``kaggle_2021.tsv``, comma separated for all its name, from the competition's host. Its ``Image`` is the
address of an image without colour and ending, whose last parts are the antibody's number and the image's id.
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field, field_validator

from common.classes import CLASSES
from common.download import DownloadParams
from common.errors import DataError, fail_together
from common.images import id_fault

COLUMNS = ("Image", "Label", "Cellline", "in_trainset")
ADDRESS = re.compile(r"https?://[^\s/?#]+(/[^\s?#]+)*/(?P<antibody>[^\s/?#]+)/(?P<id>[^\s/?#]+)")
COMPETITION_LINES = (
    *("A-431", "A549", "EFO-21", "HAP1", "HEK 293", "HUVEC TERT2", "HaCaT", "HeLa", "PC-3", "RH-30"),
    *("RPTEC TERT1", "SH-SY5Y", "SK-MEL-30", "SiHa", "U-2 OS", "U-251 MG", "hTCEpi"),
)
"""The 17 cell lines of the competition."""
FREQUENT = frozenset({CLASSES.index("Nucleoplasm"), CLASSES.index("Cytosol")})
Rarity = Literal["rare", "only", "multi"]

MERGED = {
    "Focal adhesion sites": "Actin filaments",
    "Centriolar satellite": "Centrosome",
    "Cell Junctions": "Plasma membrane",
    **dict.fromkeys(
        ("Vesicles", "Peroxisomes", "Endosomes", "Lysosomes", "Lipid droplets", "Cytoplasmic bodies"),
        "Vesicles and punctate cytosolic patterns",
    ),
    "No staining": "Negative",
}
"""Names of the atlas that the competition put into another class; the others keep their name."""
CLASS_OF = {name.casefold(): class_id for class_id, name in enumerate(CLASSES)}
CLASS_OF |= {name.casefold(): CLASSES.index(merged) for name, merged in MERGED.items()}


class PublicParams(DownloadParams):
    """Which images of the public atlas to take, and how."""

    table: str = "kaggle_2021.tsv"
    """Below ``images.folder``."""
    cell_lines: tuple[str, ...] = COMPETITION_LINES
    """An empty list takes every line."""
    keep_rare: tuple[int, ...] = (CLASSES.index("Mitotic spindle"), CLASSES.index("Aggresome"))
    """Images with one of these classes are taken whatever their line."""
    rarity: tuple[Rarity, ...] = ("rare", "only", "multi")
    """rare: neither nucleoplasm nor cytosol; only: one of these alone; multi: one of these with others."""
    max_images: int | None = Field(default=None, ge=1)
    """At most so many; a larger number adds to the images of a smaller one."""
    form: Literal["jpg", "tif.gz"] = "jpg"
    """The ending of the files on the server; tif.gz is without loss and several times larger."""
    max_missing_share: float = Field(default=0.01, ge=0, le=1)
    """More images than this that cannot be had are an error."""
    cache: str = "data/download/public_hpa"
    """Where downloads are kept: no stage's output, so that nothing deletes them."""

    @field_validator("keep_rare")
    @classmethod
    def _are_classes(cls, ids: tuple[int, ...]) -> tuple[int, ...]:
        if unknown := [i for i in ids if not 0 <= i < len(CLASSES)]:
            raise ValueError(f"{unknown[0]} is no class id (0 to {len(CLASSES) - 1})")
        return ids


@dataclass(frozen=True)
class PublicImage:
    """An image of the atlas; ``url`` lacks colour and ending."""

    image_id: str
    url: str
    antibody: str
    cell_line: str
    labels: tuple[int, ...]


def read_public_table(path: Path) -> pd.DataFrame:
    """Read the metadata table: the columns ``COLUMNS`` as text, rows numbered as lines of the file.

    Raises:
        DataError: the table is absent, is no comma separated UTF-8, or lacks a column; or ``in_trainset`` is
            neither True nor False somewhere.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: no such table; fetch kaggle_2021.tsv from "
            "kaggle.com/lnhtrang/hpa-public-data-download-and-hpacellseg "
            "and put it there, or name yours in images.public_hpa.table"
        )
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError) as error:  # pandas' parser errors and wrong encodings are ValueErrors
        raise DataError(f"{path}: is no comma separated UTF-8 ({error}); fetch it again") from None
    if missing := [column for column in COLUMNS if column not in table]:
        hint = "; it is separated by tabs, save it with commas" if "\t" in "".join(table.columns) else ""
        raise DataError(f"{path}: lacks the columns {', '.join(missing)}{hint}")
    table.index += 2
    wrong = table.loc[~table["in_trainset"].str.lower().isin(["true", "false"]), "in_trainset"]
    faults = [f"row {row}: in_trainset is {value!r}" for row, value in wrong.items()]
    fail_together(faults, path, "expected True or False")
    return table[list(COLUMNS)]


def choose_images(
    table: pd.DataFrame, params: PublicParams, where: Path
) -> tuple[list[PublicImage], list[str]]:
    """Take the wanted rows of ``read_public_table``: not of the competition's training set, labelled, and filtered.

    Returns:
        The images sorted by id, and sentences on what was left out and why.

    Raises:
        DataError: no image is left; or a wanted row has no proper address, or its id is unsafe or there twice:
            lists all.
    """
    said: list[str] = []
    once = table.drop_duplicates()
    rows = once[once["in_trainset"].str.lower() == "false"]
    repeated = f" and {len(table) - len(once)} that repeat another" if len(once) < len(table) else ""
    known = f"{len(once) - len(rows)} of them in the competition's training set"
    said.append(f"{len(table)} rows, {known}{repeated}")
    labels = rows["Label"].map(_classes)
    said += _unmapped(rows["Label"], labels)
    rows, labels = rows[labels.map(bool)], labels[labels.map(bool)]
    wanted = _wanted(rows["Cellline"], labels, params)
    said.append(f"{(~wanted).sum()} images of other cell lines or rarities left out, {wanted.sum()} wanted")
    unknown = sorted(set(params.cell_lines) - set(table["Cellline"]))
    if unknown and params.cell_lines != COMPETITION_LINES:
        said.append(f"cell lines without any image in the table: {', '.join(unknown)}")
    if not wanted.any():
        raise DataError(f"{where}: no image is left: {'; '.join(said)}; widen images.public_hpa")
    images = _images(rows[wanted], labels[wanted], where)
    if params.max_images is not None and len(images) > params.max_images:
        images = sorted(images, key=_lot)[: params.max_images]
        said.append(f"{len(images)} of them taken (max_images)")
    return sorted(images, key=lambda image: image.image_id), said


def rarity(labels: tuple[int, ...]) -> Rarity:
    """How rare a set of classes is, by the two that most images show (the categories of github.com/Fkaneko)."""
    if not FREQUENT & set(labels):
        return "rare"
    return "only" if len(labels) == 1 else "multi"


def _classes(names: str) -> tuple[int, ...]:
    return tuple(sorted({CLASS_OF[n] for n in _names(names) if n in CLASS_OF}))


def _names(label: str) -> list[str]:
    return [name.strip().casefold() for name in label.split(",") if name.strip()]


def _unmapped(label: pd.Series, classes: pd.Series) -> list[str]:
    names = Counter(
        n.strip() for text in label for n in text.split(",") if n.strip().casefold() not in CLASS_OF
    )
    names.pop("", None)
    listed = ", ".join(f"{name} {count}" for name, count in names.most_common())
    dropped = int((~classes.map(bool)).sum())
    said = [f"names that are none of the {len(CLASSES)} classes (images): {listed}"] if listed else []
    return [*said, f"{dropped} images dropped, which have no other label"] if dropped else said


def _wanted(line: pd.Series, labels: pd.Series, params: PublicParams) -> pd.Series:
    of_line = line.isin(params.cell_lines) | (not params.cell_lines)
    kept = labels.map(lambda ids: bool(set(ids) & set(params.keep_rare)))
    return (of_line | kept) & labels.map(lambda ids: rarity(ids) in params.rarity)


def _images(rows: pd.DataFrame, labels: pd.Series, where: Path) -> list[PublicImage]:
    images: dict[str, PublicImage] = {}
    faults = []
    for row, url, line, classes in zip(rows.index, rows["Image"], rows["Cellline"], labels, strict=True):
        match = ADDRESS.fullmatch(url)
        if not match:
            faults.append(
                f"row {row}: Image is {url[:120]!r}, expected an address like http://SERVER/ANTIBODY/ID"
            )
            continue
        image_id = match["id"]
        if fault := id_fault(image_id):
            faults.append(f"row {row}: {fault}")
        elif image_id in images:
            faults.append(f"row {row}: id {image_id} is there twice; keep one row")
        images[image_id] = PublicImage(image_id, url, match["antibody"], line, classes)
    fail_together(faults, where, "mend these rows")
    return list(images.values())


def _lot(image: PublicImage) -> str:
    """An order that has nothing to do with plates, and does not change when the table grows."""
    return hashlib.sha256(image.image_id.encode()).hexdigest()
