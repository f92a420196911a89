"""Backbones come from timm, through this door: CPU machines, pretrained weights, and what to do when offline."""

import difflib
import os
import socket
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from urllib.parse import urlparse

from pydantic import Field
from safetensors import SafetensorError
from torch import nn

from common.errors import MissingWeightsError, ParamsError
from common.params import Params
from common.torchvision_ops import declare_torchvision_ops

HUB = "https://huggingface.co"
# The hub is out of reach; tensors of other shapes; a damaged file; a pickle with more than tensors in it.
LOAD_ERRORS = (OSError, RuntimeError, SafetensorError, UnpicklingError)


class BackboneParams(Params):
    """The section ``backbone`` of a recipe."""

    name: str
    """A timm model, like ``efficientnet_b2``; ``tag`` after a dot chooses weights."""
    pretrained: bool
    weights: str = ""
    """A local .safetensors or .pth state dict to use instead of the hub's; empty asks the hub."""
    dropout: float = Field(default=0.0, ge=0, lt=1)


def build_classifier(params: BackboneParams, channels: int, classes: int) -> nn.Module:
    """A timm network with one logit a class: (B, channels, H, W) -> (B, classes).

    Raises:
        ParamsError: timm has no such model.
        MissingWeightsError: pretrained weights were asked for and cannot be had.
    """
    return _create(params, {"in_chans": channels, "num_classes": classes, "drop_rate": params.dropout})


def build_features(params: BackboneParams, channels: int) -> tuple[nn.Module, int]:
    """A timm network without its head, and its number of features F.

    Its ``forward_features`` takes (B, channels, H, W) to (B, F, h, w); dropout is left to what comes after.

    Raises:
        ParamsError: timm has no such model, or it has no map of features (transformers).
        MissingWeightsError: pretrained weights were asked for and cannot be had.
    """
    network = _create(params, {"in_chans": channels, "num_classes": 0, "global_pool": ""})
    if not hasattr(network, "num_features") or hasattr(network, "cls_token"):
        raise ParamsError(
            f"backbone.name: {params.name} has no map of features; choose a convolutional network"
        )
    return network, int(network.num_features)  # type: ignore[arg-type]


def add_stem_pool(network: nn.Module) -> None:
    """Put another 2 x 2 max pooling behind that of the stem, in place.

    Raises:
        ParamsError: the network has no pooling in its stem.
    """
    for owner, name in ((network, "maxpool"), (getattr(network, "features", None), "pool0")):
        if isinstance(pool := getattr(owner, name, None), nn.Module):
            setattr(owner, name, nn.Sequential(pool, nn.MaxPool2d(2)))
            return
    raise ParamsError("extra_stem_pool: this backbone has no pooling in its stem; DenseNets and ResNets have")


def _create(params: BackboneParams, shape: dict[str, Any]) -> nn.Module:
    declare_torchvision_ops()
    if params.pretrained and not params.weights:
        avoid_retries()
    import timm

    if not timm.is_model(params.name):
        close = ", ".join(difflib.get_close_matches(params.name, timm.list_models(), n=5))
        raise ParamsError(f"backbone.name: timm has no {params.name!r}; similar: {close or 'none'}")
    return _pretrained(params, shape) if params.pretrained else timm.create_model(params.name, **shape)


def _pretrained(params: BackboneParams, shape: dict[str, Any]) -> nn.Module:
    import timm

    source: dict[str, Any] = {}
    if params.weights:
        if not Path(params.weights).is_file():
            raise MissingWeightsError(
                f"{params.weights}: no such weights (backbone.weights); put the file there"
            )
        source = {"pretrained_cfg_overlay": {"file": params.weights}}
    try:
        network: nn.Module = timm.create_model(params.name, pretrained=True, **source, **shape)
    except LOAD_ERRORS as error:
        first_line = str(error).strip().partition("\n")[0]
        raise MissingWeightsError(
            f"pretrained weights of {params.name} cannot be loaded ({first_line}); go online once, or set "
            "backbone.weights to a local state dict, or backbone.pretrained to false"
        ) from None
    return network


def avoid_retries() -> None:
    """Use only the hub's cache where the hub cannot be reached, instead of 47 s of retries."""
    proxied = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
    if proxied or os.environ.get("HF_HUB_OFFLINE"):
        return
    host = urlparse(os.environ.get("HF_ENDPOINT", HUB)).hostname
    try:
        socket.create_connection((host, 443), timeout=2).close()
    except OSError:
        os.environ["HF_HUB_OFFLINE"] = "1"
        from huggingface_hub import constants

        constants.HF_HUB_OFFLINE = True
