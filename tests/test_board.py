"""The leaderboard: who is above whom, who cannot be told apart, and that no name breaks the page."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.board.agreement import agreements
from common.board.charts import interval_bar, lines_of, precision_recall
from common.board.page import page
from common.board.rows import COLUMNS, COSTS, add_seeds, rank, read_entries
from common.board.text import markdown, terminal
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
        if tag not in ("meta", "wbr"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        assert tag in ("path", "circle", "polyline")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def part(mean_ap: float | None, cell_ap: float | None = None) -> dict[str, Any]:
    competition = None
    if mean_ap is not None:
        shifts = np.random.default_rng(0).normal(0, 0.02, 100)  # the same images drawn for everyone
        own = np.random.default_rng(round(mean_ap * 1000)).normal(0, 0.005, 100)
        competition = {
            "mAP": mean_ap,
            "interval": [mean_ap - 0.04, mean_ap + 0.05],
            "mAP_ties": {"best": mean_ap + 0.01, "worst": mean_ap - 0.01},
            "mAP_mask_gt": mean_ap + 0.1,
            "AP": [mean_ap, *[None] * 18],
            "curves": [[1.0, 0.75, 0.5, 0.0], *[None] * 18],
            "resampled": (mean_ap + shifts + own).round(4).tolist(),
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
    name: str, test: float | None, oof: float | None = None, cell_ap: float | None = None, **more: Any
) -> dict[str, Any]:
    approach, recipe = name.split("/", 1)
    return {"approach": approach, "recipe": recipe, "test": part(test), "oof": part(oof, cell_ap), **more}


def text_in(row: int, title: str, entries: list[dict[str, Any]]) -> str:
    column = next(column for column in (*COLUMNS, *COSTS) if column.title == title)
    return column.text(rank(entries)[row])


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
        [entry("x/good", 0.5), entry("controls/prior", 0.3), entry("x/bad", 0.1), entry("blend/all", 0.6)]
    )
    lines = [line for line in markdown(rows).splitlines() if "/" in line and line.startswith("| ")]
    assert [line.split(" | ")[:2] for line in lines[:4]] == [
        ["| 1", "blend/all"],
        ["| 2", "x/good"],
        ["| ", "*controls/prior*"],
        ["| 3", "x/bad"],
    ]
    assert [line.split()[:2] for line in terminal(rows).splitlines()[1:]] == [
        ["1", "blend/all"],
        ["2", "x/good"],
        [".", "controls/prior"],
        ["3", "x/bad"],
    ]


def test_a_difference_is_judged_on_the_same_draws_so_that_ties_look_like_ties() -> None:
    entries = [entry("x/best", 0.5), entry("x/as good", 0.498), entry("x/worse", 0.47)]
    assert text_in(0, "to the first", entries) == "-"
    assert text_in(1, "to the first", entries).startswith("≈ ")
    low, high = map(float, text_in(2, "to the first", entries).split(" to "))
    assert -0.06 < low < -0.03 < high < 0  # the draws that all share would make it wider than the gap
    entries[2]["test"]["competition"]["resampled"] = [0.47] * 99
    assert text_in(2, "to the first", entries) == "-"


def test_costs_and_seeds_are_shown_where_they_are_known() -> None:
    cost = {"train_s": 90, "cells_per_s": 1234.5}
    entries = [entry("x/a", 0.5, cost=cost, seed_mAP=[0.5, 0.52]), entry("x/b", 0.4, seed_mAP=[0.4])]
    titles = ["seed sd", *(column.title for column in COSTS)]
    assert [text_in(0, title, entries) for title in titles] == ["0.014", "1.5", "-", "1234"]
    assert [text_in(1, title, entries) for title in titles] == ["-"] * 4


def test_seeds_count_only_beside_the_result_that_they_were_trained_beside(tmp_path: Path) -> None:
    entries = [entry("x/a", 0.5), entry("x/b", 0.4), entry("x/c", None)]
    for name, own in (("x.a", 0.5), ("x.b", 0.3), ("x.c", 0.3)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"mAP": own, "others": [0.52, 0.48]}))
    add_seeds(entries, tmp_path)
    assert [each.get("seed_mAP") for each in entries] == [[0.5, 0.52, 0.48], None, None]


def test_the_markdown_board_holds_every_number_and_dashes_for_unknown_ones() -> None:
    text = markdown(
        rank([entry("x/a", 0.25, 0.5, 0.75, seed_mAP=[0.25, 0.27]), entry("x/b", None, None, 0.5)])
    )
    assert (
        "| 1 | x/a | 0.250 | 0.210 to 0.300 | - | 0.014 | 0.240 to 0.260 | 0.500 | 0.350 | 0.750 | 0.500 | - |"
        in text
    )
    assert "| 2 | x/b | - | - | - | - | - | - | - | 0.500 | 0.500 | - |" in text
    assert "| 0 Nucleoplasm | 0.250 | - |" in text
    assert "| 2 Nucleoli | - | 0.250 |" in text
    assert "| 18 Negative | - | - |" in text
    assert "| mAP oof | 1 | - | - |" in text
    columns = {line.count("|") for line in text.splitlines() if line.startswith("| ")}
    assert columns == {len(COLUMNS) + 3, 4, 5}


def test_the_page_closes_its_tags_and_holds_the_numbers() -> None:
    reader = TableReader()
    reader.feed(
        page(rank([entry("x/a", 0.25, 0.5, 0.75), entry("controls/prior", 0.1), entry(f"x/{EVIL}", 0.3)]))
    )
    assert reader.open == []
    board, classes = reader.rows[1:4], reader.rows[5:]
    assert [row[:3] for row in board] == [
        ["1", f"x/{EVIL}", "0.300"],
        ["2", "x/a", "0.250"],
        ["", "controls/prior", "0.100"],
    ]
    assert board[1][6:] == ["-", "0.240 to 0.260", "0.500", "0.350", "0.750", "0.500", "-", "-", "-", "-"]
    assert {len(row) for row in reader.rows[:4]} == {len(COLUMNS) + len(COSTS) + 3}
    assert classes[0] == ["0 Nucleoplasm", "0.300", "0.250", "0.100"]
    assert len(classes) == len(CLASSES)


def test_an_evil_name_is_only_text_on_the_page() -> None:
    text = page(rank([entry(f"x/{EVIL}", 0.3)]))
    assert text.count("<script") == text.count("</script") == 1  # the board's own
    assert "x/<wbr>&lt;script&gt;alert(&#x27;x&#x27;)&lt;/<wbr>script&gt;&amp;&quot;{head}" in text


def test_the_page_loads_nothing() -> None:
    text = page(rank([entry("x/a", 0.25)]))
    for word in ("http:", "https:", "//", "src=", "@import", "url(", "fetch(", "import("):
        assert word not in text


def test_a_board_without_entries_is_still_a_board() -> None:
    assert "# Leaderboard" in markdown([])
    assert "</html>" in page([])
    assert terminal([]).count("\n") == 0


def test_the_interval_is_drawn_to_scale() -> None:
    bar = interval_bar(rank([entry("x/a", 0.25)])[0], 0.5, [0.5])
    assert 'cx="80.0"' in bar  # half of 152 and the margin of 4
    assert f'd="M{4 + 152 * 0.42:.1f} 9H{4 + 152 * 0.6:.1f}"' in bar
    assert 'd="M156.0 1V17"' in bar
    assert interval_bar(rank([entry("x/b", None)])[0], 0.5, []) == ""


def test_a_curve_goes_through_its_points_and_says_its_numbers() -> None:
    lines = lines_of(rank([entry("x/a", 0.25), entry("x/b", None, None, 0.3), entry("controls/prior", 0.1)]))
    assert [line.row.name for line in lines] == ["x/a"]
    drawn = precision_recall("Nucleoplasm", 0, lines)
    assert 'points="22,4 47,4 72,29 97,54 122,104"' in drawn
    assert "Average precision: x/a 0.25" in drawn
    assert "no cell has it" in precision_recall("Nucleoli", 2, lines)


def test_tau_is_that_of_the_orders_and_controls_stay_out() -> None:
    values = {"a": (0.1, 0.3), "b": (0.2, 0.4), "c": (0.3, 0.2), "d": (0.4, 0.5)}
    entries = [entry(f"x/{name}", test, proxy) for name, (test, proxy) in values.items()]
    found = agreements(rank([*entries, entry("controls/prior", 0.01, 0.99)]))
    oof = next(one for one in found if one.proxy == "mAP oof")
    assert oof.tau == pytest.approx((4 - 2) / 6)  # c is below a and b, the other four pairs agree
    assert len(oof.points) == 4
    assert oof.interval == pytest.approx((1 / 3, 1 / 3))  # the draws never change this order
    cell_ap = next(one for one in found if one.proxy == "cell AP")
    assert (cell_ap.points, cell_ap.tau, cell_ap.interval) == ([], None, None)
    assert agreements(rank(entries[:2]))[0].tau is None


def test_entries_are_read_and_those_without_an_approach_or_sense_are_refused(tmp_path: Path) -> None:
    entries, approaches = tmp_path / "entries", tmp_path / "approaches"
    entries.mkdir()
    publish(approaches, {"x": ["a"]})
    for name in ("x/a", "controls/prior", "blend/all"):
        (entries / f"{name.replace('/', '__')}.json").write_text(json.dumps(entry(name, 0.5)))
    assert [found["recipe"] for found in read_entries(entries, approaches)] == ["all", "prior", "a"]
    (entries / "gone__b.json").write_text(json.dumps(entry("gone/b", 0.5)))
    with pytest.raises(DataError, match=r"gone__b.json: gone/b is no recipe that is on .*delete it"):
        read_entries(entries, approaches)
    for content in ("<<<<<<< HEAD\n{}", "", "[]", '{"recipe": "b"}'):
        (entries / "gone__b.json").write_text(content)
        with pytest.raises(DataError, match=r"gone__b.json: .*delete it and run: dvc repro"):
            read_entries(entries, approaches)
