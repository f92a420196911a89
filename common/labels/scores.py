"""Scores that people gave to cells, and how they find their cell again after a new segmentation.

A score belongs to a place (y, x) of an image. A file that only has numbers of cells is read with the masks on which the
numbers were made; a number is never looked up in other masks. A score without a cell of its own is listed, never moved.
"""

from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage

from common.cells import KEYS, cell_mask_path, read_mask
from common.errors import DataError
from common.parallel import pmap
from common.params import Params

SURELY = 7.0
"""So many first cells are expected among the scores; seeing none of them has odds of 1 in 1,000."""

PLACE = ["y", "x"]
NO_IMAGE = "no such image"
Item = tuple[str, pd.DataFrame, tuple[int, int]]


class MadeOn(Params):
    """What the cell numbers of a file mean."""

    masks: str
    """Folder of ``<ID>_cell.png``: the masks on which the numbers were made."""
    first: Literal[0, 1]
    """The number of the first cell: 1 where it is the value in the mask, 0 where it is one less."""
    column: str = "cell_id"


def read_scores(path: Path, rows: dict[str, str], numbers: tuple[str, ...]) -> pd.DataFrame:
    """Read a CSV of scores, packed or not.

    Args:
        path: has the columns ``ID``, ``numbers`` and ``score``; without ``score``, each row is a cell picked: 1.
        rows: only rows that have these values in these columns.
        numbers: columns of numbers, like ``y`` and ``x``.

    Returns:
        image_id, ``numbers``, score and, where the file has it, class; in the order of the file.

    Raises:
        DataError: no such file, a column is absent, or a number is none.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file of scores")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := [name for name in ("ID", *numbers, *rows) if name not in table]:
        raise DataError(f"{path}: lacks the columns {', '.join(missing)}; has {', '.join(table.columns)}")
    for column, value in rows.items():
        table = table[table[column] == value]
    found = pd.DataFrame({"image_id": table["ID"]})
    for name in (*numbers, *({"score", "class"} & set(table))):
        found[name] = _numbers(table[name], path, whole=name not in PLACE)
    return found.assign(score=found.get("score", 1)).reset_index(drop=True)


def _numbers(column: pd.Series, path: Path, whole: bool) -> pd.Series:
    values = pd.to_numeric(column, errors="coerce")
    wrong = ~np.isfinite(values) | (whole & (values % 1 != 0))
    if wrong.any():
        line, kind = int(wrong.to_numpy().argmax()), "whole number" if whole else "number"
        raise DataError(
            f"{path}: {wrong.sum()} values of {column.name} are no {kind}s, first {column.iloc[line]!r}"
        )
    return values.astype(np.int64) if whole else values


def locate(
    scores: pd.DataFrame, made_on: MadeOn, sizes: dict[str, tuple[int, int]], origin: str
) -> pd.DataFrame:
    """Turn numbers of cells into places: ``scores`` with y, x, a pixel deep inside the cell, and ``reason``.

    Where a number of an image fits no cell of its mask, the mask is not the one that was scored, and the whole image
    stays without places.

    Args:
        scores: image_id, ``made_on.column``, ...
        made_on: see there.
        sizes: (height, width) of each image.
        origin: names the scores in messages.

    Raises:
        DataError: the numbers count from 1 where ``first`` says 0, or from 0 where it says 1.
    """
    values = scores[made_on.column] + 1 - made_on.first
    if (values < 1).any():
        least = scores[made_on.column].min()
        raise DataError(
            f"{origin}: has a cell {least}, but made_on.first is {made_on.first}; give the right one"
        )
    given = scores.assign(cell_id=values)
    items = [(str(i), rows, sizes[str(i)]) for i, rows in given.groupby("image_id", sort=False) if i in sizes]
    found = list(pmap(partial(_locate, masks=Path(made_on.masks)), items, f"places of {origin}"))
    expected = sum(share for _, share in found)
    if made_on.first == 0 and expected >= SURELY and not (values == 1).any():
        raise DataError(
            f"{origin}: no image has a cell 0, about {expected:.0f} were to be expected; the numbers count from 1: "
            "set made_on.first to 1"
        )
    unknown = given[~given["image_id"].isin(list(sizes))].assign(y=np.nan, x=np.nan, reason=NO_IMAGE)
    return pd.concat([*(table for table, _ in found), unknown]).sort_index().drop(columns="cell_id")


def _locate(item: Item, masks: Path) -> tuple[pd.DataFrame, float]:
    """Places of one image's scores, and how many of its scored cells would be cell 1 by chance."""
    image_id, rows, size = item
    path = cell_mask_path(masks, image_id)
    if not path.is_file():
        return rows.assign(y=np.nan, x=np.nan, reason=f"no {path.name} among the masks that were scored"), 0.0
    mask = read_mask(path)
    places = middles(mask)
    wanted = set(rows["cell_id"])
    reason = ""
    if mask.shape != size:
        reason = (
            f"scored on a mask of {mask.shape[1]} x {mask.shape[0]} px, the image has {size[1]} x {size[0]}"
        )
    elif strangers := sorted(wanted - set(places)):
        reason = f"mask has no cell of value {strangers[0]}: not the mask that was scored"
    found = [(np.nan, np.nan) if reason else places[cell_id] for cell_id in rows["cell_id"]]
    share = 0.0 if reason else len(wanted) / len(places)
    return rows.assign(**dict(zip(PLACE, zip(*found, strict=True), strict=True)), reason=reason), share


