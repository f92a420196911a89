"""Adapters to packages that may be absent: what they say then, and what they do with stand-ins of those packages."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.errors import DataError, MissingWeightsError, ParamsError
from common.segmentation import cellpose, hpacellseg
from common.segmentation.hpacellseg import CELL_WEIGHTS, NUCLEUS_WEIGHTS, OfficialNetworks
from common.segmentation.network_params import CellposeParams, HpaCellSegParams
from common.segmenter_training.hits import count_hits

TRUSTING = HpaCellSegParams(trust_pickle=True, field_width_um=64 * 0.32)
BRIGHT = 120
CELLS = [(30, 34, 24, 9), (84, 90, 26, 10)]
"""Row, column, radius of the cell and of its nucleus, px of a picture of 128 px."""

CELLPOSE = """
import numpy as np
from scipy import ndimage

class CellposeModel:
    def __init__(self, gpu, pretrained_model):
        self.name = pretrained_model

    def eval(self, x, batch_size, channel_axis):
        assert channel_axis == 0
        return [ndimage.label(image[0] > image[0].max() / 2)[0] for image in x], None, None
"""


class StandIn(nn.Module):
    """A network that knows interiors, and a border round them, by the brightness of one of its inputs."""

    def __init__(self, plane: int) -> None:
        super().__init__()
        self.plane = plane
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        mean, std = hpacellseg.MEAN[self.plane], hpacellseg.STD
        bright = ((x[:, self.plane] * std + mean) * 255 > BRIGHT / 2).float()[:, None]
        near = nn.functional.max_pool2d(bright, 3, 1, 1)
        return 20 * torch.cat([1 - near, near - bright, bright], 1)


@pytest.fixture
def picture() -> tuple[np.ndarray, np.ndarray]:
    """An image (4, 128, 128) uint8 of two cells, and their mask."""
    y, x = np.mgrid[:128, :128]
    image, mask = np.zeros((4, 128, 128), np.uint8), np.zeros((128, 128), np.uint16)
    for number, (row, column, radius, core) in enumerate(CELLS, 1):
        distance = np.hypot(y - row, x - column)
        image[0][distance < radius] = image[3][distance < radius] = BRIGHT
        image[2][distance < core] = BRIGHT
        mask[distance < radius] = number
    return image, mask


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Makes a package of one module, ``models``, importable."""
    monkeypatch.syspath_prepend(tmp_path / "site")

    def write(name: str, source: str) -> None:
        folder = tmp_path / "site" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "models.py").write_text(source)
        for known in [module for module in sys.modules if module.split(".")[0] == name]:
            monkeypatch.delitem(sys.modules, known)

    return write


def test_without_the_official_package_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"pip install https://github\.com/CellProfiling/HPA-Cell-Segmentation"
    ):
        hpacellseg.load_networks(tmp_path, TRUSTING)


def test_absent_official_weights_are_all_named(tmp_path: Path, install: Callable[[str, str], None]) -> None:
    install("hpacellseg", "")
    with pytest.raises(MissingWeightsError, match=f"{NUCLEUS_WEIGHTS}.*{CELL_WEIGHTS}.*zenodo"):
        hpacellseg.load_networks(tmp_path, TRUSTING)


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_pickle_is_not_loaded_unless_it_is_trusted(
    tmp_path: Path, install: Callable[[str, str], None]
) -> None:
    install("hpacellseg", "")
    for name in (NUCLEUS_WEIGHTS, CELL_WEIGHTS):
        torch.save(Payload(tmp_path / "ran"), tmp_path / name)
    with pytest.raises(ParamsError, match=r"segment\.hpacellseg\.trust_pickle"):
        hpacellseg.load_networks(tmp_path, HpaCellSegParams())
    assert not (tmp_path / "ran").exists()
    with pytest.raises(DataError, match=r"dpn_unet_nuclei_v1\.pth: holds NoneType, expected a network"):
        hpacellseg.load_networks(tmp_path, TRUSTING)
    assert (tmp_path / "ran").exists()


def test_damaged_official_weights_are_named(tmp_path: Path, install: Callable[[str, str], None]) -> None:
    install("hpacellseg", "")
    for name in (NUCLEUS_WEIGHTS, CELL_WEIGHTS):
        (tmp_path / name).write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"dpn_unet_nuclei_v1\.pth: cannot be loaded"):
        hpacellseg.load_networks(tmp_path, TRUSTING)


def test_official_networks_find_cells_in_pictures_of_several_sizes(
    tmp_path: Path, install: Callable[[str, str], None], picture: tuple[np.ndarray, np.ndarray]
) -> None:
    install("hpacellseg", "")
    torch.save(nn.DataParallel(StandIn(0)), tmp_path / NUCLEUS_WEIGHTS)
    torch.save(StandIn(0), tmp_path / CELL_WEIGHTS)
    networks = hpacellseg.load_networks(tmp_path, TRUSTING)
    image, mask = picture
    images = [image, image.repeat(2, 1).repeat(2, 2), image[:, :120]]
    truths = [mask, mask.repeat(2, 0).repeat(2, 1), mask[:120]]
    params = TRUSTING.model_copy(update={"field_width_um": 128 * 0.32})
    found = hpacellseg.segment(images, networks, params)
    for (nuclei, cells), truth in zip(found, truths, strict=True):
        hits = count_hits([(cells, truth)], min_iou=0.8)
        assert (hits.cells, hits.found, hits.matched) == (2, 2, 2)
        assert set(np.unique(nuclei)) == {0, 1, 2}
        assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()


def test_official_networks_get_the_channels_they_were_trained_on(
    picture: tuple[np.ndarray, np.ndarray],
) -> None:
    image = np.stack([np.full((64, 64), level, np.uint8) for level in (10, 20, 30, 40)])
    seen: list[Tensor] = []

    class Spy(StandIn):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(x)
            return super().forward(x)

    hpacellseg.segment([image], OfficialNetworks(Spy(0), Spy(0)), TRUSTING)
    levels = [
        [
            round((plane.mean().item() * hpacellseg.STD + mean) * 255)
            for plane, mean in zip(x[0], hpacellseg.MEAN, strict=True)
        ]
        for x in seen
    ]
    assert levels == [[30, 30, 30], [10, 40, 30]]


def test_without_cellpose_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="pip install 'cellpose>=4'"):
        cellpose.load_model(tmp_path)


def test_cellpose_is_not_let_to_download_other_weights(
    tmp_path: Path, install: Callable[[str, str], None]
) -> None:
    install("cellpose", "raise RuntimeError('must not be imported')")
    with pytest.raises(MissingWeightsError, match=r"cpsam: no such weights.*segment\.weights"):
        cellpose.load_model(tmp_path / "cpsam")


def test_cellpose_labels_become_masks(
    tmp_path: Path, install: Callable[[str, str], None], picture: tuple[np.ndarray, np.ndarray]
) -> None:
    install("cellpose", CELLPOSE)
    (tmp_path / "cpsam").touch()
    model = cellpose.load_model(tmp_path / "cpsam")
    assert model.name == str(tmp_path / "cpsam")
    image, mask = picture
    images = [image, image.repeat(2, 1).repeat(2, 2)]
    params = CellposeParams(field_width_um=64, um_per_px=1)
    for (nuclei, cells), truth in zip(
        cellpose.segment(images, model, params), [mask, mask.repeat(2, 0).repeat(2, 1)], strict=True
    ):
        hits = count_hits([(cells, truth)], min_iou=0.9)
        assert (hits.cells, hits.found, hits.matched) == (2, 2, 2)
        assert set(np.unique(nuclei)) == {0, 1, 2}
        assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()
