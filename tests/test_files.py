"""Outputs whole or absent, one writer at a time: also when the writer is killed."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from common.errors import MachineError
from common.files import atomic, exclusive

WRITES_AND_HANGS = """
import sys, time
from pathlib import Path
from common.files import atomic, exclusive
path = Path(sys.argv[1])
with exclusive(path), atomic(path) as part:
    part.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@contextmanager
def other_writer(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the middle of writing ``path``; it is killed in the end."""
    command = [sys.executable, "-c", WRITES_AND_HANGS, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            yield process
        finally:
            process.kill()


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new/out.txt"
    with atomic(path) as part:
        part.write_text("all")
        assert not path.exists()
        assert part.parent == path.parent  # a rename is atomic within one file system only
    assert path.read_text() == "all"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "out"
    for name in ("first", "second"):
        with atomic(path) as part:
            part.mkdir()
            (part / name).write_text(name)
    assert [entry.name for entry in path.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_what_was_there(tmp_path: Path, folder: bool) -> None:
    path = tmp_path / "out"

    def write(place: Path, text: str) -> None:
        if folder:
            place.mkdir()
        (place / "file" if folder else place).write_text(text)

    def stop_halfway(place: Path) -> None:
        write(place, "half")
        raise KeyboardInterrupt

    write(path, "old")
    with pytest.raises(KeyboardInterrupt), atomic(path) as part:
        stop_halfway(part)
    assert (path / "file" if folder else path).read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_before_anything_is_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "out") as part:
        part.write_text(str(1 / 0))
    assert list(tmp_path.iterdir()) == []


def test_what_dead_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".out.part-1").write_text("left")
    (tmp_path / ".out.part-2/deep").mkdir(parents=True)
    (tmp_path / ".outer.part-3").write_text("of another output")
    with atomic(tmp_path / "out") as part:
        part.write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".outer.part-3", "out"]


def test_a_second_writer_is_refused_and_told_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with (
        other_writer(path) as other,
        pytest.raises(
            MachineError, match=f"out: is being written by process {other.pid} on .*; wait for it, or"
        ),
        exclusive(path),
    ):
        pytest.fail("two writers at once")


def test_a_killed_writer_leaves_the_old_output_and_frees_its_place(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    with other_writer(path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
    assert path.read_text() == "old"
    assert list(tmp_path.glob(".out.part-*"))
    with exclusive(path), atomic(path) as part:
        part.write_text("new")
    assert path.read_text() == "new"
    assert not list(tmp_path.glob(".out.part-*"))


def test_different_outputs_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with other_writer(tmp_path / "a"), exclusive(tmp_path / "b"), exclusive(tmp_path / "c"):
        pass


def test_the_right_to_write_falls_free_after_a_failure(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), exclusive(tmp_path / "out"):
            raise ZeroDivisionError


def test_a_folder_whose_writer_was_killed_between_two_renames_comes_back(tmp_path: Path) -> None:
    (tmp_path / ".out.part-old").mkdir()
    (tmp_path / ".out.part-old/kept").touch()
    with pytest.raises(ZeroDivisionError), atomic(tmp_path / "out"):
        1 / 0  # noqa: B018
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "kept"]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/kept").touch()
    with pytest.raises(MachineError, match="out: is a folder"), atomic(tmp_path / "out") as part:
        part.write_text("new")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "kept"]


def test_a_part_that_is_kept_is_given_to_the_next_writer(tmp_path: Path) -> None:
    (tmp_path / ".out.part-1").write_text("of a writer that kept nothing")

    def stop_halfway(part: Path) -> None:
        part.mkdir()
        (part / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "out", resume=True) as part:
        stop_halfway(part)
    assert [path.name for path in tmp_path.iterdir()] == [".out.part-kept"]
    with atomic(tmp_path / "out", resume=True) as part:
        (part / "rest").touch()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == [
        "out",
        "out/half",
        "out/rest",
    ]
