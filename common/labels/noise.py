"""How noisy weak labels are: how often a cell shows what its image is labelled with. A report, never a label."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from common.cells import KEYS
from common.classes import CLASSES, PROBABILITIES
from common.errors import DataError, ParamsError

Z = 1.96
"""Of a confidence of 95 %."""


class Estimate(NamedTuple):
    """A share and the bounds that hold it with a confidence of 95 %; NaN where nothing was judged."""

    share: float
    low: float
    high: float


def share_of_cells(shows: np.ndarray, images: np.ndarray) -> Estimate:
    """The share of cells that show something, and Wilson's interval.

    Cells of an image resemble each other, so the interval counts not cells but the independent cells that would vary as
    much: their number over the design effect (Kish), at least the number of images and at most that of cells.

    Args:
        shows: (N,) bool.
        images: (N,) the image of each cell.
    """
    if not len(shows):
        return Estimate(np.nan, np.nan, np.nan)
    _, image = np.unique(images, return_inverse=True)
    cells = np.bincount(image)
    count, share = len(cells), shows.mean()
    residuals = np.bincount(image, weights=shows) - share * cells
    between = count / max(count - 1, 1) * (residuals**2).sum() / len(shows) ** 2
    within = share * (1 - share)
    effective = np.clip(within / between, count, len(shows)) if between > 0 else count
    middle = (share + Z**2 / (2 * effective)) / (1 + Z**2 / effective)
    reach = Z / (1 + Z**2 / effective) * np.sqrt(within / effective + (Z / (2 * effective)) ** 2)
    return Estimate(share, max(0, middle - reach), min(1, middle + reach))


def noise_of_labels(judged: pd.DataFrame, labels: Mapping[str, tuple[int, ...]]) -> pd.DataFrame:
    """Estimate P(cell shows c | its image has c), and how often a cell shows a class that its image lacks.

    Args:
        judged: image_id, class, shows (bool): a row for each class of each cell that was judged.
        labels: class ids of each image; cells of others do not count.

    Returns:
        A row a class: class, name, cells and images judged with the label, shows, low, high; cells_without,
        shows_without, low_without and high_without the same for images without it.
    """
    known = judged[judged["image_id"].isin(list(labels))]
    has = [c in labels[i] for i, c in zip(known["image_id"], known["class"], strict=True)]
    known = known.assign(has=has)
    rows = []
    for class_id, name in enumerate(CLASSES):
        of_class = known[known["class"] == class_id]
        row: dict[str, object] = {"class": class_id, "name": name}
        for suffix, part in (("", of_class[of_class["has"]]), ("_without", of_class[~of_class["has"]])):
            found = share_of_cells(part["shows"].to_numpy(bool), part["image_id"].to_numpy())
            row |= {f"cells{suffix}": len(part), f"images{suffix}": part["image_id"].nunique()}
            row |= dict(zip((f"shows{suffix}", f"low{suffix}", f"high{suffix}"), found, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def judged_in_table(table: pd.DataFrame) -> pd.DataFrame:
    """Each known class of each cell of a truth or labels table; a soft label of .5 or more is shown."""
    long = table.melt([*KEYS], list(PROBABILITIES), "column", "value").dropna(subset="value")
    classes = long["column"].str.removeprefix("p_").astype(int)
    shows = (long["value"] >= 0.5).rename("shows")
    return pd.concat([long[KEYS], classes.rename("class"), shows], axis=1)


def judged_by_score(scores: pd.DataFrame, shown_from: int) -> pd.DataFrame:
    """What scores of cells say; the last score of a cell counts. No cell needs to be found again for that.

    Args:
        scores: image_id, a number of the cell, class, score.
        shown_from: the least score that says the cell shows the class.
    """
    last = scores.drop_duplicates([c for c in scores if c != "score"], keep="last")
    return last.assign(shows=last["score"] >= shown_from)


def judged_by_list(path: Path) -> tuple[pd.DataFrame, dict[str, tuple[int, ...]]]:
    """Read a CSV of cells that people labelled with all their classes: what they show, and their images' labels.

    The columns are ID, cell_index, image_label and cell_label, classes joined by ``;``; no class: the cell shows none.

    Raises:
        DataError: a column is absent or a class is none.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if missing := {"ID", "cell_index", "image_label", "cell_label"} - set(table):
        raise DataError(f"{path}: lacks the columns {', '.join(sorted(missing))}")
    known = {str(c): c for c in range(len(CLASSES))}
    sets = {text: set(text.split(";")) - {""} for text in {*table["image_label"], *table["cell_label"]}}
    if strange := sorted(set().union(*sets.values()) - set(known)):
        raise DataError(f"{path}: {strange[0]!r} is not a class id (0 to {len(CLASSES) - 1})")
    shows = np.array([[c in sets[text] for c in known] for text in table["cell_label"]])
    keys = pd.DataFrame({"image_id": table["ID"], "cell_id": table["cell_index"]})
    labels = {
        i: tuple(sorted(known[c] for c in sets[text]))
        for i, text in zip(table["ID"], table["image_label"], strict=True)
    }
    return judged_in_table(
        pd.concat([keys, pd.DataFrame(shows.astype(float), columns=list(PROBABILITIES))], axis=1)
    ), labels


def second_opinion(table: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """What cleanlab thinks of labels, from out-of-fold probabilities alone.

    Args:
        table: a labels table; values of .5 or more count as labels.
        predictions: an out-of-fold prediction table.

    Returns:
        A row a class: class, cleanlab_cells (of both tables, with the label) and cleanlab_wrong, the share of those
        whose label it calls an issue.

    Raises:
        ParamsError: cleanlab is not installed.
    """
    try:
        from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
    except ImportError:
        raise ParamsError("cleanlab's opinion needs an extra: pip install 'hpa-arena[noise]'") from None
    both = table[[*KEYS, *PROBABILITIES]].merge(predictions, on=KEYS, suffixes=("", "_predicted"))
    given = both[list(PROBABILITIES)].to_numpy() >= 0.5
    predicted = both[[f"{column}_predicted" for column in PROBABILITIES]].to_numpy()
    used = np.flatnonzero(given.any(axis=0) & ~given.all(axis=0))  # it cannot judge what all cells share
    lists = [np.flatnonzero(row).tolist() for row in given[:, used]]
    issues = find_multilabel_issues_per_class(lists, predicted[:, used], n_jobs=1)
    counts, wrong = given.sum(axis=0), np.full(len(CLASSES), np.nan)
    wrong[used] = (np.asarray(issues) & given[:, used]).sum(axis=0) / counts[used]
    return pd.DataFrame({"class": range(len(CLASSES)), "cleanlab_cells": counts, "cleanlab_wrong": wrong})
