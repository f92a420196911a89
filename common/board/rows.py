"""The entries of all systems as ranked rows.

An entry may hold, beside what the scorer writes, ``cost`` (any of ``train_s``, ``model_mb``, ``cells_per_s``) and
``seed_mAP`` (test mAP of the same recipe from several seeds: its own, and those of ``hpa seeds``).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import stdev
from typing import Any

import numpy as np

from common.classes import CLASSES
from common.errors import DataError
from common.metrics.resampling import pivotal
from common.roster import recipes_on, refuse_retired

UNKNOWN: list[float | None] = [None] * len(CLASSES)
NOT_APPROACHES = ("controls", "blend")
ENTRY_KEYS = {"approach", "recipe", "oof", "test"}


@dataclass(frozen=True)
class Row:
    """One system on the board.

    Attributes:
        control: it learns nothing and takes no rank.
        test, oof: the competition's score of each part, empty where no cell is known.
        weak: the proxies of the out-of-fold part, empty where no image is labelled.
        behind: 95 % interval of its mAP minus the first system's, over the same resamples; None for the first.
    """

    name: str
    control: bool
    test: dict[str, Any]
    oof: dict[str, Any]
    weak: dict[str, Any]
    cost: dict[str, float] = field(default_factory=dict)
    seed_mAP: list[float] = field(default_factory=list)
    behind: tuple[float, float] | None = None

    @property
    def best_known(self) -> dict[str, Any]:
        """The competition's score of the test part, else out of fold, else nothing."""
        return self.test or self.oof

    @property
    def per_class(self) -> list[float | None]:
        """(19,) average precision of the best known kind."""
        return self.best_known.get("AP") or self.weak.get("cell_AP") or UNKNOWN

    @property
    def key(self) -> tuple[float, ...]:
        """What rows are ranked by: test mAP, then out-of-fold mAP, then cell AP, whichever the data allow."""
        values = (self.test.get("mAP"), self.oof.get("mAP"), self.weak.get("cell_ap"))
        return tuple(-1.0 if value is None else value for value in values)


@dataclass(frozen=True)
class Column:
    """A column of the board: its title, what it means, its text in a row, and the number it is sorted by."""

    title: str
    about: str
    text: Callable[[Row], str]
    number: Callable[[Row], float | None]


def read_entries(folder: Path, approaches: Path) -> list[dict[str, Any]]:
    """Read all entries.

    Raises:
        DataError: an entry is no JSON, lacks a key, or is of a recipe that is no longer on.
    """
    entries, on = [], recipes_on(approaches)
    for path in sorted(folder.glob("*.json")):
        try:
            entry = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise DataError(f"{path}: is no JSON ({error}); delete it and run: dvc repro") from None
        if not isinstance(entry, dict) or ENTRY_KEYS - entry.keys():
            raise DataError(f"{path}: lacks one of {sorted(ENTRY_KEYS)}; delete it and run: dvc repro")
        if entry["approach"] not in NOT_APPROACHES:
            refuse_retired(f"{entry['approach']}/{entry['recipe']}", path, on)
        entries.append(entry)
    return entries


def add_seeds(entries: list[dict[str, Any]], folder: Path) -> None:
    """Add ``seed_mAP`` to the entries whose recipe was trained from other seeds beside this very result."""
    for entry in entries:
        path = folder / f"{entry['approach']}.{entry['recipe']}.json"
        own = ((entry["test"] or {}).get("competition") or {}).get("mAP")
        if path.exists() and (found := json.loads(path.read_text()))["mAP"] == own:
            entry["seed_mAP"] = [own, *found["others"]]


def rank(entries: list[dict[str, Any]]) -> list[Row]:
    """Order entries by ``Row.key``, the best first."""
    rows = sorted(map(_row, entries), key=lambda row: (*(-value for value in row.key), row.name))
    first = next((row for row in rows if not row.control), None)
    return [row if first is None or row is first else _compared(row, first) for row in rows]


