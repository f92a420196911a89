"""The leaderboard: who is above whom, and that no name breaks the page."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from common.board import HEADER, markdown, page, rank, read_entries, terminal
from common.classes import CLASSES
from common.errors import DataError
from tests.test_roster import publish

EVIL = "<script>alert('x')</script>&\"{head}"


class TableReader(HTMLParser):
    """The texts of all table cells, row by row; refuses tags that close in another order than they opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag != "meta":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def part(mean_ap: float | None, cell_ap: float | None = None) -> dict[str, Any]:
    competition = None
    if mean_ap is not None:
        competition = {
            "mAP": mean_ap,
            "mAP_ties": {"best": mean_ap + 0.01, "worst": mean_ap - 0.01},
            "mAP_mask_gt": mean_ap + 0.1,
            "AP": [mean_ap, *[None] * 18],
        }
    weak = (
        None
        if cell_ap is None
        else {
            "cell_ap": cell_ap,
            "image_ap": 0.5,
            "macro_f1": None,
            "cell_AP": [None, None, 0.25, *[None] * 16],
        }
    )
    return {"images": 3, "cells": 9, "competition": competition, "weak": weak}


def entry(
    name: str, test: float | None, oof: float | None = None, cell_ap: float | None = None
) -> dict[str, Any]:
    approach, recipe = name.split("/", 1)
    return {"approach": approach, "recipe": recipe, "test": part(test), "oof": part(oof, cell_ap)}


def test_systems_are_ranked_by_test_then_out_of_fold_then_proxies() -> None:
    entries = [
        entry("x/no truth, worse proxy", None, None, 0.2),
        entry("x/low", 0.1, 0.9),
        entry("x/no truth, better proxy", None, None, 0.8),
        entry("x/high, worse oof", 0.3, 0.2),
        entry("x/high, better oof", 0.3, 0.4),
        entry("x/oof only", None, 0.7),
    ]
    for given in (entries, entries[::-1]):
        assert [row.name.removeprefix("x/") for row in rank(given)] == [
            "high, better oof",
            "high, worse oof",
            "low",
            "oof only",
            "no truth, better proxy",
            "no truth, worse proxy",
        ]


def test_controls_are_shown_in_their_place_but_take_no_rank() -> None:
    rows = rank(
        [entry("x/good", 0.5), entry("controls/prior", 0.3), entry("x/bad", 0.1), entry("blend/mean", 0.6)]
    )
    lines = [line for line in markdown(rows).splitlines() if "/" in line and line.startswith("| ")]
    assert [line.split(" | ")[:2] for line in lines[:4]] == [
        ["| 1", "blend/mean"],
        ["| 2", "x/good"],
        ["| ", "*controls/prior*"],
        ["| 3", "x/bad"],
    ]
    assert [line.split()[:2] for line in terminal(rows).splitlines()[1:]] == [
        ["1", "blend/mean"],
        ["2", "x/good"],
        [".", "controls/prior"],
        ["3", "x/bad"],
    ]


def test_the_markdown_board_holds_every_number_and_dashes_for_unknown_ones() -> None:
    text = markdown(rank([entry("x/a", 0.25, 0.5, 0.75), entry("x/b", None, None, 0.5)]))
    assert "| 1 | x/a | 0.250 | 0.240 to 0.260 | 0.500 | 0.350 | 0.750 | 0.500 | - |" in text
    assert "| 2 | x/b | - | - | - | - | 0.500 | 0.500 | - |" in text
    assert "| 0 Nucleoplasm | 0.250 | - |" in text
    assert "| 2 Nucleoli | - | 0.250 |" in text
    assert "| 18 Negative | - | - |" in text
    columns = {line.count("|") for line in text.splitlines() if line.startswith("| ")}
    assert columns == {len(HEADER) + 1, 4}


def test_the_page_closes_its_tags_and_holds_the_numbers() -> None:
    reader = TableReader()
    reader.feed(
        page(rank([entry("x/a", 0.25, 0.5, 0.75), entry("controls/prior", 0.1), entry(f"x/{EVIL}", 0.3)]))
    )
    assert reader.open == []
    board, classes = reader.rows[1:4], reader.rows[5:]
    assert board == [
        ["1", f"x/{EVIL}", "0.300", "0.290 to 0.310", "-", "0.400", "-", "-", "-"],
        ["2", "x/a", "0.250", "0.240 to 0.260", "0.500", "0.350", "0.750", "0.500", "-"],
        ["", "controls/prior", "0.100", "0.090 to 0.110", "-", "0.200", "-", "-", "-"],
    ]
    assert classes[0] == ["0 Nucleoplasm", "0.300", "0.250", "0.100"]
    assert len(classes) == len(CLASSES)


def test_an_evil_name_is_only_text_on_the_page() -> None:
    text = page(rank([entry(f"x/{EVIL}", 0.3)]))
    assert "<script" not in text
    assert text.count("x/&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;&quot;{head}") == 2


def test_the_page_loads_nothing() -> None:
    text = page(rank([entry("x/a", 0.25)]))
    for word in ("http:", "https:", "//", "src=", "@import", "url("):
        assert word not in text


def test_a_board_without_entries_is_still_a_board() -> None:
    assert "# Leaderboard" in markdown([])
    assert "</html>" in page([])
    assert terminal([]).count("\n") == 0


def test_entries_are_read_and_those_without_an_approach_or_sense_are_refused(tmp_path: Path) -> None:
    entries, approaches = tmp_path / "entries", tmp_path / "approaches"
    entries.mkdir()
    publish(approaches, {"x": ["a"]})
    for name in ("x/a", "controls/prior", "blend/mean"):
        (entries / f"{name.replace('/', '__')}.json").write_text(json.dumps(entry(name, 0.5)))
    assert [found["recipe"] for found in read_entries(entries, approaches)] == ["mean", "prior", "a"]
    (entries / "gone__b.json").write_text(json.dumps(entry("gone/b", 0.5)))
    with pytest.raises(DataError, match=r"gone__b.json: gone/b is no recipe that is on .*delete it"):
        read_entries(entries, approaches)
    for content in ("<<<<<<< HEAD\n{}", "", "[]", '{"recipe": "b"}'):
        (entries / "gone__b.json").write_text(content)
        with pytest.raises(DataError, match=r"gone__b.json: .*delete it and run: dvc repro"):
            read_entries(entries, approaches)
