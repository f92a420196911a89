"""The crops stage: faulty images, killed runs, any number of processes, many shards."""

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.cells import COLUMNS, measure_cells, write_mask
from common.classes import COLORS
from common.crops import CropParams, CropStore
from common.cutting import write_store
from common.errors import DataError
from common.image_table import COLUMNS as IMAGE_COLUMNS
from common.images import Field
from common.tables import read_skipped
from tests.running import ROOT, run_in

Draw = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from common import cutting
from common.stages.crops import main

def cut(item, *given, cut=cutting._cut_image, **named):
    with open("log", "a") as log:
        log.write(item.field.image_id + "\\n")
    if item.field.image_id == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    return cut(item, *given, **named)

cutting._cut_image = cut
main(Path("images"), Path("masks"), Path("cells.parquet"), Path("crops"))
"""


def several(
    folder: Path, count: int, draw_image: Draw, write_image: Callable[..., Field], **changes: Any
) -> Path:
    """A store of images i0, i1 ... of one cell each, a shard an image; returns its folder."""
    fields, cells = inputs(folder, count, draw_image, write_image)
    params = CropParams(field_px=64, shard_cells=1, compression="none", **changes)
    write_store(fields, folder / "masks", cells, params, folder / "store")
    return folder / "store"


def inputs(
    folder: Path, count: int, draw_image: Draw, write_image: Callable[..., Field]
) -> tuple[list[Field], pd.DataFrame]:
    (folder / "masks").mkdir(exist_ok=True)
    fields, cells = [], []
    for number in range(count):
        mask = np.zeros((64, 64), np.uint16)
        mask[5:20, 5 : 20 + number] = 1
        write_mask(folder / f"masks/i{number}_cell.png", mask)
        fields.append(write_image(folder / "pixels", f"i{number}", draw_image(number, 64)))
        cells.append(measure_cells(f"i{number}", mask, mask))
    return fields, pd.concat(cells)


def test_images_that_cannot_be_used_stop_the_stage_and_are_all_named(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    fields, cells = inputs(tmp_path, 4, draw_image, write_image)
    fields[1].paths[2].write_bytes(b"<html>")
    (tmp_path / "masks/i3_cell.png").unlink()
    with pytest.raises(
        DataError, match=r"2 of 4 images cannot(.|\n)*i1_blue.png: holds a web(.|\n)*i3_cell.png: no"
    ):
        write_store(fields, tmp_path / "masks", cells, CropParams(), tmp_path / "store")
    assert not (tmp_path / "store/index.parquet").exists()


def test_images_that_cannot_be_used_are_left_out_and_listed(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field], capsys: pytest.CaptureFixture[str]
) -> None:
    fields, cells = inputs(tmp_path, 4, draw_image, write_image)
    fields[1].paths[2].write_bytes(b"")
    write_store(
        fields, tmp_path / "masks", cells, CropParams(box="tight", on_fault="skip"), tmp_path / "store"
    )
    store = CropStore(tmp_path / "store")
    assert store.index["image_id"].tolist() == ["i0", "i2", "i3"]
    assert read_skipped(store.folder) == {"i1"}
    assert "1 of 4 images are left out" in capsys.readouterr().out
    for row, number in enumerate((0, 2, 3)):
        np.testing.assert_array_equal(store.read(row)[0][:4], draw_image(number, 64)[:, :36, : 36 + number])


def test_a_store_without_cells_is_empty(tmp_path: Path) -> None:
    write_store([], tmp_path, pd.DataFrame(columns=COLUMNS), CropParams(), tmp_path / "store")
    assert (len(CropStore(tmp_path / "store")), read_skipped(tmp_path / "store")) == (0, set())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_number_of_processes_does_not_change_a_byte(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = contents(several(tmp_path, 4, draw_image, write_image))
    monkeypatch.setenv("HPA_PARALLEL", "process")
    monkeypatch.setenv("HPA_WORKERS", "2")
    shutil.rmtree(tmp_path / "store")
    assert contents(several(tmp_path, 4, draw_image, write_image)) == one
    assert sorted(one) == [
        "index.parquet",
        "params.json",
        *(f"shard-0000{number}.bin" for number in range(4)),
    ]


def test_a_killed_stage_goes_on_and_writes_the_same_bytes(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    fields, cells = inputs(tmp_path, 6, draw_image, write_image)
    cells.to_parquet(tmp_path / "cells.parquet", index=False)
    (tmp_path / "pixels").rename(tmp_path / "images")
    rows = [(field.image_id, *(path.name for path in field.paths)) for field in fields]
    table = pd.DataFrame(rows, columns=["image_id", *COLORS]).reindex(columns=IMAGE_COLUMNS)
    table.to_parquet(tmp_path / "images/images.parquet", index=False)
    (tmp_path / "params.yaml").write_text("crops: {field_px: 64, shard_cells: 2}\n")

    def run(deadly: str) -> tuple[int, list[str]]:
        (tmp_path / "log").unlink(missing_ok=True)
        command = (sys.executable, "-c", KILLS_ITSELF, deadly)
        done = run_in(tmp_path, *command, check=False, PYTHONPATH=str(ROOT), HPA_PARALLEL="serial")
        return done.returncode, (tmp_path / "log").read_text().split()

    assert run("none") == (0, [f"i{number}" for number in range(6)])
    whole = contents(tmp_path / "crops")
    shutil.rmtree(tmp_path / "crops")  # as DVC does before it runs a stage
    assert run("i3") == (-signal.SIGKILL, ["i0", "i1", "i2", "i3"])
    assert not (tmp_path / "crops").exists()
    assert run("i5") == (-signal.SIGKILL, ["i2", "i3", "i4", "i5"])
    assert run("none") == (0, ["i4", "i5"])
    assert contents(tmp_path / "crops") == whole
    assert not list(tmp_path.glob(".crops.part-*"))


def test_more_shards_than_may_be_open_are_read(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("common.packed.OPEN_SHARDS", 2)
    folder = several(tmp_path, 5, draw_image, write_image)
    store = CropStore(folder)
    crops = [store.read(row)[0] for row in range(len(store))]  # the first ones outlive their closed shards
    again = CropStore(folder)
    for row in (4, 0, 3, 1, 2):
        np.testing.assert_array_equal(again.read(row)[0], crops[row])
