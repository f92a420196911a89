"""What raters look at afterwards: how far they agree, on which cells they do not, and what happened to a cell."""

import numpy as np

from common.classes import CLASSES
from common.labelling import agreement
from common.labelling.session import Session
from common.labelling.storage import records, standing


def agreements(session: Session) -> list[dict[str, object]]:
    """Every two raters of a class; kappa is None where it is not defined."""
    table = agreement.agreement(standing(session.store.events()))
    return [row | {"class": CLASSES[int(str(row["class_id"]))]} for row in records(table)]


def disputes(session: Session, class_id: int) -> list[dict[str, object]]:
    """The cells of a class on which raters disagree, the widest dispute first, each with all its scores."""
    events = standing(session.store.events())
    events = events[events["class_id"] == class_id]
    found = []
    open_cells = agreement.disputed(agreement.settle(events))
    for place in open_cells[["image_id", "y", "x"]].itertuples(index=False):
        row = session.row_at(*place)
        if row is not None:
            of_cell = events[(events[["image_id", "y", "x"]] == tuple(place)).all(axis=1)]
            given = of_cell.dropna(subset="score")
            scores = dict(zip(given["rater"], given["score"].tolist(), strict=True))
            found.append(session.describe(row, "review") | {"scores": scores})
    return found


def audit(session: Session, row: int, class_id: int) -> list[dict[str, object]]:
    """All that ever happened to a cell and a class, undone events too."""
    events = session.store.events()
    events = events[(events["image_id"] == session.place(row)[0]) & (events["class_id"] == class_id)]
    places = events[["image_id", "y", "x"]].itertuples(index=False)
    here = np.array([session.row_at(*place) == row for place in places], bool)
    return records(events.loc[here, ["time", "rater", "kind", "score", "id", "undoes"]])