def middles(mask: np.ndarray) -> dict[int, tuple[int, int]]:
    """The pixel (y, x) of each cell that is farthest from its edge: inside even where the centroid is not."""
    places = {}
    for cell_id, box in enumerate(ndimage.find_objects(mask), start=1):
        if box is not None:
            own = np.pad((mask[box] == cell_id).astype(np.uint8), 1)
            depth = cv2.distanceTransform(own, cv2.DIST_L2, 5)
            y, x = np.unravel_index(int(depth.argmax()), depth.shape)
            places[cell_id] = (int(y) - 1 + box[0].start, int(x) - 1 + box[1].start)
    return places


def attach(scores: pd.DataFrame, cells: pd.DataFrame, masks: Path, origin: str) -> pd.DataFrame:
    """Find the cell at each score's place.

    Of several scores of one place the last counts. Where different places of one class fall into one cell, several
    scored cells have become one: none of them counts, unless all say the same.

    Args:
        scores: image_id, y, x, class, score and ``reason``: why there is no place, or nothing.
        cells: image_id, cell_id of all cells that may be labelled.
        masks: folder of the masks that belong to ``cells``.
        origin: names the scores on a progress bar.

    Returns:
        The rows of ``scores`` that count or are lost, with ``cell_id`` (0: lost) and ``reason``.
    """
    lost = scores[scores["reason"] != ""].assign(cell_id=0)
    placed = scores[scores["reason"] == ""].drop_duplicates(["image_id", *PLACE, "class"], keep="last")
    items = [(str(image_id), rows[PLACE].to_numpy()) for image_id, rows in placed.groupby("image_id")]
    hits = list(pmap(partial(_look_up, masks=masks), items, f"cells of {origin}"))
    found = placed.sort_values("image_id", kind="stable")
    found = found.assign(cell_id=np.concatenate(hits) if hits else 0)
    one = [*KEYS, "class"]
    known = pd.MultiIndex.from_frame(found[KEYS]).isin(pd.MultiIndex.from_frame(cells[KEYS]))
    for holds, reason in (
        (~known, "cell is not to be labelled"),
        (found.groupby(one)["score"].transform("nunique") > 1, "several scored cells are one now"),
        (found["cell_id"] == 0, "no cell there"),
        (found["cell_id"] < 0, "outside the image"),
    ):
        found.loc[holds, "reason"] = reason
    found.loc[found["reason"] != "", "cell_id"] = 0
    return pd.concat([found, lost])


def _look_up(item: tuple[str, np.ndarray], masks: Path) -> np.ndarray:
    image_id, places = item
    mask = read_mask(cell_mask_path(masks, image_id))
    y, x = np.floor(places).astype(int).T
    inside = (y >= 0) & (x >= 0) & (y < mask.shape[0]) & (x < mask.shape[1])
    values = np.full(len(places), -1)
    values[inside] = mask[y[inside], x[inside]]
    return values
