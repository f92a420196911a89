"""Class ids in labels: the competition's text, read and written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.classes import CHANNELS, CLASSES, COLORS, NEGATIVE, PROBABILITIES, format_labels, parse_labels

CLASS_IDS = st.sets(st.integers(0, len(CLASSES) - 1), min_size=1)


@pytest.mark.parametrize(
    ("text", "ids"), [("8|5|0", (0, 5, 8)), ("18", (18,)), ("16|5|16", (5, 16)), ("10|9|2", (2, 9, 10))]
)
def test_labels_are_read_as_sorted_ids_each_once(text: str, ids: tuple[int, ...]) -> None:
    assert parse_labels(text) == ids


@given(CLASS_IDS)
def test_what_is_written_is_read_back(ids: set[int]) -> None:
    assert parse_labels(format_labels(tuple(ids))) == tuple(sorted(ids))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("19", "19"),
        ("x", "x"),
        ("9|", ""),
        ("", ""),
        ("-1", "-1"),
        ("1.0", "1.0"),
        ("3| 4", " 4"),
        ("²", "²"),
    ],
)
def test_what_is_no_class_id_is_named(text: str, part: str) -> None:
    with pytest.raises(ValueError, match="is not a class id") as caught:
        parse_labels(text)
    assert repr(part) in str(caught.value)


@given(st.text(max_size=12))
def test_any_text_is_read_as_class_ids_or_refused(text: str) -> None:
    try:
        ids = parse_labels(text)
    except ValueError:
        return
    assert set(ids) <= set(range(len(CLASSES)))


def test_the_lists_of_the_vocabulary_fit_each_other() -> None:
    assert len(CLASSES) == len(set(CLASSES)) == len(PROBABILITIES) == 19
    assert dict(zip(CHANNELS, COLORS, strict=True)) == {
        "microtubules": "red",
        "protein": "green",
        "nucleus": "blue",
        "reticulum": "yellow",
    }
    assert NEGATIVE == 18


def test_every_label_of_the_competition_is_read(shared: Path) -> None:
    lines = (shared / "data/labels/kaggle2021_train.csv").read_text().splitlines()[1:]
    texts = [line.split(",")[1] for line in lines]
    labels = [parse_labels(text) for text in texts]
    counts = [sum(class_id in ids for ids in labels) for class_id in range(len(CLASSES))]
    assert len(labels) == 21_806
    assert sum(len(ids) < len(text.split("|")) for ids, text in zip(labels, texts, strict=True)) == 146
    assert counts == [
        *(8797, 1095, 2451, 1262, 1425, 1792, 775, 1846, 964, 998),
        *(818, 78, 1734, 3111, 2013, 252, 5685, 593, 34),
    ]
