"""One run of the page: what each rater is shown next, and what becomes of the events that the page sends."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock
from typing import Any

import numpy as np
import pandas as pd

from common.cells import KEYS
from common.classes import CLASSES
from common.errors import DataError
from common.labelling.evidence import streams
from common.labelling.ledger import SHOWS, Ledger, Place
from common.labelling.order import OrderParams, arrange
from common.labelling.pictures import Pictures
from common.labelling.storage import COLUMNS, Event, EventStore, records
from common.labelling.subjects import Subjects
from common.labels.scores import attach

RESERVED_S = 600.0
"""For so long a cell that one rater was handed is not handed to another."""


@dataclass
class Order:
    """The order of a class as it was made when ``positives`` were known."""

    positives: frozenset[int]
    rows: np.ndarray
    why: np.ndarray


@dataclass
class Session:
    """All raters and classes of a run; safe to use from several threads.

    Attributes:
        subjects: the cells.
        store: where events are kept.
        classes: ids of the classes that may be scored.
        params: of the order.
        shared: the share of cells that every rater is shown, to measure agreement; each other cell has one rater.
        seed: of the order.
    """

    subjects: Subjects
    store: EventStore
    classes: tuple[int, ...]
    params: OrderParams
    shared: float = 0.1
    seed: int = 0
    _ledger: Ledger = field(default_factory=Ledger)
    _orders: dict[int, Order] = field(default_factory=dict)
    _reserved: dict[tuple[int, int], tuple[str, float]] = field(default_factory=dict)
    _rows: dict[Place, int] = field(default_factory=dict)
    _places: dict[int, Place] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)

    def __post_init__(self) -> None:
        self.pictures = Pictures(self.subjects)
        self.version = self.subjects.version
        self._labels = dict(
            zip(self.subjects.images["image_id"], self.subjects.images["labels"], strict=True)
        )
        self._lines = dict(
            zip(self.subjects.images["image_id"], self.subjects.images["cell_line"], strict=True)
        )
        ids, numbers = (self.subjects.cells[key].tolist() for key in KEYS)
        self._keys: list[tuple[str, int]] = list(zip(ids, numbers, strict=True))
        self._row_of = {key: row for row, key in enumerate(self._keys)}
        events = self.store.events()
        self._find_cells(events)
        self._ledger.apply(_as_events(events))

    def _find_cells(self, events: pd.DataFrame) -> None:
        """Learn in which of the present cells earlier events lie; the earliest place of a cell stays its place."""
        met = events.drop_duplicates(["image_id", "y", "x"]).rename(columns={"class_id": "class"})
        met = met[met["image_id"].isin(set(self.subjects.cells["image_id"]))].assign(score=0, reason="")
        if met.empty:
            return
        found = attach(met.assign(**{"class": 0}), self.subjects.cells, self.subjects.masks, "earlier scores")
        for image_id, y, x, cell_id in found.sort_index()[["image_id", "y", "x", "cell_id"]].itertuples(
            index=False
        ):
            if cell_id:
                row = self._row_of[image_id, cell_id]
                self._rows[image_id, y, x] = row
                self._places.setdefault(row, (image_id, y, x))

    @cached_property
    def _everybody(self) -> np.ndarray:
        """(N,) bool: the cells that every rater is shown; the same in every run."""
        keys = self.subjects.cells[KEYS].astype(str).agg("/".join, axis=1)
        lots = [int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) / 2**32 for key in keys]
        return np.array(lots) < self.shared

    def row(self, image_id: str, cell_id: int) -> int | None:
        """The row of a known cell."""
        return self._row_of.get((image_id, cell_id))

    def place(self, row: int) -> Place:
        """Where the scores of a cell belong."""
        if row not in self._places:
            y, x = self.pictures.place(row)
            found = (self._keys[row][0], y, x)
            with self._lock:
                self._rows[found] = row
                self._places.setdefault(row, found)
        return self._places[row]

    def describe(self, row: int, why: str, score: int | None = None) -> dict[str, object]:
        """What the page knows of a cell, to which its rater gave ``score``."""
        image_id, y, x = self.place(row)
        cell_id = self._keys[row][1]
        return {
            "image_id": image_id,
            "cell_id": cell_id,
            "y": y,
            "x": x,
            "labels": [CLASSES[label] for label in self._labels[image_id]],
            "line": str(self._lines[image_id] or ""),
            "picture": f"/pictures/{self.version}/{image_id}/{cell_id}.jpg",
            "score": score,
            "why": why,
        }

    def next_cells(
        self, rater: str, class_id: int, count: int, held: Sequence[tuple[str, int]] = ()
    ) -> list[dict[str, object]]:
        """The next cells that a rater should score, without those that the page already holds."""
        with self._lock:
            order = self._order(class_id)
            taken = {row for key in held if (row := self._row_of.get(key)) is not None}
            chosen = self._choose(order, rater, class_id, taken, count)
        return [self.describe(row, why) for row, why in chosen]

    def _choose(
        self, order: Order, rater: str, class_id: int, taken: set[int], count: int
    ) -> list[tuple[int, str]]:
        now = time.monotonic()
        for other, latest in self._ledger.of_class(class_id):
            rows = {self._rows[place] for place in latest if place in self._rows}
            taken |= rows if other == rater else {row for row in rows if not self._everybody[row]}
        chosen: list[tuple[int, str]] = []
        for row, why in zip(order.rows.tolist(), order.why, strict=True):
            if len(chosen) == count:
                break
            owner, until = self._reserved.get((class_id, row), (rater, 0.0))
            if row in taken or (owner != rater and until > now and not self._everybody[row]):
                continue
            self._reserved[class_id, row] = rater, now + RESERVED_S
            chosen.append((row, why))
        return chosen

    def _order(self, class_id: int) -> Order:
        positives = frozenset(self._found(class_id))
        known = self._orders.get(class_id)
        if known is None or known.positives != positives:
            wanted = streams(self.subjects.evidence, class_id, np.array(sorted(positives), int))
            rng = np.random.default_rng([self.seed, class_id])
            known = Order(positives, *arrange(wanted, self.params, rng))
            self._orders[class_id] = known
        return known

    def _found(self, class_id: int) -> Iterator[int]:
        for _, latest in self._ledger.of_class(class_id):
            for place, event in latest.items():
                if event.score is not None and event.score >= SHOWS and place in self._rows:
                    yield self._rows[place]

    def record(self, events: Sequence[Event]) -> int:
        """Keep events of the page; when this returns they are on the disk. Returns how many were new.

        Raises:
            DataError: an event is of a class that is not scored here or of no known cell, or its id is taken.
        """
        for event in events:
            if event.class_id not in self.classes:
                raise DataError(f"event {event.id}: class {event.class_id} is not scored here")
            if self.row_at(event.image_id, event.y, event.x) is None:
                raise DataError(
                    f"event {event.id}: no cell of {event.image_id} has the place {event.y}, {event.x}"
                )
        with self._lock:  # the ledger learns of events in the order in which they are kept
            new = self.store.add(events)
            self._ledger.apply(new)
        return len(new)

    def row_at(self, image_id: str, y: int, x: int) -> int | None:
        """The cell at a place, which a page may know from an earlier run of the server."""
        place = (image_id, y, x)
        if place not in self._rows and image_id in self.subjects.fields:
            row = self._row_of.get((image_id, self.pictures.cell_at(*place)))
            if row is not None:
                with self._lock:
                    self._rows[place] = row
                    self._places.setdefault(row, place)
        return self._rows.get(place)

    def trail(self, rater: str, class_id: int, count: int) -> list[dict[str, object]]:
        """The last cells that a rater met, each with the id of its event, the latest last."""
        with self._lock:
            events = [e for e in self._ledger.trail(rater, class_id) if (e.image_id, e.y, e.x) in self._rows]
        rows = [(self._rows[e.image_id, e.y, e.x], e) for e in events[-count:]]
        return [self.describe(row, e.why, e.score) | {"event": e.id, "kind": e.kind} for row, e in rows]

    def jump(self, row: int, rater: str, class_id: int) -> dict[str, object]:
        """A cell that the rater asks for, with its own last score of it."""
        place = self.place(row)
        with self._lock:
            own = self._ledger.latest(rater, class_id).get(place)
        return self.describe(row, "jump", own.score if own else None)

    def progress(self, rater: str, class_id: int) -> dict[str, object]:
        """See ``Ledger.progress``; with the number of all cells."""
        with self._lock:
            return self._ledger.progress(rater, class_id) | {"cells": len(self.subjects.cells)}


def _as_events(table: pd.DataFrame) -> Iterable[Event]:
    """Events as they were kept, unchecked: they were checked when they came."""
    kept: list[dict[str, Any]] = records(table[COLUMNS[:-1]])
    return [Event.model_construct(**row) for row in kept]
