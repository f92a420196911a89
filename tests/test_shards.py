"""Work in shards: what is done is kept, whatever happens to the run, and faults are never silent."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from common.errors import DataError
from common.files import atomic
from common.shards import (
    NOTES,
    Shard,
    fingerprint,
    finish_shards,
    one_by_one,
    run_shards,
    settle_faults,
)
from common.tables import SKIPPED

COLUMNS = ["image_id", "value"]


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


def copy_number(item: Path, folder: Path, shard: int, log: Path) -> pd.DataFrame:
    """Appends the item's number to its shard's file, as a row, and to a log of what was done."""
    text = item.read_text()
    if text == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    with log.open("a") as file:
        file.write(f"{item.name}\n")
    if text == "bad":
        raise DataError(f"{item.name}: is bad")
    with (folder / f"shard-{shard}.txt").open("a") as file:
        file.write(text)
    return pd.DataFrame({"image_id": [item.name] * int(text), "value": int(text)})


def shards_of(folder: Path, size: int = 2, settings: str = "") -> list[Shard[Path]]:
    paths = sorted((folder / "in").iterdir())
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    return [
        Shard(number, {path.name: path for path in part}, fingerprint(settings, part))
        for number, part in enumerate(parts)
    ]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the inputs in/a ... in/f that hold 0 ... 5."""
    (tmp_path / "in").mkdir()
    for number, name in enumerate("abcdef"):
        (tmp_path / "in" / name).write_text(str(number))
    return tmp_path


def run(place: Path, size: int = 2, settings: str = "") -> tuple[pd.DataFrame, dict[str, str], list[str]]:
    """Do all shards in ``place/out``; also the items that were done for it."""
    log = place / "log"
    log.unlink(missing_ok=True)
    work = partial(one_by_one, work=partial(copy_number, log=log))
    table, faults = run_shards(work, shards_of(place, size, settings), place / "out", COLUMNS, "test")
    return table, faults, log.read_text().split() if log.exists() else []


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.is_file()}


ALL = {"shard-0.txt": "01", "shard-1.txt": "23", "shard-2.txt": "45"}


