"""The segment stage: goes on where a killed run was, lists what it cannot use, hands batches to a segmenter."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.cells import cell_mask_path, nucleus_mask_path, read_cells, read_mask
from common.errors import DataError
from common.image_table import fields_of, read_images
from common.images import Field, read_image
from common.ingest import folder_entries, ingest
from common.segmentation import segmenters
from common.segmentation.classical import ClassicalParams
from common.segmentation.segmenters import Masks, Picture, Segmenter, SegmentParams, segment_fields
from common.shards import NOTES, SKIPPED, OnFault
from common.stages import segment
from tests.running import ROOT, quiet_environment

COUNT = 40
"""Images: shards of 16, 16 and 8."""


def field_of_cells(seed: int) -> np.ndarray:
    """(4, 64, 64) uint8 with two round cells and their nuclei."""
    rows, cols = np.mgrid[:64, :64]
    image = np.zeros((4, 64, 64), np.uint8)
    for y, x in ((18, 18 + seed % 5), (44, 40 - seed % 7)):
        distance = np.hypot(rows - y, cols - x)
        image[[0, 3]] = np.maximum(image[[0, 3]], (150 * np.clip(1.2 - distance / 14, 0, 1)).astype(np.uint8))
        image[2][distance < 6] = 200
    return image


@pytest.fixture
def place(tmp_path: Path, write_image: Callable[[Path, str, np.ndarray], Field]) -> Path:
    """A folder with ``images``, as the images stage writes it, and ``params.yaml``."""
    for number in range(COUNT):
        write_image(tmp_path / "source", f"f{number:02d}", field_of_cells(number))
    ingest(folder_entries(tmp_path / "source"), "folder", tmp_path / "images")
    set_params(tmp_path, "stop")
    return tmp_path


def set_params(place: Path, on_fault: OnFault) -> None:
    (place / "params.yaml").write_text(
        f"scale: demo\nsegment: {{segmenter: classical, masks: none, on_fault: {on_fault}, "
        "max_empty_share: 0.5, classical: {working_width_px: 128}}\n"
    )


def run(place: Path) -> None:
    segment.main(place / "images", place / "masks", place / "cells.parquet", place / "params.yaml")


def digest(place: Path) -> dict[str, str]:
    files = [*(place / "masks").iterdir(), place / "cells.parquet"]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def stage(place: Path) -> subprocess.Popen[str]:
    words = ["--images", "images", "--masks", "masks", "--cells", "cells.parquet"]
    return subprocess.Popen(
        [sys.executable, "-m", "common.stages.segment", *words],
        cwd=place,
        env=quiet_environment() | {"PYTHONPATH": str(ROOT), "HPA_WORKERS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_every_image_gets_masks_and_its_cells_rows(place: Path) -> None:
    run(place)
    cells = read_cells(place / "cells.parquet")
    ids = [f"f{number:02d}" for number in range(COUNT)]
    assert cells["image_id"].drop_duplicates().tolist() == ids
    for image_id, rows in cells.groupby("image_id"):
        mask = read_mask(cell_mask_path(place / "masks", str(image_id)), (64, 64))
        nuclei = read_mask(nucleus_mask_path(place / "masks", str(image_id)), (64, 64))
        assert rows["cell_id"].tolist() == np.unique(mask)[1:].tolist() == np.unique(nuclei)[1:].tolist()
        assert rows["area_px"].tolist() == np.bincount(mask.ravel())[1:].tolist()
    assert len(list((place / "masks").iterdir())) == 2 * COUNT


@pytest.mark.timeout(120)
def test_a_killed_stage_goes_on_and_gives_the_bytes_of_an_undisturbed_one(place: Path) -> None:
    run(place)
    undisturbed = digest(place)
    (place / "cells.parquet").unlink()
    for path in (place / "masks").iterdir():
        path.unlink()
    (place / "masks").rmdir()  # as ``dvc repro`` removes the outputs of a stage before it runs it
    kept = place / ".masks.part-kept"
    with stage(place) as running:
        while not list((kept / NOTES).glob("*.parquet")):
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    assert not (place / "masks").exists()
    with stage(place) as running:
        said = running.communicate()[1]
    assert running.returncode == 0
    assert " of 3 parts are kept" in said
    assert digest(place) == undisturbed
    assert not kept.exists()


def damage(place: Path) -> None:
    (place / "images/pixels/f03_blue.png").write_bytes(b"")
    (place / "images/pixels/f20_red.png").write_text("<html>")


def test_damaged_images_stop_the_stage_all_at_once_and_the_rest_is_kept(
    place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damage(place)
    with pytest.raises(DataError, match="2 of 40 images cannot be used: 2 faults") as caught:
        run(place)
    assert "f03_blue.png: is empty" in str(caught.value)
    assert "f20_red.png: holds a web page" in str(caught.value)
    assert not (place / "masks").exists()
    ingest(folder_entries(place / "source"), "folder", place / "mended")
    for name in ("f03_blue.png", "f20_red.png"):
        (place / "mended/pixels" / name).replace(place / "images/pixels" / name)
    run(place)
    assert "1 of 3 parts are kept" in capfd.readouterr().err
    assert len(read_cells(place / "cells.parquet")["image_id"].unique()) == COUNT


def test_damaged_images_are_left_out_and_listed(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    damage(place)
    set_params(place, "skip")
    run(place)
    listed = pd.read_csv(place / "masks" / SKIPPED)
    assert listed["image_id"].tolist() == ["f03", "f20"]
    assert "f20_red.png: holds a web page" in listed["reason"][1]
    said = capfd.readouterr().out
    assert "2 of 40 images are left out" in said
    assert "no cell was found in 2 of 40 images (f03, f20)" in said
    cells = read_cells(place / "cells.parquet")
    assert set(read_images(place / "images")["image_id"]) - set(cells["image_id"]) == {"f03", "f20"}
    assert not read_mask(cell_mask_path(place / "masks", "f03"), (64, 64)).any()  # scorers read every mask


def test_an_image_that_kills_the_segmenter_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = fields_of(read_images(place / "images"), place / "images")[:8]
    deadly = read_image(fields[5])

    def segment_or_die(image: np.ndarray, params: ClassicalParams) -> Masks:
        if np.array_equal(image, deadly):
            os.kill(os.getpid(), signal.SIGKILL)
        return masks_of(image)

    monkeypatch.setattr(segmenters.classical, "segment", segment_or_die)
    monkeypatch.setenv("HPA_WORKERS", "2")
    with pytest.raises(DataError, match=r"1 of 8 images (.|\n)* f05 killed its worker process"):
        segment_fields(fields, params_of("stop"), place / "out")
    cells, empty = segment_fields(fields, params_of("skip"), place / "out")
    assert empty == ["f05"]
    assert cells["image_id"].nunique() == 7
    assert pd.read_csv(place / "out" / SKIPPED)["image_id"].tolist() == ["f05"]


def masks_of(image: np.ndarray) -> Masks:
    cells = (image[2] > 0).astype(np.uint16)
    return cells, cells


def params_of(on_fault: OnFault) -> SegmentParams:
    return SegmentParams(
        segmenter="classical",
        masks="none",
        on_fault=on_fault,
        max_empty_share=1,
        classical=ClassicalParams(),
    )


def test_a_segmenter_is_made_once_and_gets_batches_of_which_one_picture_may_be_bad(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, batches = [], []

    def make(params: SegmentParams) -> Segmenter:
        made.append(params.segmenter)

        def network(pictures: Sequence[Picture]) -> list[Masks]:
            batches.append([picture.image_id for picture in pictures])
            if "f01" in batches[-1]:
                raise DataError("f01: is out of focus")
            return [masks_of(picture.pixels) for picture in pictures]

        return network

    monkeypatch.setattr(segmenters, "BATCH_IMAGES", 3)
    monkeypatch.setitem(segmenters.SEGMENTERS, "classical", make)
    monkeypatch.setenv("HPA_PARALLEL", "serial")
    segmenters.segmenter_of.cache_clear()
    fields = fields_of(read_images(place / "images"), place / "images")[:20]
    cells, empty = segment_fields(fields, params_of("skip"), place / "out")
    segmenters.segmenter_of.cache_clear()
    assert made == ["classical"]
    assert empty == ["f01"]
    assert cells["image_id"].nunique() == 19
    assert batches[:5] == [
        ["f00", "f01", "f02"],
        *(["f00"], ["f01"], ["f02"]),
        ["f03", "f04", "f05"],
    ]
    assert pd.read_csv(place / "out" / SKIPPED)["reason"].tolist() == ["f01: is out of focus"]


@pytest.mark.parametrize("backend", ["process", "dask"])
def test_the_backend_does_not_change_a_byte(
    place: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setenv("HPA_WORKERS", "2")
    monkeypatch.setenv("HPA_PARALLEL", "serial")
    run(place)
    serial = digest(place)
    monkeypatch.setenv("HPA_PARALLEL", backend)
    run(place)
    assert digest(place) == serial
