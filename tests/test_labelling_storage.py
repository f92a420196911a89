"""Events are kept once, for good, and amount to the last score that nobody took back."""

import sqlite3
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from common.errors import DataError
from common.labelling.storage import Event, EventStore, standing


def event(number: int, **values: Any) -> Event:
    given: dict[str, Any] = {"kind": "score", "rater": "Ann", "class_id": 11, "score": 3}
    given |= {"image_id": "a", "y": 5, "x": 6}
    given |= {"score": None} if values.get("kind") in ("undo", "skip") else {}
    return Event(id=str(UUID(int=number)), **(given | values))


def scores(store: EventStore) -> list[tuple[str, int, int]]:
    table = standing(store.events())
    return list(table[["rater", "class_id", "score"]].itertuples(index=False, name=None))


def test_an_event_sent_again_is_kept_once(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "s.sqlite")
    assert store.add([event(1), event(2, score=4)]) == [event(1), event(2, score=4)]
    assert store.add([event(2, score=4), event(3, score=5)]) == [event(3, score=5)]
    assert len(store.events()) == 3
    assert scores(store) == [("Ann", 11, 5)]


def test_an_id_of_another_event_is_refused_and_nothing_of_its_batch_is_kept(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "s.sqlite")
    store.add([event(1)])
    with pytest.raises(DataError, match="is that of another event"):
        store.add([event(2), event(1, score=4)])
    assert len(store.events()) == 1


def test_events_survive_and_cannot_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "s.sqlite"
    store = EventStore(path)
    store.add([event(1)])
    store.close()
    for change in ("DELETE FROM events", "UPDATE events SET score = 0"):
        with pytest.raises(sqlite3.IntegrityError, match="events are never"), sqlite3.connect(path) as file:
            file.execute(change)
    assert EventStore(path).events()["score"].tolist() == [3]


def test_an_undone_score_uncovers_the_one_before(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "s.sqlite")
    store.add([event(1, score=1), event(2, score=5), event(3, kind="undo", undoes=str(UUID(int=2)))])
    assert scores(store) == [("Ann", 11, 1)]


def test_nobody_takes_back_what_is_anothers(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "s.sqlite")
    store.add([event(1), event(2, rater="Bob", kind="undo", undoes=str(UUID(int=1)))])
    assert scores(store) == [("Ann", 11, 3)]


def test_raters_classes_and_cells_have_scores_of_their_own(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "s.sqlite")
    store.add(
        [event(1), event(2, rater="Bob", score=0), event(3, class_id=0, score=2), event(4, x=9, score=1)]
    )
    assert scores(store) == [("Ann", 11, 3), ("Bob", 11, 0), ("Ann", 0, 2), ("Ann", 11, 1)]


@pytest.mark.parametrize(
    "values",
    [
        {"score": 6},
        {"score": None},
        {"kind": "skip", "score": 1},
        {"kind": "undo"},
        {"class_id": 19},
        {"rater": "file:x"},
        {"rater": "a\nb"},
        {"rater": ""},
        {"why": "'; DROP TABLE events"},
        {"undoes": "x"},
    ],
)
def test_what_is_no_event_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        event(1, **values)


def test_another_file_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "s.sqlite").write_text("ID,score\n" * 1000)
    with pytest.raises(DataError, match="is no file of scores"):
        EventStore(tmp_path / "s.sqlite")
    with sqlite3.connect(tmp_path / "t.sqlite") as file:
        file.execute("PRAGMA user_version = 7")
    with pytest.raises(DataError, match="has version 7, expected 1"):
        EventStore(tmp_path / "t.sqlite")