@pytest.mark.parametrize("backend", ["serial", "process"])
def test_rows_come_in_the_order_of_the_items(
    place: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setenv("HPA_PARALLEL", backend)
    table, faults, _ = run(place)
    assert "".join(table["image_id"]) == "bccdddeeeefffff"
    assert table["value"].tolist() == sorted(table["value"])
    assert table.index.tolist() == list(range(15))
    assert faults == {}
    finish_shards(place / "out")
    assert contents(place / "out") == ALL
    assert not (place / "out" / NOTES).exists()


def test_a_second_run_does_nothing_and_gives_the_same(place: Path) -> None:
    first, _, did = run(place)
    assert did == list("abcdef")
    second, _, did = run(place)
    assert did == []
    pd.testing.assert_frame_equal(first, second)


def test_a_changed_input_changes_its_shard_only(place: Path) -> None:
    run(place)
    (place / "in/c").write_text("14")
    table, _, did = run(place)
    assert did == ["c", "d"]
    assert contents(place / "out") == ALL | {"shard-1.txt": "143"}
    assert (table["value"] == 14).sum() == 14


def test_other_settings_or_shards_leave_nothing_of_the_old_ones(place: Path) -> None:
    run(place)
    assert run(place, settings="other")[2] == list("abcdef")
    (place / "out/mine.txt").write_text("not of a shard")
    assert run(place, size=4)[2] == list("abcdef")
    assert contents(place / "out") == {
        "shard-0.txt": "0123",
        "shard-1.txt": "45",
        "mine.txt": "not of a shard",
    }


def test_items_that_cannot_be_used_are_named_and_tried_again(place: Path) -> None:
    (place / "in/b").write_text("bad")
    (place / "in/e").write_text("bad")
    table, faults, _ = run(place)
    assert faults == {"b": "b: is bad", "e": "e: is bad"}
    assert "".join(table["image_id"]) == "ccdddfffff"
    assert run(place)[2] == ["a", "b", "e", "f"]
    (place / "in/b").write_text("1")
    assert run(place)[1] == {"e": "e: is bad"}


def test_items_that_kill_their_worker_are_named_and_the_others_done(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "process")
    (place / "in/b").write_text("deadly")
    (place / "in/e").write_text("bad")
    (place / "in/f").write_text("deadly")
    table, faults, _ = run(place, size=3)
    assert {name: fault[:20] for name, fault in faults.items()} == {
        "b": "b killed its worker ",
        "e": "e: is bad",
        "f": "f killed its worker ",
    }
    assert "".join(table["image_id"]) == "ccddd"
    finish_shards(place / "out")
    assert contents(place / "out") == {"shard-0.txt": "02", "shard-1.txt": "3"}
    assert [path.name for path in (place / "out").iterdir() if path.is_dir()] == []


def test_nothing_to_do_is_an_empty_table(place: Path) -> None:
    table, faults = run_shards(
        partial(one_by_one, work=partial(copy_number, log=place)), [], place / "out", COLUMNS, "test"
    )
    assert (list(table), len(table), faults) == (COLUMNS, 0, {})


def test_another_error_passes_through_and_what_was_done_is_kept(place: Path) -> None:
    (place / "in/d").write_text("no number")
    with pytest.raises(ValueError, match="no number"):
        run(place)
    (place / "in/d").write_text("3")
    table, _, did = run(place)
    assert did == ["c", "d", "e", "f"]
    assert "".join(table["image_id"]) == "bccdddeeeefffff"
    assert contents(place / "out") == ALL


def test_faults_stop_the_stage_all_at_once_or_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = {"a": "a.png: is empty", "b": 'b.png: "is" no, picture'}
    with pytest.raises(DataError, match=r"2 of 5 images (.|\n)*on_fault(.|\n)*a.png: is empty\n  b.png"):
        settle_faults(faults, 5, "stop", tmp_path)
    assert list(tmp_path.iterdir()) == []
    settle_faults(faults, 5, "skip", tmp_path)
    listed = pd.read_csv(tmp_path / SKIPPED)
    assert dict(zip(listed["image_id"], listed["reason"], strict=True)) == faults
    assert "2 of 5 images are left out" in capsys.readouterr().out
    settle_faults({}, 5, "skip", tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="2 of 2 images"):
        settle_faults(faults, 2, "skip", tmp_path)


def test_without_faults_nothing_is_said_or_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for policy in ("stop", "skip"):
        settle_faults({}, 0, policy, tmp_path)
    assert (list(tmp_path.iterdir()), capsys.readouterr().out) == ([], "")


DIES = """
import os, signal, sys
from functools import partial
from pathlib import Path
import common.shards
from common.files import atomic
from common.shards import one_by_one
from tests.test_shards import COLUMNS, copy_number, shards_of
place, moment = Path(sys.argv[1]), sys.argv[2]

def die(*given):
    os.kill(os.getpid(), signal.SIGKILL)

def work(item, folder, shard):
    if moment == "item" and item.name == "d":
        die()
    return copy_number(item, folder, shard, place / "log")

def move_up(note, folder, move_up=common.shards._move_up):
    if note.stem == "00001":
        die()
    move_up(note, folder)

if moment == "move":
    common.shards._move_up = move_up
with atomic(place / "store", resume=True) as part:
    common.shards.run_shards(partial(one_by_one, work=work), shards_of(place), part, COLUMNS, "test")
    die()
"""


@pytest.mark.parametrize(("moment", "left"), [("item", "cdef"), ("move", "ef"), ("end", "")])
def test_a_killed_run_goes_on_where_it_was(place: Path, moment: str, left: str) -> None:
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", DIES, str(place), moment], cwd=root, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert not (place / "store").exists()
    (place / "log").unlink()
    with atomic(place / "store", resume=True) as part:
        work = partial(one_by_one, work=partial(copy_number, log=place / "log"))
        table, _ = run_shards(work, shards_of(place), part, COLUMNS, "test")
        finish_shards(part)
    assert contents(place / "store") == ALL
    assert "".join(table["image_id"]) == "bccdddeeeefffff"
    again = (place / "log").read_text().split() if (place / "log").exists() else []
    assert again == list(left)
    assert sorted(path.name for path in place.iterdir() if path.name != "log") == ["in", "store"]
