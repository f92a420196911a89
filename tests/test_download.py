"""Files over HTTP from a server that misbehaves."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from common.download import Downloader, DownloadParams, Interrupted, Pace, Unavailable
from common.errors import DataError, MachineError
from tests.atlas import Atlas, running_atlas
from tests.running import ROOT

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def atlas(monkeypatch: pytest.MonkeyPatch) -> Iterator[Atlas]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running_atlas() as atlas:
        atlas.files["/f"] = CONTENT
        yield atlas


class Clock:
    """Time that passes by sleeping only."""

    def __init__(self) -> None:
        self.time, self.slept = 0.0, list[float]()

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def downloader(clock: Clock, retries: int = 5, per_second: float = 1000, timeout_s: float = 5) -> Downloader:
    params = DownloadParams(requests_per_second=per_second, retries=retries, timeout_s=timeout_s)
    return Downloader(params, clock.now, clock.sleep)


def take_bytes(part: Path) -> bytes:
    return part.read_bytes()


def fetch(atlas: Atlas, part: Path, clock: Clock | None = None, **kind: float) -> bytes:
    return downloader(clock or Clock(), **kind).fetch(f"{atlas.address}/f", part, take_bytes)  # type: ignore[arg-type]


def test_a_file_arrives_whole_and_leaves_no_part(atlas: Atlas, tmp_path: Path) -> None:
    assert fetch(atlas, tmp_path / "part") == CONTENT
    assert list(tmp_path.iterdir()) == []
    assert atlas.requests == [("/f", "")]


def test_a_dropped_connection_is_continued_where_it_stopped(atlas: Atlas, tmp_path: Path) -> None:
    atlas.faults["/f"] = ["drop", "drop"]
    assert fetch(atlas, tmp_path / "part") == CONTENT
    first, second, third = [wanted for _, wanted in atlas.requests]
    assert first == ""
    assert second == f"bytes={len(CONTENT) // 2}-"
    assert third == f"bytes={len(CONTENT) * 3 // 4}-"


def test_a_server_without_ranges_sends_it_anew(atlas: Atlas, tmp_path: Path) -> None:
    atlas.ranges, atlas.faults["/f"] = False, ["drop"]
    assert fetch(atlas, tmp_path / "part") == CONTENT


def test_a_weak_tag_names_no_bytes(atlas: Atlas, tmp_path: Path) -> None:
    atlas.weak, atlas.faults["/f"] = True, ["drop"]
    assert fetch(atlas, tmp_path / "part") == CONTENT
    assert [wanted for _, wanted in atlas.requests] == ["", ""]


def test_another_version_of_the_file_is_not_joined_to_the_half_of_the_old_one(
    atlas: Atlas, tmp_path: Path
) -> None:
    atlas.faults["/f"] = ["drop", "other"]
    atlas.files["/f"] = CONTENT

    def replace_when_asked_again() -> None:
        if len(atlas.requests) == 2:
            atlas.files["/f"] = CONTENT[::-1]

    atlas.on_request = replace_when_asked_again
    assert fetch(atlas, tmp_path / "part") == CONTENT[::-1]


def test_a_part_that_is_longer_than_the_file_is_given_up(atlas: Atlas, tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.write_bytes(CONTENT + b"more")
    part.with_name("part.version").write_text(f'"0-{len(CONTENT)}"')
    assert fetch(atlas, part) == CONTENT


def test_a_part_of_unknown_version_is_given_up(atlas: Atlas, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"something else")
    assert fetch(atlas, tmp_path / "part") == CONTENT
    assert atlas.requests == [("/f", "")]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_fault_of_the_server_is_waited_for(atlas: Atlas, tmp_path: Path, status: int) -> None:
    clock = Clock()
    atlas.faults["/f"] = [status] * 4
    assert fetch(atlas, tmp_path / "part", clock) == CONTENT
    waits = [s for s in clock.slept if s >= 0.5]
    assert waits == [1, 2, 4]  # the first time at once


def test_the_server_may_say_how_long_to_wait(atlas: Atlas, tmp_path: Path) -> None:
    clock = Clock()
    atlas.faults["/f"], atlas.headers = [503, 503], {"Retry-After": "17"}
    assert fetch(atlas, tmp_path / "part", clock) == CONTENT
    assert [s for s in clock.slept if s >= 0.5] == [17, 17]
    atlas.faults["/f"], atlas.headers = [503], {"Retry-After": "86400"}
    fetch(atlas, tmp_path / "part", clock)
    assert max(clock.slept) == 120


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refused_file_is_not_asked_for_again(atlas: Atlas, tmp_path: Path, status: int) -> None:
    atlas.faults["/f"] = [status]
    with pytest.raises(Unavailable, match=f"the server says {status}"):
        fetch(atlas, tmp_path / "part")
    assert len(atlas.requests) == 1


def test_tries_end_and_what_came_is_kept_for_the_next_run(atlas: Atlas, tmp_path: Path) -> None:
    atlas.faults["/f"] = ["drop"] * 3
    with pytest.raises(Unavailable, match="IncompleteRead"):
        fetch(atlas, tmp_path / "part", retries=2)
    assert len(atlas.requests) == 3
    assert (tmp_path / "part").read_bytes() == CONTENT[: len(CONTENT) * 7 // 8]
    assert fetch(atlas, tmp_path / "part") == CONTENT
    assert atlas.requests[3][1] == f"bytes={len(CONTENT) * 7 // 8}-"


def test_content_that_is_not_accepted_is_fetched_anew(atlas: Atlas, tmp_path: Path) -> None:
    def take_pictures(part: Path) -> bytes:
        if (content := part.read_bytes()) != CONTENT:
            raise DataError(f"{part}: is no picture")
        return content

    atlas.faults["/f"] = ["html", "truncate"]
    got = downloader(Clock()).fetch(f"{atlas.address}/f", tmp_path / "part", take_pictures)
    assert got == CONTENT
    assert [wanted for _, wanted in atlas.requests] == ["", "", ""]
    atlas.faults["/f"] = ["html"] * 6
    with pytest.raises(Unavailable, match=r"^is no picture$"):
        downloader(Clock()).fetch(f"{atlas.address}/f", tmp_path / "part", take_pictures)


def test_a_silent_server_is_tried_again(atlas: Atlas, tmp_path: Path) -> None:
    atlas.faults["/f"] = ["hang"]
    assert fetch(atlas, tmp_path / "part", timeout_s=0.2) == CONTENT


def test_no_server_at_all_ends_the_work(tmp_path: Path) -> None:
    with running_atlas() as atlas:
        address = atlas.address
    with pytest.raises(MachineError, match=r"no answer .*kept: run again when the network is back"):
        downloader(Clock(), retries=2).fetch(f"{address}/f", tmp_path / "part", take_bytes)


def test_a_proxy_of_the_environment_is_used(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", atlas.address)
    atlas.files["http://atlas.example/f"] = b"through the proxy"
    part = tmp_path / "part"
    assert downloader(Clock()).fetch("http://atlas.example/f", part, take_bytes) == b"through the proxy"


def test_redirects_are_followed(atlas: Atlas, tmp_path: Path) -> None:
    atlas.faults["/old"], atlas.headers = [301], {"Location": "/f"}
    assert downloader(Clock()).fetch(f"{atlas.address}/old", tmp_path / "part", take_bytes) == CONTENT


def test_a_stopped_download_ends_and_keeps_its_part(atlas: Atlas, tmp_path: Path) -> None:
    stopping = downloader(Clock())
    atlas.on_request = stopping.stop
    with pytest.raises(Interrupted):
        stopping.fetch(f"{atlas.address}/f", tmp_path / "part", take_bytes)
    assert 0 < (tmp_path / "part").stat().st_size < len(CONTENT)


def test_every_request_keeps_the_pace_retries_too(atlas: Atlas, tmp_path: Path) -> None:
    clock, times = Clock(), list[float]()
    atlas.on_request = lambda: times.append(clock.now())
    atlas.faults["/f"] = [500, 500]
    shared = downloader(clock, per_second=0.1)
    for _ in range(3):
        shared.fetch(f"{atlas.address}/f", tmp_path / "part", take_bytes)
    assert len(times) == 5
    assert min(later - earlier for earlier, later in pairwise(times)) >= 10


def test_the_pace_is_one_for_all_threads_and_never_catches_up() -> None:
    clock = Clock()
    slept: list[float] = []
    pace = Pace(4, clock.now, slept.append)  # time stands still, as for threads that ask at once
    for _ in range(4):
        pace.keep()
    assert slept == [0.25, 0.5, 0.75]
    clock.time = 100
    pace.keep()
    pace.keep()
    assert slept[3:] == [0.25]


def test_a_killed_process_is_continued_by_the_next(atlas: Atlas, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from common.download import *;"
        "Downloader(DownloadParams(timeout_s=60)).fetch(sys.argv[1], Path(sys.argv[2]), lambda part: None)"
    )
    part = tmp_path / "part"
    atlas.faults["/f"] = ["drop", "hang"]
    command = [sys.executable, "-c", script, f"{atlas.address}/f", str(part)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        wait_for(lambda: len(atlas.requests) == 2, process)
        process.kill()
    assert part.read_bytes() == CONTENT[: len(CONTENT) // 2]
    assert fetch(atlas, part) == CONTENT
    assert atlas.requests[2][1] == f"bytes={len(CONTENT) // 2}-"


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    while not happened():
        assert process.poll() is None, "the process ended before it could be killed"
        time.sleep(0.02)
