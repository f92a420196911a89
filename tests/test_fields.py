"""The field store: every image at the size that networks see."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from common.errors import DataError, ParamsError
from common.fields import FieldParams, FieldStore, FieldView, fit
from common.images import Field, read_image
from common.reducing import write_fields
from common.tables import read_skipped
from common.views import Channel, to_depth

Write = Callable[..., Field]
ALL = FieldView(channels=get_args(Channel), size_px=32)


@pytest.fixture(autouse=True)
def serial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPA_PARALLEL", "serial")


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (4, height, width), np.uint8)


def store_of(folder: Path, write_image: Write, images: list[np.ndarray], **changes: Any) -> FieldStore:
    fields = [write_image(folder, f"i{number}", image) for number, image in enumerate(images)]
    write_fields(fields, FieldParams(**{"field_px": 32, "shard_fields": 2} | changes), folder / "store")
    return FieldStore(folder / "store")


@pytest.mark.parametrize("compression", ["lz4", "none"])
def test_a_field_of_the_store_s_size_comes_back_as_it_was(
    tmp_path: Path, write_image: Write, compression: str
) -> None:
    images = [picture(32, 32, seed) for seed in range(3)]
    store = store_of(tmp_path, write_image, images, compression=compression)
    assert list(store.index["image_id"]) == ["i0", "i1", "i2"]
    for row, image in enumerate(images):
        assert np.array_equal(store.read(row, ALL), image.transpose(1, 2, 0))


def test_a_large_field_is_reduced_by_the_mean_of_its_pixels(tmp_path: Path, write_image: Write) -> None:
    image = picture(64, 64)
    found = store_of(tmp_path, write_image, [image]).read(0, ALL)
    means = image.reshape(4, 32, 2, 32, 2).mean(axis=(2, 4)).transpose(1, 2, 0)
    assert np.abs(found - means).max() <= 0.5


def test_channels_come_in_the_order_of_the_view(tmp_path: Path, write_image: Write) -> None:
    image = picture(32, 32)
    store = store_of(tmp_path, write_image, [image])
    found = store.read(0, FieldView(channels=("reticulum", "protein"), size_px=32))
    assert np.array_equal(found, image[[3, 1]].transpose(1, 2, 0))


def test_a_field_that_is_no_square_keeps_its_shape_and_is_padded(tmp_path: Path, write_image: Write) -> None:
    found = store_of(tmp_path, write_image, [np.full((4, 16, 32), 9, np.uint8)]).read(0, ALL)
    assert (found[:16] == 9).all()
    assert (found[16:] == 0).all()


def test_a_mask_fits_its_field_and_keeps_its_numbers() -> None:
    mask = np.zeros((8, 4), np.uint16)
    mask[4:] = 300
    found = fit(mask, 4, nearest=True)
    assert found.tolist() == [[0] * 4, [0] * 4, [300, 300, 0, 0], [300, 300, 0, 0]]


def test_a_view_larger_than_the_store_is_refused(tmp_path: Path, write_image: Write) -> None:
    store = store_of(tmp_path, write_image, [picture(32, 32)])
    with pytest.raises(ParamsError, match="size_px 64, the store keeps fields of 32 px"):
        store.refuse_view(ALL.model_copy(update={"size_px": 64}))


def test_a_damaged_image_stops_or_is_left_out(tmp_path: Path, write_image: Write) -> None:
    fields = [write_image(tmp_path, f"i{number}", picture(32, 32, number)) for number in range(3)]
    fields[1].paths[2].write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"i1_blue\.png"):
        write_fields(fields, FieldParams(field_px=32), tmp_path / "store")
    write_fields(fields, FieldParams(field_px=32, on_fault="skip"), tmp_path / "store")
    assert list(FieldStore(tmp_path / "store").index["image_id"]) == ["i0", "i2"]
    assert read_skipped(tmp_path / "store") == {"i1"}


def test_real_fields_are_reduced_as_they_are_read(tmp_path: Path, shared: Path) -> None:
    paths = sorted((shared / "data").rglob("*_red.png"))[:1]
    if not paths:
        pytest.skip("no real field here")
    stem = str(paths[0]).removesuffix("_red.png")
    field = Field("real", tuple(Path(f"{stem}_{color}.png") for color in ("red", "green", "blue", "yellow")))
    write_fields([field], FieldParams(field_px=512), tmp_path / "store")
    found, image = FieldStore(tmp_path / "store").picture(0), to_depth(read_image(field), 8)
    assert max(found.shape) == 512
    assert found.mean() == pytest.approx(image.mean(), rel=0.02)
