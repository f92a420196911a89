"""Progress: a bar for people, hardly a line for logs."""

import sys

import pytest

from common import progress
from common.progress import track


def test_short_work_says_nothing_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(iter("abc"), 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_long_work_says_how_far_it_is_and_how_long_it_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 4.0, 11.0, 15.0, 22.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    assert list(track(range(4), 4, "images")) == [0, 1, 2, 3]
    assert capsys.readouterr().err == "images: 2/4, about 11 s left\nimages: 4/4, about 0 s left\n"


def test_a_terminal_gets_a_bar_that_goes_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert list(track(range(3), 3, "images")) == [0, 1, 2]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "images" in shown.err
    assert "3/3" in shown.err


def test_nothing_is_taken_from_the_items_before_it_is_asked_for() -> None:
    source = iter(range(5))
    items = track(source, 5, "items")
    assert next(items) == 0
    assert next(source) == 1