def _row(entry: dict[str, Any]) -> Row:
    test, oof = ((entry[part] or {}).get("competition") or {} for part in ("test", "oof"))
    return Row(
        name=f"{entry['approach']}/{entry['recipe']}",
        control=entry["approach"] == "controls",
        test=test,
        oof=oof,
        weak=(entry["oof"] or {}).get("weak") or {},
        cost=entry.get("cost") or {},
        seed_mAP=entry.get("seed_mAP") or [],
    )


def _compared(row: Row, first: Row) -> Row:
    mine, best = (one.test.get("resampled") or [] for one in (row, first))
    if not mine or len(mine) != len(best):
        return row
    difference = np.array(mine, float) - np.array(best, float)  # None becomes NaN
    estimate = row.test["mAP"] - first.test["mAP"]
    return Row(**{**vars(row), "behind": pivotal(difference, estimate)})


def numbered(rows: list[Row]) -> list[tuple[str, Row]]:
    """Rows with their places; controls have none."""
    places = iter(range(1, len(rows) + 1))
    return [("" if row.control else str(next(places)), row) for row in rows]


def text_of(value: float | None, digits: int = 3) -> str:
    """A number as the board shows it; a dash where it is unknown."""
    return "-" if value is None else f"{value:.{digits}f}"


def _span(pair: tuple[float, float] | list[float] | None, sign: str = "") -> str:
    return f"{pair[0]:{sign}.3f} to {pair[1]:{sign}.3f}" if pair else "-"


def _behind(row: Row) -> str:
    tie = row.behind is not None and row.behind[0] <= 0 <= row.behind[1]
    return f"{'≈ ' if tie else ''}{_span(row.behind, '+')}"


def _ties(row: Row) -> str:
    bounds = row.test.get("mAP_ties")
    if not bounds:
        return "-"
    return _span((bounds["worst"], bounds["best"])) if _tie_width(row) else "none"


def _tie_width(row: Row) -> float | None:
    bounds = row.test.get("mAP_ties")
    return bounds["best"] - bounds["worst"] if bounds else None


def _seeds(row: Row) -> float | None:
    return stdev(row.seed_mAP) if len(row.seed_mAP) > 1 else None


def _plain(title: str, about: str, number: Callable[[Row], float | None], digits: int = 3) -> Column:
    return Column(title, about, lambda row: text_of(number(row), digits), number)


COLUMNS = (
    _plain("mAP test", "the competition's score", lambda row: row.test.get("mAP")),
    Column(
        "95 %",
        "bootstrap interval of mAP test, images drawn anew",
        lambda row: _span(row.test.get("interval")),
        lambda row: (row.test.get("interval") or [None])[0],
    ),
    Column(
        "to the first",
        "95 % interval of the difference to the first system, on the same draws; ≈ cannot be told apart",
        _behind,
        lambda row: row.behind[1] if row.behind else None,
    ),
    _plain("seed sd", "standard deviation of mAP test over training seeds", _seeds),
    Column("ties", "worst and best mAP over the order of equal scores", _ties, _tie_width),
    _plain("mAP oof", "the same of out-of-fold predictions", lambda row: row.oof.get("mAP")),
    _plain(
        "mAP test (mask_gt)",
        "counting a class only in images that have it",
        lambda row: row.test.get("mAP_mask_gt"),
    ),
    _plain("cell AP", "proxy: cells held to their image's labels", lambda row: row.weak.get("cell_ap")),
    _plain("image AP", "proxy: images against their labels", lambda row: row.weak.get("image_ap")),
    _plain("macro F1", "proxy: images against their labels", lambda row: row.weak.get("macro_f1")),
)
COSTS = (
    _plain("train, min", "training time of all folds", lambda row: _per(row.cost.get("train_s"), 60), 1),
    _plain("size, MB", "all folds' models", lambda row: row.cost.get("model_mb"), 1),
    _plain("cells/s", "predicted", lambda row: row.cost.get("cells_per_s"), 0),
)


def _per(value: float | None, unit: float) -> float | None:
    return None if value is None else value / unit
