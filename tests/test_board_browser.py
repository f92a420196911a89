"""The board's page in a real browser: it sorts, loads nothing, and people with other eyes can read it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from common.board.examples import Example
from common.board.page import page
from common.board.rows import rank
from tests.test_board import entry

ENTRIES = [
    entry("controls/image_labels", 0.45, 0.5, 0.9),
    entry("blend/all", 0.5, 0.3, 0.2),
    entry("x/a", 0.4, 0.35, 0.3),
    entry("x/b", None, None, 0.1),
    entry("y/a long name of a recipe", 0.3, 0.2, 0.25),
]


@pytest.fixture
def open_board(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens the board from disk, without a network; fails where it asks for anything or its script does."""
    dot = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
    cells = [Example(class_id, class_id % 2 == 0, "a", 1, 0.5, dot) for class_id in range(19)]
    (tmp_path / "board.html").write_text(page(rank(ENTRIES), cells))
    asked: list[str] = []
    context = browser.new_context(offline=True)

    def opened(width: int = 1280, scheme: str = "light") -> Page:
        shown = context.new_page()
        shown.set_viewport_size({"width": width, "height": 900})
        shown.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        shown.on("request", lambda request: asked.append(request.url))
        shown.on("pageerror", lambda error: asked.append(str(error)))
        shown.goto((tmp_path / "board.html").as_uri())
        return shown

    yield opened
    context.close()
    assert {url for url in asked if not url.endswith("/board.html") and url != dot} == set()


def systems(shown: Page) -> list[str]:
    return shown.locator("table").first.locator("tbody th").all_text_contents()


def test_a_click_sorts_and_another_turns_the_order_round(open_board: Callable[..., Page]) -> None:
    shown = open_board()
    ranked = ["blend/all", "controls/image_labels", "x/a", "y/a long name of a recipe", "x/b"]
    assert systems(shown) == ranked
    head = shown.get_by_role("columnheader", name="cell AP")
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert systems(shown) == ["controls/image_labels", "x/a", "y/a long name of a recipe", "blend/all", "x/b"]
    head.get_by_role("button").press("Enter")
    assert systems(shown) == ["x/b", "blend/all", "y/a long name of a recipe", "x/a", "controls/image_labels"]
    other = shown.get_by_role("columnheader", name="mAP oof")
    other.get_by_role("button").click()
    assert head.get_attribute("aria-sort") is None
    assert systems(shown)[-1] == "x/b"  # what is unknown stays last
    other.get_by_role("button").click()
    assert systems(shown)[-1] == "x/b"
    shown.get_by_role("columnheader", name="#").get_by_role("button").click()
    shown.get_by_role("columnheader", name="system").get_by_role("button").click()
    assert systems(shown) == sorted(ranked)


def test_classes_sort_by_a_systems_scores_and_back(open_board: Callable[..., Page]) -> None:
    shown = open_board()
    names = shown.locator("table").nth(1).locator("tbody th")
    shown.get_by_role("columnheader", name="x/b").get_by_role("button").click()
    assert names.first.text_content() == "2 Nucleoli"
    class_head = shown.get_by_role("columnheader", name="class")
    for expected in ("18 Negative", "0 Nucleoplasm"):
        class_head.get_by_role("button").click()
        assert names.first.text_content() == expected


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_is_as_wide_as_the_screen(open_board: Callable[..., Page], width: int) -> None:
    assert open_board(width).evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(open_board: Callable[..., Page], width: int, scheme: str) -> None:
    found = Axe().run(open_board(width, scheme)).response["violations"]
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    assert [(fault["id"], fault["nodes"][0]["html"]) for fault in serious] == []
