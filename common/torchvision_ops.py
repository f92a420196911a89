"""Lets timm, segmentation-models-pytorch and Lightning import where torchvision fits torch only in name."""

import importlib.util

import torch


def declare_torchvision_ops() -> None:
    """Let a CUDA build of torchvision import beside a CPU torch, by declaring the two ops it looks for.

    The package index has no CPU build. Nothing here calls the ops. Where they exist, nothing happens.
    """
    if importlib.util.find_spec("torchvision") is None or torch.version.cuda is not None:
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for op in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, op):
            library.define(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)  # an op disappears with the library that declared it


_KEPT: list[torch.library.Library] = []
