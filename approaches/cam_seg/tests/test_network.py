"""The classifier's logits are means of its maps, weights of further channels, and where features come from."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from approaches.cam_seg.network import build_classifier, build_segmenter, pooled_features, widen_stem
from approaches.cam_seg.recipe import SegmenterParams
from common.backbones import BackboneParams, build_features
from common.errors import MissingWeightsError, ParamsError

SMALL = BackboneParams(name="test_resnet", pretrained=False)


@pytest.mark.parametrize("sub_classes", [0, 190])
def test_a_logit_is_the_mean_of_its_map(sub_classes: int) -> None:
    torch.manual_seed(0)
    network = build_classifier(SMALL, 4, sub_classes).eval()
    pixels = torch.rand(2, 4, 96, 64)
    maps = network.maps_of(network.features(pixels))
    assert maps.shape == (2, 19 + sub_classes, 3, 2)
    torch.testing.assert_close(network(pixels), maps.mean((2, 3)))
    assert maps.std() > 0


def test_the_head_has_no_bias_and_rounds_share_its_names() -> None:
    first, second = build_classifier(SMALL, 4).state_dict(), build_classifier(SMALL, 4, 190).state_dict()
    assert set(second) - set(first) == {"sub_classes.weight"}
    assert not set(first) - set(second)
    assert "classes.bias" not in first


def test_dropout_hides_features_while_training_only() -> None:
    network = build_classifier(SMALL.model_copy(update={"dropout": 0.5}), 4)
    features = torch.ones(1, network.width, 2, 2)
    nn.init.ones_(network.classes.weight)
    assert torch.equal(network.eval().logits_of(features), torch.full((1, 19), float(network.width)))
    torch.manual_seed(0)
    assert network.train().logits_of(features)[0, 0] != network.width


def test_further_channels_start_as_the_last_and_the_others_keep_their_weights() -> None:
    first = nn.Conv2d(3, 2, 3, bias=False)
    stem, picture = nn.Sequential(first, nn.ReLU()), torch.rand(1, 3, 8, 8)
    weight, before = first.weight.clone(), stem(picture)
    widen_stem(stem, 4)
    assert torch.equal(first.weight, torch.cat([weight, weight[:, 2:]], 1))
    dark = torch.cat([picture, torch.zeros(1, 1, 8, 8)], 1)
    torch.testing.assert_close(stem(dark), before)


def test_pretrained_weights_of_three_channels_serve_four(tmp_path: Path) -> None:
    source, _ = build_features(SMALL, 3)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    local = {"pretrained": True, "weights": str(tmp_path / "weights.safetensors")}
    network = build_classifier(SMALL.model_copy(update=local), 4)
    published, found = source.state_dict(), network.backbone.state_dict()
    stem = next(name for name, value in published.items() if value.shape[1:2] == (3,))
    assert torch.equal(found.pop(stem), torch.cat([published[stem], published.pop(stem)[:, 2:]], 1))
    assert all(torch.equal(found[name], value) for name, value in published.items())


def test_a_pretrained_encoder_that_cannot_be_had_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(
        MissingWeightsError, match=r"encoder resnet18 cannot be loaded.*segmenter\.pretrained"
    ):
        build_segmenter(SegmenterParams(encoder="resnet18", pretrained=True), 4)


def test_a_backbone_without_a_grid_is_refused() -> None:
    with pytest.raises(ParamsError, match="choose a convolutional network"):
        build_classifier(BackboneParams(name="test_vit", pretrained=False), 4)


def test_the_segmenter_gives_a_plane_a_class_and_one_of_background() -> None:
    network = build_segmenter(
        SegmenterParams(encoder="resnet18", pretrained=False, decoder_channels=(16, 8)), 4
    )
    assert network.eval()(torch.zeros(1, 4, 32, 64)).shape == (1, 20, 32, 64)


def test_an_unknown_encoder_is_named() -> None:
    with pytest.raises(ParamsError, match=r"segmenter.encoder: 'resnet0'"):
        build_segmenter(SegmenterParams(encoder="resnet0", pretrained=False), 4)


def test_features_of_views_are_averaged_and_groups_joined() -> None:
    network = build_classifier(SMALL, 4).eval()
    pixels = torch.rand(2, 4, 64, 64)
    plain = network.features(pixels).mean((2, 3))
    turned = network.features(pixels.flip(-1)).mean((2, 3))
    torch.testing.assert_close(pooled_features(network, pixels, [["identity"]], False), plain)
    found = pooled_features(network, pixels, [["identity", "hflip"], ["hflip"]], True)
    unit = [each / each.norm(dim=1, keepdim=True) for each in (plain, turned)]
    torch.testing.assert_close(found, torch.cat([(unit[0] + unit[1]) / 2, unit[1]], 1))
