"""Scores as files: the table that the source ``scores`` of a recipe reads, and published files of scores read in."""

import hashlib
import uuid
from pathlib import Path

import numpy as np
import pandas as pd

from common.errors import DataError, fail_together
from common.files import atomic
from common.labelling.agreement import settle
from common.labelling.storage import EventStore, ImportedEvent, standing
from common.labels.scores import PLACE, MadeOn, locate, read_scores


def write_scores(store: EventStore, path: Path) -> int:
    """Write one score a cell and class as CSV: ID, class, y, x, score, raters, lowest, highest, reviewed.

    The same events give the same bytes. Returns the number of scores.
    """
    settled = settle(standing(store.events()))
    names = {"image_id": "ID", "class_id": "class"}
    with atomic(path) as part:
        settled.rename(columns=names).to_csv(part, index=False, lineterminator="\n")
    return len(settled)


def write_audit(store: EventStore, path: Path) -> int:
    """Write all events as CSV, undone ones too: who did what to which cell, when. Returns their number."""
    events = store.events()
    with atomic(path) as part:
        events.to_csv(part, index=False, lineterminator="\n")
    return len(events)


def import_scores(
    store: EventStore,
    path: Path,
    class_id: int | None,
    made_on: MadeOn | None,
    sizes: dict[str, tuple[int, int]],
) -> tuple[int, pd.DataFrame]:
    """Take over a file of scores; its name stands for its raters. The same file again adds nothing.

    Args:
        store: where the scores go.
        path: a CSV: ID, score, y, x or a number of the cell, and class where ``class_id`` is not given.
        class_id: of all scores.
        made_on: for a file with numbers of cells.
        sizes: (height, width) of each image.

    Returns:
        The number of scores that are new, and those that have no place: image_id, class, score, reason.
    """
    numbers = (made_on.column,) if made_on else tuple(PLACE)
    scores = read_scores(path, {}, numbers)
    if class_id is not None:
        scores["class"] = class_id
    _refuse(scores, path)
    if made_on:
        placed = locate(scores, made_on, sizes, path.name)
    else:
        placed = scores.assign(reason=np.where(scores["image_id"].isin(list(sizes)), "", "no such image"))
    origin = hashlib.sha256(path.read_bytes()).hexdigest()
    found = placed[placed["reason"] == ""]
    events = [
        ImportedEvent(
            id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{origin} {line}")),
            kind="score",
            rater=f"file:{path.name[:80]}",
            image_id=row["image_id"],
            y=int(row["y"]),
            x=int(row["x"]),
            class_id=int(row["class"]),
            score=int(row["score"]),
            why="file",
        )
        for line, row in found.iterrows()
    ]
    return len(store.add(events)), placed.loc[
        placed["reason"] != "", ["image_id", "class", "score", "reason"]
    ]


def _refuse(scores: pd.DataFrame, path: Path) -> None:
    if "class" not in scores:
        raise DataError(f"{path}: lacks the column class; say with --class which class it scores")
    faults = []
    for column, most in (("class", 18), ("score", 5)):
        if strange := sorted(set(scores[column]) - set(range(most + 1))):
            faults.append(f"{column} {strange[0]}: expected 0 to {most}")
    fail_together(faults, path, "mend or leave out these rows")
