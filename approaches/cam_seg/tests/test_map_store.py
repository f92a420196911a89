"""The cache of maps: what was written is read, whatever the order; damage is named."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from approaches.cam_seg import map_store
from approaches.cam_seg.map_store import MapStore, write_maps
from common.errors import DataError


def some_maps(seed: int, side: int = 8) -> np.ndarray:
    """(19, side, side), a few classes active in half of the places."""
    rng = np.random.default_rng(seed)
    maps = rng.random((19, side, side)) * (rng.random((19, side, side)) < 0.5)
    maps[rng.random(19) < 0.7] = 0
    return maps.astype(np.float32)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MapStore:
    monkeypatch.setattr(map_store, "SHARD_BYTES", 1000)
    images = ((name, some_maps(i, 8 + i), np.full(19, i / 10)) for i, name in enumerate("abcdef"))
    write_maps(tmp_path, images)
    return MapStore(tmp_path)


def test_maps_and_probabilities_come_back_in_any_order_in_half_precision(store: MapStore) -> None:
    assert len(store) == 6
    for i, name in reversed(list(enumerate("abcdef"))):
        expected = some_maps(i, 8 + i)
        np.testing.assert_allclose(store.read(name), expected, rtol=2**-11, atol=1e-7)
        np.testing.assert_array_equal(store.read(name) == 0, expected == 0)
        np.testing.assert_allclose(store.probabilities(name), i / 10)


def test_shards_are_closed_when_they_are_full(store: MapStore) -> None:
    sizes = [path.stat().st_size for path in sorted(store.folder.glob("shard-*.bin"))]
    assert len(sizes) > 1
    assert sum(sizes) == store.index["size"].sum()
    assert all(size <= max(1000, store.index["size"].max()) for size in sizes)


def test_an_image_without_any_map_is_kept(tmp_path: Path) -> None:
    write_maps(tmp_path, [("empty", np.zeros((19, 4, 5), np.float32), np.zeros(19))])
    np.testing.assert_array_equal(MapStore(tmp_path).read("empty"), np.zeros((19, 4, 5)))


def test_a_store_may_go_to_another_process(store: MapStore) -> None:
    store.read("a")
    copy = pickle.loads(pickle.dumps(store))
    np.testing.assert_array_equal(copy.read("b"), store.read("b"))


def test_unknown_images_and_damaged_shards_are_named(store: MapStore) -> None:
    with pytest.raises(DataError, match="no maps of 'z'"):
        store.read("z")
    path = store.folder / "shard-00000.bin"
    path.write_bytes(path.read_bytes()[:-10])
    last = store.index.loc[store.index["shard"] == 0, "image_id"].iloc[-1]
    with pytest.raises(DataError, match=r"shard-00000\.bin: is absent or damaged"):
        MapStore(store.folder).read(last)
    path.unlink()
    with pytest.raises(DataError, match=r"shard-00000\.bin: is absent or damaged"):
        MapStore(store.folder).read("a")


def test_an_image_is_written_once(tmp_path: Path) -> None:
    twice = [("a", some_maps(0), np.zeros(19))] * 2
    with pytest.raises(DataError, match="'a' is there twice"):
        write_maps(tmp_path, twice)
