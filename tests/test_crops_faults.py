"""What may be wrong with a crop store, and other processes that read it."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from common.crops import CropStore
from common.errors import DataError, ParamsError
from common.images import Field
from common.views import View
from tests.cropped import random_mask, stored

Draw = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


def test_a_mask_of_another_size_than_its_image_is_refused(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    with pytest.raises(DataError, match=r"a_cell.png: mask is \(64, 60\) .* its image \(64, 64\)"):
        stored(tmp_path, draw_image(0, 64), random_mask(0)[:, :60], write_image)


def test_a_missing_store_is_an_error_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such table; run: dvc repro crops"):
        CropStore(tmp_path)


def test_a_damaged_or_absent_shard_is_named(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    folder = stored(tmp_path, draw_image(0, 64), random_mask(0), write_image).folder
    shard = folder / "shard-00000.bin"
    content = shard.read_bytes()
    for damage in (content[:-1], b"\xff" * len(content)):
        shard.write_bytes(damage)
        with pytest.raises(
            DataError, match=r"shard-00000.bin: is absent or damaged; run: dvc repro -f crops"
        ):
            CropStore(folder).read(0)
    shard.unlink()
    with pytest.raises(DataError, match="absent or damaged"):
        CropStore(folder).read(0)


def test_a_view_that_wants_more_than_is_stored_is_refused(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field]
) -> None:
    store = stored(tmp_path, draw_image(0, 64), random_mask(0), write_image)
    wanted = View(channels=("protein",), mask="others", square="pad", size_px=8, margin_px=9, box="square")
    with pytest.raises(
        ParamsError, match=r"wants box square, .* tight; margin_px 9, the store keeps 5; change"
    ):
        store.refuse_view(wanted)


def read_all(store: CropStore) -> list[bytes]:
    return [store.read(row)[0].tobytes() for row in range(len(store))]


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_store_that_is_open_may_go_to_other_processes(
    tmp_path: Path, draw_image: Draw, write_image: Callable[..., Field], start: str
) -> None:
    store = stored(tmp_path, draw_image(0, 64), random_mask(0), write_image)
    expected = read_all(store)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(start)) as pool:
        sums = list(pool.map(CropStore.read, [store] * 2, [0, len(store) - 1]))
    assert [crop.tobytes() for crop, _ in sums] == [expected[0], expected[-1]]
