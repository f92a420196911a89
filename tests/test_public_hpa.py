"""The public atlas, from its table to images in the house, against a server that misbehaves."""

import gzip
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from common.classes import COLORS
from common.download import Downloader
from common.errors import DataError
from common.images import PLANES, read_image
from common.params import build
from common.public_hpa import public_entries
from common.public_table import PublicParams
from common.sources import ImagesParams, collect
from tests.atlas import Atlas, running_atlas
from tests.running import ROOT
from tests.test_download import wait_for
from tests.test_public_table import write_table

IDS = ("1_A1_1", "1_A1_2", "2_B3_1")
Draw = Callable[[int], np.ndarray]


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


def jpg(channel: np.ndarray, color: str) -> bytes:
    pixels = np.zeros((*channel.shape, 3), np.uint8)
    pixels[..., list(PLANES[color])] = channel[..., None]
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def tif_gz(channel: np.ndarray, color: str) -> bytes:
    content = io.BytesIO()
    tifffile.imwrite(content, channel)
    return gzip.compress(content.getvalue())


@pytest.fixture
def atlas(tmp_path: Path, draw_image: Draw) -> Iterator[Atlas]:
    """Three images, in both forms, of two antibodies; their table is in the folder ``source``."""
    with running_atlas() as atlas:
        rows = []
        for seed, image_id in enumerate(IDS):
            place = f"/{image_id.split('_')[0]}00/{image_id}"
            rows.append((atlas.address + place, "Nucleoli,Cytosol", "HeLa", "False"))
            for channel, color in zip(draw_image(seed), COLORS, strict=True):
                atlas.files[f"{place}_{color}.jpg"] = jpg(channel, color)
                atlas.files[f"{place}_{color}.tif.gz"] = tif_gz(channel.astype(np.uint16) * 200, color)
        (tmp_path / "source").mkdir()
        write_table(tmp_path / "source", *rows)
        yield atlas


def params(**given: object) -> PublicParams:
    fast = {"requests_per_second": 1000, "timeout_s": 5}
    return build(PublicParams, {**fast, **given}, "images.public_hpa")


def fetched(**given: object) -> dict[str, np.ndarray]:
    chosen = params(**given)
    entries = public_entries(chosen, Path("source"), Downloader(chosen, sleep=lambda seconds: None))
    return {entry.field.image_id: read_image(entry.field) for entry in entries}


def test_images_come_with_labels_line_and_antibody(atlas: Atlas) -> None:
    entries = public_entries(params(), Path("source"))
    assert [entry.field.image_id for entry in entries] == list(IDS)
    assert {(entry.split, entry.labels, entry.cell_line) for entry in entries} == {("train", (2, 16), "HeLa")}
    assert [entry.sample_id for entry in entries] == ["antibody-100", "antibody-100", "antibody-200"]


def test_tif_gz_arrives_to_the_last_bit_and_jpg_nearly(atlas: Atlas, draw_image: Draw) -> None:
    exact, near = fetched(form="tif.gz"), fetched()
    for seed, image_id in enumerate(IDS):
        np.testing.assert_array_equal(exact[image_id], draw_image(seed).astype(np.uint16) * 200)
        assert (
            np.abs(near[image_id].astype(int) - draw_image(seed)).mean() < 6
        )  # jpg halves the resolution of colours
    names = {path.name for path in Path("data/download/public_hpa").iterdir()}
    assert names == {f"{i}_{c}.{e}" for i in IDS for c in COLORS for e in ("jpg", "png")} | {"missing.csv"}


def test_what_is_complete_is_not_asked_for_again(atlas: Atlas) -> None:
    fetched()
    assert set(atlas.asked().values()) == {1}
    assert len(atlas.requests) == 12
    fetched()
    assert len(atlas.requests) == 12
    Path("data/download/public_hpa/1_A1_2_blue.jpg").unlink()
    fetched()
    assert atlas.requests[12:] == [("/100/1_A1_2_blue.jpg", "")]


@pytest.mark.parametrize("form", ["jpg", "tif.gz"])
@pytest.mark.parametrize("fault", ["drop", "truncate", "html", 429, 500, "hang"])
def test_a_fault_that_passes_leaves_no_trace(atlas: Atlas, fault: str | int, form: str) -> None:
    whole = fetched(form=form)
    for path in Path("data/download/public_hpa").iterdir():
        path.unlink()
    atlas.faults = {path: [fault] for path in atlas.files if "_red" in path or fault != "hang"}
    mended = fetched(form=form, timeout_s=1, connections=12)
    assert list(mended) == list(whole)
    for image_id in whole:
        np.testing.assert_array_equal(mended[image_id], whole[image_id])


def test_an_image_that_cannot_be_had_stops_the_stage_and_the_others_are_kept(atlas: Atlas) -> None:
    del atlas.files["/100/1_A1_1_green.jpg"]
    with pytest.raises(DataError, match=r"1 of 3 images cannot be had \(1_A1_1: green: the server says 404"):
        fetched()
    asked = len(atlas.requests)
    listed = Path("data/download/public_hpa/missing.csv").read_text().splitlines()
    assert listed == ["ID,why", "1_A1_1,green: the server says 404 Not Found"]
    assert list(fetched(max_missing_share=0.34)) == ["1_A1_2", "2_B3_1"]
    assert len(atlas.requests) == asked + 1, "only what is missing is asked for again"


