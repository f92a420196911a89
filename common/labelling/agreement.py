"""How far raters agree, what their scores amount to, and which cells somebody should look at again."""

from itertools import combinations

import numpy as np
import pandas as pd

CELL = ["image_id", "y", "x", "class_id"]
LEVELS = 6
APART = 2
"""Scores of one cell that differ by so much are reviewed."""


def weighted_kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Agreement of two raters beyond chance, quadratic weights (Cohen 1968): 1 all alike, 0 as by chance.

    Args:
        first: (N,) scores from 0 to 5.
        second: (N,) of the same cells.

    Returns:
        NaN where each gave one and the same score to all cells, or there is no cell.
    """
    counts = np.zeros((LEVELS, LEVELS))
    np.add.at(counts, (first, second), 1)
    chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / max(len(first), 1)
    apart = np.subtract.outer(np.arange(LEVELS), np.arange(LEVELS)) ** 2
    expected = (apart * chance).sum()
    return float(1 - (apart * counts).sum() / expected) if expected else np.nan


def agreement(scores: pd.DataFrame) -> pd.DataFrame:
    """Compare every two raters of a class on the cells that both scored.

    Args:
        scores: standing events.

    Returns:
        class_id, first, second, cells, kappa, same: the share of cells with the same score.
    """
    given = scores[scores["kind"] == "score"]
    rows = []
    for class_id, of_class in given.groupby("class_id"):
        wide = of_class.pivot(index=CELL, columns="rater", values="score")
        for first, second in combinations(wide.columns, 2):
            both = wide[[first, second]].dropna().to_numpy(int)
            if len(both):
                same = float((both[:, 0] == both[:, 1]).mean())
                rows.append((class_id, first, second, len(both), weighted_kappa(*both.T), same))
    return pd.DataFrame(rows, columns=["class_id", "first", "second", "cells", "kappa", "same"])


def settle(scores: pd.DataFrame) -> pd.DataFrame:
    """One score for each cell and class: the last review, else the middle score (the lower of two in the middle).

    Args:
        scores: standing events.

    Returns:
        image_id, class_id, y, x, score, raters, lowest, highest, reviewed; sorted. Skipped cells have no row.
    """
    rows = []
    for (image_id, y, x, class_id), of_cell in scores.dropna(subset="score").groupby(CELL):
        reviews = of_cell.loc[of_cell["kind"] == "review", "score"]
        given = np.sort(of_cell.loc[of_cell["kind"] == "score", "score"].to_numpy(int))
        score = int(reviews.iloc[-1]) if len(reviews) else int(given[(len(given) - 1) // 2])
        ends = (int(given[0]), int(given[-1])) if len(given) else (score, score)
        rows.append((image_id, class_id, y, x, score, len(given), *ends, len(reviews) > 0))
    names = ["image_id", "class_id", "y", "x", "score", "raters", "lowest", "highest", "reviewed"]
    table = pd.DataFrame(rows, columns=names)
    return table.sort_values(["image_id", "class_id", "y", "x"], ignore_index=True)


def disputed(settled: pd.DataFrame) -> pd.DataFrame:
    """The settled cells whose scores are ``APART`` and that nobody reviewed, the widest dispute first."""
    apart = settled["highest"] - settled["lowest"]
    open_cells = settled[(apart >= APART) & ~settled["reviewed"].astype(bool)]
    return open_cells.loc[apart[open_cells.index].sort_values(ascending=False, kind="stable").index]
