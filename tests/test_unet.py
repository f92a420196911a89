"""The ``unet`` segmenter: what it sees, how its maps become masks, and that pictures do not touch each other."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.cells import cell_mask_path, nucleus_mask_path, read_mask
from common.errors import DataError, MissingWeightsError
from common.segmentation.batching import in_batches
from common.segmentation.map_reading import join, read_maps
from common.segmentation.network_params import UnetNetwork, UnetParams
from common.segmentation.unet import TrainedUnet, build_network, load_unet, prepare, save_unet, segment
from common.segmenter_training.hits import count_hits
from common.segmenter_training.targets import cell_target, nucleus_target
from common.simulate.fields import Field, simulate_field
from common.simulate.samples import SimulateParams, plan
from tests.running import run_in

TINY = UnetNetwork(encoder="tu-resnet10t", decoder_channels=(16, 8, 8, 8), um_per_px=1.28)


@pytest.fixture(scope="module")
def fields() -> list[Field]:
    params = SimulateParams(fields=4, test_fields=0, seed=3, side_px=256)
    return [simulate_field(entry, params) for entry in plan(params)]


@pytest.fixture(scope="module")
def untrained() -> TrainedUnet:
    torch.manual_seed(0)
    return TrainedUnet(build_network(TINY).eval(), TINY)


def perfect_maps(field: Field) -> np.ndarray:
    """(6, H, W) float32: what the network should say of a field."""
    sure = np.eye(3, dtype=np.float32)
    nuclei, cells = nucleus_target(field.nuclei, 1), cell_target(field.cells, 1)
    return np.concatenate([sure[nuclei], sure[cells]], axis=2).transpose(2, 0, 1)


def test_perfect_maps_give_the_true_masks(fields: list[Field]) -> None:
    for field in fields:
        nuclei, cells = read_maps(
            perfect_maps(field), 256 / 164, UnetParams(min_cell_um2=0, min_nucleus_um2=0)
        )
        hits = count_hits([(cells.astype(np.uint16), field.cells)], min_iou=0.95)
        assert hits.matched == hits.cells == hits.found
        assert ((nuclei > 0) == (field.nuclei > 0)).mean() > 0.999
        assert (nuclei[nuclei > 0] == cells[nuclei > 0]).all()


def test_neighbours_without_a_border_between_them_are_one_cell() -> None:
    labels = np.array([[1, 1, 2, 2, 3, 3]] * 4, np.int32)
    border = np.zeros((4, 6), np.float32)
    border[:, 3] = 0.8  # between 2 and 3
    assert join(labels, border, 0.3)[0].tolist() == [1, 1, 1, 1, 2, 2]
    assert join(labels, border, 0.0)[0].tolist() == [1, 1, 2, 2, 3, 3]
    assert join(labels, border, 0.9)[0].tolist() == [1, 1, 1, 1, 1, 1]


def test_a_cell_that_shows_no_nucleus_is_left_out() -> None:
    maps = np.zeros((6, 40, 40), np.float32)
    maps[[0, 3]] = 1
    for top in (2, 22):
        maps[3, top : top + 16, 2:38], maps[5, top : top + 16, 2:38] = 0, 1
    maps[0, 6:12, 6:12], maps[2, 6:12, 6:12] = 0, 1
    _, cells = read_maps(maps, 1.0, UnetParams())
    assert cells[10, 10] == 1
    assert cells[30].max() == 0


def test_the_gain_of_a_channel_and_the_size_of_the_picture_do_not_matter(
    draw_image: Callable[..., np.ndarray],
) -> None:
    image = (draw_image(0, 128) // 2).astype(np.uint8)
    seen = prepare(image, 64)
    assert seen.shape == (3, 64, 64)
    gains = np.array([1, 1, 2, 0.5])[:, None, None]
    assert np.abs(prepare((image * gains).astype(np.uint8), 64) - seen).mean() < 0.02
    assert np.abs(prepare(image.repeat(2, 1).repeat(2, 2), 64) - seen).max() < 1e-5
    assert np.abs(prepare(image.astype(np.uint16) * 257, 64) - seen).max() < 1e-5


def test_the_protein_channel_is_not_looked_at(
    draw_image: Callable[..., np.ndarray], untrained: TrainedUnet
) -> None:
    image = draw_image(0, 64)
    other = image.copy()
    other[1] = 255 - other[1]
    assert np.array_equal(prepare(image, 64), prepare(other, 64))


def test_a_picture_of_another_shape_is_refused() -> None:
    with pytest.raises(DataError, match=r"\(3, 8, 8\), expected \(4, H, W\)"):
        prepare(np.zeros((3, 8, 8), np.uint8), 64)


class Blur(nn.Module):
    """Mixes neighbouring pixels, never pictures."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x, 5, 1, 2, count_include_pad=False)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batches_keep_the_order_and_the_size_of_pictures(batch_size: int) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.random((3, *shape), np.float32) for shape in [(40, 64), (33, 50), (40, 64), (64, 40)]]
    found = in_batches(pictures, Blur(), torch.device("cpu"), batch_size, margin_px=32)
    for picture, maps in zip(pictures, found, strict=True):
        assert maps.shape == picture.shape
        inner = np.s_[:, 2:-2, 2:-2]
        expected = Blur()(torch.from_numpy(picture)[None])[0].numpy()
        np.testing.assert_allclose(maps[inner], expected[inner], atol=1e-6)