def test_a_picture_that_stays_broken_is_named_with_what_came(atlas: Atlas, draw_image: Draw) -> None:
    green = draw_image(0)[1]
    atlas.files["/100/1_A1_1_green.jpg"] = b"<html>moved</html>"
    atlas.files["/100/1_A1_2_blue.jpg"] = jpg(green, "green")
    atlas.files["/200/2_B3_1_yellow.jpg"] = jpg(green[:20], "yellow")
    with pytest.raises(DataError, match="3 of 3 images"):
        fetched(retries=1)
    _, *listed = Path("data/download/public_hpa/missing.csv").read_text().splitlines()
    for line, expected in zip(
        listed,
        (
            '1_A1_1,"green: holds a web page (HTML)',
            '1_A1_2,"blue: is no blue channel',
            '2_B3_1,"channels differ: red 32 x 32',
        ),
        strict=True,
    ):
        assert line.startswith(expected)
    assert not list(Path("data/download/public_hpa").glob("2_B3_1_*")), "they would pass for complete"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"<html>", "holds a web page"),
        (gzip.compress(b"no picture", mtime=0), "is no PNG, JPG or TIFF"),
        (gzip.compress(bytes(3000), mtime=0)[:-4] + b"\0\0\0\0", "no whole gzip"),
        (gzip.compress(np.random.default_rng(0).bytes(3000), mtime=0)[:-900], "no whole gzip"),
    ],
)
def test_a_damaged_tif_gz_is_named(atlas: Atlas, content: bytes, why: str) -> None:
    atlas.files["/100/1_A1_1_red.tif.gz"] = content
    with pytest.raises(DataError, match=why):
        fetched(form="tif.gz", retries=1)


def test_a_file_that_unpacks_without_end_is_refused(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.public_hpa.MOST_BYTES", 10**6)
    atlas.files["/100/1_A1_1_red.tif.gz"] = gzip.compress(bytes(2 * 10**6))
    with pytest.raises(DataError, match="unpacks to more than 1000000 bytes"):
        fetched(form="tif.gz", retries=0)


def images_params(source: str, folder: str) -> ImagesParams:
    simulate = {"fields": 1, "test_fields": 0, "seed": 0}
    given = {"source": source, "folder": folder, "simulate": simulate}
    return build(ImagesParams, given | {"public_hpa": {"requests_per_second": 1000}}, "params.yaml: images")


def test_the_images_stage_takes_the_atlas_as_training_images_without_truth(atlas: Atlas) -> None:
    table = collect(images_params("public_hpa", "source"), Path("images"), Path("truth"))
    assert list(table["image_id"]) == list(IDS)
    assert set(table["split"]) == {"train"}
    assert set(table["source"]) == {"public_hpa"}
    assert table["labels"].map(list).tolist() == [[2, 16]] * 3
    assert Path("images/pixels/2_B3_1_yellow.jpg").is_file()
    assert Path("data/download/public_hpa/2_B3_1_yellow.jpg").is_file()


def test_the_atlas_may_be_added_to_the_competition(atlas: Atlas, competition_folder: Path) -> None:
    table = collect(images_params("kaggle+public_hpa", "source"), Path("images"), Path("truth"))
    assert dict(zip(table["image_id"], table["source"], strict=True)) == dict.fromkeys(
        ("a1", "a2", "b1", "c1"), "kaggle"
    ) | dict.fromkeys(IDS, "public_hpa")
    assert (table["split"] == "train").sum() == 6
    for color in COLORS:
        path = competition_folder / f"train/a2_{color}.png"
        path.rename(path.with_name(f"1_A1_1_{color}.png"))
    (competition_folder / "train.csv").write_text("ID,Label\na1,0\n1_A1_1,0\nb1,5\n")
    (competition_folder / "samples.csv").unlink()
    with pytest.raises(DataError, match="1_A1_1: is an image of kaggle and of the others"):
        collect(images_params("kaggle+public_hpa", "source"), Path("again"), Path("truth2"))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_stopped_stage_leaves_no_outputs_and_the_next_continues(atlas: Atlas, how: signal.Signals) -> None:
    Path("params.yaml").write_text(
        "scale: demo\nimages:\n  source: public_hpa\n  folder: source\n"
        "  simulate: {fields: 1, test_fields: 0, seed: 0}\n"
        "  public_hpa: {connections: 1, timeout_s: 3, requests_per_second: 1000}\n"
    )
    atlas.faults["/100/1_A1_2_green.jpg"] = ["drop", "hang"]
    command = [sys.executable, "-m", "common.stages.images", "--out", "data/images", "--truth", "data/truth"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as stage:
        wait_for(lambda: len(atlas.requests) == 7, stage)
        stage.send_signal(how)
        if how == signal.SIGTERM:
            atlas.over.set()
    assert not Path("data/images").exists()
    assert stage.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 128 + signal.SIGTERM)
    atlas.over.set()
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    asked = atlas.asked()
    assert asked.pop("/100/1_A1_2_green.jpg") == 3
    assert set(asked.values()) == {1}
    assert atlas.requests[7][1].startswith("bytes="), "the half that came is continued"
    assert len(list(Path("data/images/pixels").iterdir())) == 12
