"""The page's server: what raters may ask and send, what others may not, and what becomes of the scores."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from common.cells import cell_mask_path, read_cells, read_mask, write_mask
from common.cli.label import class_named
from common.errors import DataError, ParamsError
from common.images import Field
from common.labelling.exchange import import_scores, write_audit, write_scores
from common.labelling.order import OrderParams
from common.labelling.server import names_of, refuse_open
from common.labelling.storage import EventStore
from common.labels.build import build_labels, read_sources
from common.labels.scores import MadeOn
from common.labels.sources import Known
from tests.labelled import IMAGES, mask_of
from tests.labelling import HOST, client_of, event, next_of, session_of, write_folder

TOKEN = "a token of some length"


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


@pytest.fixture
def folder(tmp_path: Path, draw_image: Callable[..., np.ndarray], write_image: Callable[..., Field]) -> Path:
    write_folder(tmp_path, draw_image, write_image)
    return tmp_path


def test_cells_of_labelled_images_come_first_each_once(folder: Path) -> None:
    client = client_of(session_of(folder, params=OrderParams(control=0)))
    cells = next_of(client)
    assert [cell["image_id"] for cell in cells] == ["a"] * 3 + ["b"] * 3
    assert {(cell["image_id"], cell["cell_id"]) for cell in cells} == {
        (i, k) for i in "ab" for k in (1, 2, 3)
    }
    assert cells[0]["labels"] == ["Mitotic spindle"]
    held = [[cell["image_id"], cell["cell_id"]] for cell in cells[:4]]
    assert next_of(client, held=held) == cells[4:]


def test_a_scored_cell_does_not_come_again_and_an_undone_one_does(folder: Path) -> None:
    client = client_of(session_of(folder))
    first, *others = next_of(client)
    assert client.post("/api/events", json=[event(1, first)]).json() == {"new": 1}
    assert client.post("/api/events", json=[event(1, first)]).json() == {"new": 0}
    assert [cell["cell_id"] for cell in next_of(client)] == [cell["cell_id"] for cell in others]
    progress = client.get("/api/progress", params={"rater": "Ann", "class_id": 11}).json()
    assert (progress["scored"], progress["found"], progress["cells"]) == (1, 1, 6)
    undo = event(2, first, kind="undo", score=None, undoes=str(UUID(int=1)))
    assert client.post("/api/events", json=[undo]).json() == {"new": 1}
    assert len(next_of(client)) == 6
    assert client.get("/api/progress", params={"rater": "Ann", "class_id": 11}).json()["scored"] == 0


def test_a_cell_has_one_rater_unless_it_is_shared(folder: Path) -> None:
    client = client_of(session_of(folder, shared=0))
    mine = next_of(client, "Ann", 4)
    assert len(next_of(client, "Bob")) == 2  # Ann holds the others
    client.post("/api/events", json=[event(1, mine[0])])
    again = client_of(session_of(folder, shared=0))  # a new run knows no reservations
    assert len(next_of(again, "Bob")) == 5
    assert len(next_of(client_of(session_of(folder, shared=1)), "Bob")) == 6


def test_scores_outlive_the_server_and_a_new_segmentation(folder: Path) -> None:
    client = client_of(session_of(folder))
    cell = next(c for c in next_of(client) if (c["image_id"], c["cell_id"]) == ("a", 1))
    client.post("/api/events", json=[event(1, cell, score=4)])
    mask = read_mask(cell_mask_path(folder / "masks", "a"))
    write_mask(cell_mask_path(folder / "masks", "a"), np.array([0, 2, 1, 3], np.uint16)[mask])
    cells = read_cells(folder / "masks/cells.parquet")
    swapped = cells.assign(
        cell_id=cells["cell_id"].where(cells["image_id"] != "a", cells["cell_id"].map({1: 2, 2: 1, 3: 3}))
    )
    swapped.to_parquet(folder / "masks/cells.parquet", index=False)
    again = client_of(session_of(folder))
    trail = again.get("/api/trail", params={"rater": "Ann", "class_id": 11}).json()
    assert [(met["image_id"], met["cell_id"], met["score"]) for met in trail] == [("a", 2, 4)]
    assert again.get(cell["picture"]).status_code == 404  # the old page must not show another cell


def test_a_page_may_send_what_it_was_handed_before_the_server_was_started_again(folder: Path) -> None:
    cell = next_of(client_of(session_of(folder)))[0]
    again = client_of(session_of(folder))
    assert again.post("/api/events", json=[event(1, cell)]).json() == {"new": 1}
    assert len(next_of(again)) == 5


def test_pictures_are_of_known_cells_only(folder: Path) -> None:
    client = client_of(session_of(folder))
    address = next_of(client)[0]["picture"]
    answer = client.get(address)
    assert Image.open(BytesIO(answer.content)).size == (1024, 1024)
    version = address.split("/")[2]
    for path in ("a/9.jpg", "z/1.jpg", "a/x.jpg", "..%2f..%2fetc/1.jpg", "%2e%2e/passwd", "a/1"):
        assert client.get(f"/pictures/{version}/{path}").status_code in (404, 422), path


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"score": 9}, 422),
        ({"class_id": 19}, 422),
        ({"class_id": 5}, 409),
        ({"y": 39, "x": 0}, 409),
        ({"y": 0}, 409),
        ({"rater": "x'; DROP TABLE events; --"}, 422),
        ({"rater": "<b>"}, 422),
        ({"extra": 1}, 422),
        ({"score": "5"}, 422),
    ],
)
def test_what_is_no_score_of_a_known_cell_is_refused_whole(
    folder: Path, change: dict[str, Any], status: int
) -> None:
    session = session_of(folder)
    client = client_of(session)
    cell = next_of(client)[0]
    answer = client.post("/api/events", json=[event(1, cell), event(2, cell) | change])
    assert answer.status_code == status
    assert session.store.events().empty


def test_other_hosts_and_other_pages_are_refused(folder: Path) -> None:
    client = client_of(session_of(folder))
    for headers, status in (
        ({"Host": "evil.example:8765"}, 421),
        ({"Host": "127.0.0.1:9999"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin"}, 200),
    ):
        assert client.get("/api/session", headers=headers).status_code == status, headers
        answer = client.get("/", headers=headers)
        assert answer.status_code == status
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert client.post("/api/events", content=b"x" * 1_000_001).status_code == 413


def test_a_token_keeps_strangers_out(folder: Path) -> None:
    client = client_of(session_of(folder), TOKEN)
    assert client.get("/").headers["location"] == "/login"
    assert client.get("/login").status_code == 200
    for path in ("/api/session", "/pictures/x/a/1.jpg", "/page.js", f"/api/session?token={TOKEN}"):
        assert client.get(path).status_code == 401
    assert client.post("/login", data={"token": "wrong"}).headers["location"] == "/login?again"
    assert client.get("/api/session").status_code == 401
    entered = client.post("/login", data={"token": TOKEN})
    assert "httponly" in entered.headers["set-cookie"].lower()
    assert TOKEN not in entered.headers["set-cookie"]
    assert client.get("/api/session").status_code == 200
    stranger = client_of(session_of(folder), TOKEN)
    assert stranger.get("/api/session", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_only_loopback_needs_no_token() -> None:
    for host in ("127.0.0.1", "::1", "localhost"):
        refuse_open(host, None)
    refuse_open("192.168.0.7", TOKEN)
    for host, token, said in (
        ("192.168.0.7", None, "give a --token"),
        ("0.0.0.0", TOKEN, "the one address"),
        ("127.0.0.1", "short", "at least 12"),
    ):
        with pytest.raises(ParamsError, match=said):
            refuse_open(host, token)
    assert names_of("127.0.0.1", 80) >= {"127.0.0.1", "localhost:80"}
    assert names_of("::1", 5) == {"[::1]:5", "localhost:5", "127.0.0.1:5"}


def test_disputed_cells_are_reviewed_and_the_review_counts(folder: Path) -> None:
    session = session_of(folder)
    client = client_of(session)
    first, second = next_of(client, count=2)
    given = [
        event(1, first, score=0),
        event(2, second),
        event(3, first, rater="Bob"),
        event(4, second, rater="Bob"),
    ]
    client.post("/api/events", json=given)
    who = {"class_id": 11}
    disputes = client.get("/api/disputes", params=who).json()
    assert [(d["cell_id"], d["scores"]) for d in disputes] == [(first["cell_id"], {"Ann": 0, "Bob": 5})]
    pairs = client.get("/api/agreement").json()
    assert [(p["first"], p["second"], p["cells"], p["same"]) for p in pairs] == [("Ann", "Bob", 2, 0.5)]
    client.post("/api/events", json=[event(5, first, rater="Cy", kind="review", score=4)])
    assert client.get("/api/disputes", params=who).json() == []
    history = client.get(
        "/api/audit", params={"image": first["image_id"], "cell": first["cell_id"], "class_id": 11}
    )
    assert [(e["rater"], e["kind"], e["score"]) for e in history.json()] == [
        ("Ann", "score", 0),
        ("Bob", "score", 5),
        ("Cy", "review", 4),
    ]
    write_scores(session.store, folder / "scores.csv")
    lines = (folder / "scores.csv").read_text().splitlines()
    assert lines[0] == "ID,class,y,x,score,raters,lowest,highest,reviewed"
    assert f"{first['image_id']},11,{first['y']},{first['x']},4,2,0,5,True" in lines


def test_a_score_given_on_the_page_reaches_the_labels_table(folder: Path) -> None:
    session = session_of(folder)
    client = client_of(session)
    sent = [event(n, cell, score=n % 6) for n, cell in enumerate(next_of(client))]
    client.post("/api/events", json=sent)
    write_scores(session.store, folder / "scores.csv")
    before = (folder / "scores.csv").read_bytes()
    write_scores(EventStore(folder / "scores.sqlite"), folder / "scores.csv")
    assert (folder / "scores.csv").read_bytes() == before  # nothing changes where nothing was scored
    cells = session.subjects.cells
    known = Known(IMAGES, cells, {"masks": folder / "masks"})
    source = {"kind": "scores", "file": str(folder / "scores.csv"), "classes": [11]}
    labels = build_labels(read_sources([source], "recipe"), cells, known)
    soft = {0: 0, 1: 0, 2: 0.25, 3: 0.5, 4: 0.9, 5: 1}
    places = {(s["image_id"], s["y"], s["x"]): soft[s["score"]] for s in sent}
    mask = mask_of(1, 2, 3)
    expected = {(i, mask[y, x]): value for (i, y, x), value in places.items()}
    table = labels.to_table()
    found = dict(
        zip(table[["image_id", "cell_id"]].itertuples(index=False, name=None), table["p_11"], strict=True)
    )
    assert found == pytest.approx(expected)


def test_published_scores_come_in_once(folder: Path) -> None:
    session, sizes = session_of(folder), {"a": (40, 40), "b": (40, 40)}
    (folder / "old.csv").write_text("ID,class,cell,score\na,11,0,5\na,11,2,1\nz,11,0,5\n")
    made_on = MadeOn(masks=str(folder / "masks"), first=0, column="cell")
    new, lost = import_scores(session.store, folder / "old.csv", None, made_on, sizes)
    assert (new, lost["image_id"].tolist()) == (2, ["z"])
    assert import_scores(session.store, folder / "old.csv", None, made_on, sizes)[0] == 0
    events = session.store.events()
    assert events["rater"].unique().tolist() == ["file:old.csv"]
    mask = mask_of(1, 2, 3)
    assert [mask[y, x] for y, x in zip(events["y"], events["x"], strict=True)] == [1, 3]
    write_audit(session.store, folder / "audit.csv")
    assert len((folder / "audit.csv").read_text().splitlines()) == 3
    (folder / "bad.csv").write_text("ID,y,x,score\na,5,5,7\n")
    with pytest.raises(DataError, match="lacks the column class"):
        import_scores(session.store, folder / "bad.csv", None, None, sizes)
    with pytest.raises(DataError, match="score 7: expected 0 to 5"):
        import_scores(session.store, folder / "bad.csv", 11, None, sizes)


def test_a_class_has_a_name_and_a_number() -> None:
    assert class_named("mitotic spindle") == class_named("11") == 11
    for text, said in (
        ("Mitotic spindel", "did you mean 'Mitotic spindle'"),
        ("19", "no such class"),
        ("xyz", "known: "),
    ):
        with pytest.raises(ParamsError, match=said):
            class_named(text)