def test_masks_do_not_depend_on_the_other_pictures(fields: list[Field], untrained: TrainedUnet) -> None:
    images = [field.image for field in fields[:3]] + [fields[3].image[:, :200]]
    together = segment(images, untrained, UnetParams(batch_size=3))
    alone = [segment([image], untrained, UnetParams())[0] for image in images]
    for one, other, image in zip(together, alone, images, strict=True):
        assert np.array_equal(one[1], other[1])
        assert one[1].shape == image.shape[1:]
        assert one[1].dtype == np.uint16


def test_a_black_picture_has_no_cells(untrained: TrainedUnet) -> None:
    nuclei, cells = segment([np.zeros((4, 64, 64), np.uint8)], untrained, UnetParams(nucleus_threshold=0.99))[
        0
    ]
    assert not nuclei.any()
    assert not cells.any()


def test_absent_and_damaged_weights_say_what_to_do(tmp_path: Path, untrained: TrainedUnet) -> None:
    with pytest.raises(
        MissingWeightsError, match=r"holds no trained U-Net.*python -m common\.stages\.segmenter"
    ):
        load_unet(tmp_path)
    save_unet(tmp_path, untrained)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"model\.safetensors: does not fit network\.json.*train it again"):
        load_unet(tmp_path)


def test_the_command_segments_with_a_network_of_ones_own(
    tmp_path: Path,
    fields: list[Field],
    untrained: TrainedUnet,
    write_image: Callable[[Path, str, np.ndarray], object],
) -> None:
    save_unet(tmp_path / "model", untrained)
    for field in fields[:3]:
        write_image(tmp_path / "images", field.image_id, field.image)
    command = [
        "python",
        "-m",
        "common.cli.app",
        "segment",
        "images",
        "out",
        "--segmenter",
        "unet",
        "--weights",
    ]
    run_in(tmp_path, *command, "model", check=False)  # what is not trained may find no cell
    for field in fields[:3]:
        nuclei, cells = segment([field.image], untrained, UnetParams())[0]
        assert np.array_equal(read_mask(cell_mask_path(tmp_path / "out", field.image_id)), cells)
        assert np.array_equal(read_mask(nucleus_mask_path(tmp_path / "out", field.image_id)), nuclei)
    absent = run_in(tmp_path, *command, "elsewhere", check=False)
    assert absent.returncode == 4
    assert "elsewhere: holds no trained U-Net" in absent.stderr
    assert "Traceback" not in absent.stderr
