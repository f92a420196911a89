"""Backbones: the CPU arrangement of torchvision, local weights, and what happens without a network."""

import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from common.backbones import BackboneParams, build_classifier, build_features
from common.errors import MissingWeightsError, ParamsError
from tests.running import ROOT, run_in

SMALL = BackboneParams(name="test_resnet", pretrained=False)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise OSError("no network")

    from huggingface_hub import constants

    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


@pytest.mark.parametrize("channels", [3, 4])
def test_a_classifier_takes_any_channels_and_gives_a_logit_a_class(channels: int) -> None:
    network = build_classifier(SMALL, channels, 19).eval()
    assert network(torch.zeros(2, channels, 64, 64)).shape == (2, 19)


@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv3_small_050"])
def test_features_are_a_grid_of_the_width_that_is_said(name: str) -> None:
    network, width = build_features(BackboneParams(name=name, pretrained=False), 4)
    features = network.eval().forward_features(torch.zeros(1, 4, 64, 96))  # type: ignore[operator]
    assert features.shape == (1, width, 2, 3)


def test_timm_and_lightning_import_beside_a_cpu_torch() -> None:
    declare = "import common.torchvision_ops as b; b.declare_torchvision_ops(); b.declare_torchvision_ops()"
    run_in(ROOT, "python", "-c", f"{declare}; import timm, lightning")


def test_an_unknown_model_names_similar_ones() -> None:
    with pytest.raises(ParamsError, match=r"no 'efficientnet_b22'; similar: .*efficientnet"):
        build_classifier(BackboneParams(name="efficientnet_b22", pretrained=False), 3, 19)


def test_local_weights_are_loaded_except_the_head(tmp_path: Path) -> None:
    source = build_classifier(SMALL, 3, 1000)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    params = BackboneParams(
        name="test_resnet", pretrained=True, weights=str(tmp_path / "weights.safetensors")
    )
    loaded = build_classifier(params, 3, 19).state_dict()
    body = [name for name, value in source.state_dict().items() if value.shape == loaded[name].shape]
    assert len(body) == len(loaded) - 2
    assert all(torch.equal(loaded[name], source.state_dict()[name]) for name in body)


def test_absent_local_weights_are_named() -> None:
    params = BackboneParams(name="test_resnet", pretrained=True, weights="no/such.pth")
    with pytest.raises(
        MissingWeightsError, match=r"no/such.pth: no such weights \(backbone.weights\); put the file"
    ):
        build_classifier(params, 3, 19)


def test_damaged_local_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"not a tensor")
    params = BackboneParams(name="test_resnet", pretrained=True, weights=str(path))
    with pytest.raises(MissingWeightsError, match="cannot be loaded"):
        build_classifier(params, 3, 19)


@pytest.mark.usefixtures("offline")
def test_without_a_network_pretrained_weights_fail_at_once_with_advice() -> None:
    start = time.perf_counter()
    with pytest.raises(MissingWeightsError, match=r"weights of resnet18 cannot be loaded .*backbone.weights"):
        build_classifier(BackboneParams(name="resnet18", pretrained=True), 3, 19)
    assert time.perf_counter() - start < 10


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": Evil(tmp_path / "ran")}, path)
    params = BackboneParams(name="test_resnet", pretrained=True, weights=str(path))
    with pytest.raises(MissingWeightsError, match="cannot be loaded"):
        build_classifier(params, 3, 19)
    assert not (tmp_path / "ran").exists()


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)
