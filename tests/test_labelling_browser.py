"""The labelling page in a real browser: all of it by keyboard, nothing lost, nothing foreign, readable by everybody."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from common.images import Field
from common.labelling.exchange import import_scores
from common.labelling.server import make_app, names_of
from common.labelling.session import Session
from common.labelling.storage import Event
from tests.labelling import event, session_of, write_folder

SHOWN = "#large[aria-busy=false]"
EVIL = "<img src=x onerror=alert(1)>.csv"


@pytest.fixture
def session(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    draw_image: Callable[..., np.ndarray],
    write_image: Callable[..., Field],
) -> Session:
    monkeypatch.setenv("HPA_PARALLEL", "serial")
    write_folder(tmp_path, draw_image, write_image)
    return session_of(tmp_path)


@pytest.fixture
def address(session: Session) -> Iterator[str]:
    """A running server of ``session``."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        app = make_app(session, names_of("127.0.0.1", port))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        yield f"http://127.0.0.1:{port}/"
        server.should_exit = True
        thread.join()


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """The page as Ann sees it; fails where it asks another server for anything, or its script fails."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    page = context.new_page()
    page.on(
        "request", lambda asked: None if asked.url.startswith((address, "data:")) else wrong.append(asked.url)
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(address)
    page.wait_for_selector("#name[open]")
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    page.wait_for_selector(SHOWN)
    yield page
    context.close()
    assert wrong == []


def press(page: Page, *keys: str) -> None:
    """Press keys like somebody who waits for each picture."""
    for key in keys:
        page.wait_for_selector(SHOWN)
        page.keyboard.press(key)


def kept(session: Session, count: int) -> list[tuple[str, int | None]]:
    """Kind and score of all events, once there are ``count``."""
    for _ in range(100):
        if len(events := session.store.events()) >= count:
            break
        time.sleep(0.1)
    scores = [
        None if score is None else int(score)
        for score in events["score"].astype(object).where(events["score"].notna(), None)
    ]
    return list(zip(events["kind"], scores, strict=True))


def test_a_rater_needs_no_mouse(opened: Page, session: Session) -> None:
    press(opened, "5", "0", "s", "u", "3", "ArrowLeft", "4")
    expected = [("score", 5), ("score", 0), ("skip", None), ("undo", None), ("score", 3), ("score", 4)]
    assert kept(session, 6) == expected
    expect(opened.locator("#progress")).to_have_text("2 new Mitotic spindle cells in 3 scored")
    expect(opened.locator("#saved")).to_have_text("all saved")
    press(opened, "j")
    for text in ("b", "Tab", "2", "Enter"):
        opened.keyboard.press(text)
    expect(opened.locator("#cell")).to_have_text("b cell 2")
    for key, label in (
        ("c", "colour (C)"),
        ("f", "four channels (F)"),
        ("x", "context (X)"),
        (" ", "protein (P)"),
    ):
        press(opened, key)
        expect(opened.get_by_role("button", name=label)).to_have_attribute("aria-pressed", "true")


def test_a_rater_goes_on_where_they_stopped_and_can_still_undo(opened: Page, session: Session) -> None:
    press(opened, "5", "1")
    kept(session, 2)
    opened.reload()
    opened.wait_for_selector(SHOWN)
    expect(opened.locator("#progress")).to_have_text("1 new Mitotic spindle cell in 2 scored")
    press(opened, "u", "2")
    assert kept(session, 4)[2:] == [("undo", None), ("score", 2)]
    expect(opened.locator("#progress")).to_have_text("1 new Mitotic spindle cell in 2 scored")


def test_scores_wait_for_a_server_that_is_away_even_in_a_closed_page(opened: Page, session: Session) -> None:
    opened.route("**/api/events", lambda route: route.abort())
    press(opened, "5", "4", "3")
    expect(opened.locator("#saved")).to_have_text("3 not saved yet")
    expect(opened.get_by_role("alert")).to_have_text("The server does not answer; your scores wait here.")
    assert kept(session, 0) == []
    opened.unroute("**/api/events")
    opened.reload()
    assert kept(session, 3) == [("score", 5), ("score", 4), ("score", 3)]


def test_an_answer_that_gets_lost_doubles_nothing(opened: Page, session: Session) -> None:
    lost = iter([True, True])

    def lose(route: object) -> None:
        if next(lost, False):
            route.fetch()  # type: ignore[attr-defined]
            route.abort()  # type: ignore[attr-defined]
        else:
            route.continue_()  # type: ignore[attr-defined]

    opened.route("**/api/events", lose)
    press(opened, "5", "4")
    expect(opened.locator("#saved")).to_have_text("all saved")
    assert kept(session, 2) == [("score", 5), ("score", 4)]


def test_a_key_counts_only_for_a_cell_that_is_seen(opened: Page, session: Session) -> None:
    opened.route("**/pictures/**", lambda route: None)  # never answered
    opened.reload()
    opened.wait_for_selector("#large[aria-busy=true]")
    opened.locator("body").press("5")
    expect(opened.locator("#notice")).to_have_text("The picture is not there yet: that key did not count.")
    assert kept(session, 0) == []


def test_names_are_text_and_disputes_show_them(opened: Page, session: Session) -> None:
    session.store.path.with_name(EVIL).write_text("ID,class,y,x,score\na,11,5,5,0\n")
    import_scores(session.store, session.store.path.with_name(EVIL), None, None, {"a": (40, 40)})
    cell = {"image_id": "a", "y": 5, "x": 5}
    session._find_cells(session.store.events())
    session.record([Event(**event(1, cell)), Event(**event(2, cell, rater="Bob"))])
    press(opened, "r")
    expect(opened.locator("#scores")).to_have_text(f"file:{EVIL}: 0, Ann: 5, Bob: 5")
    press(opened, "i")
    expect(opened.get_by_role("dialog")).to_contain_text(EVIL)
    opened.keyboard.press("Escape")
    press(opened, "3")
    assert kept(session, 4)[-1] == ("review", 3)
    expect(opened.locator("#notice")).to_have_text("No dispute is left in this class.")
    opened.locator("body").press("a")
    expect(opened.get_by_role("dialog")).to_contain_text("Ann, Bob")
    assert opened.locator("img").count() == 0


@pytest.mark.parametrize("width", [1280, 820, 390])
def test_axe_finds_nothing_serious(opened: Page, width: int) -> None:
    opened.set_viewport_size({"width": width, "height": 900})
    for key in ("p", "h", "i", "j"):  # the page, and each of its dialogs
        press(opened, key)
        assert opened.evaluate("document.documentElement.scrollWidth") == width
        found = Axe().run(opened).response["violations"]
        serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
        assert [(fault["id"], fault["nodes"][0]["html"]) for fault in serious] == []
        opened.keyboard.press("Escape")
