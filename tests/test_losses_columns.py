"""Losses over the samples of a class: published counts, level sets of the Jaccard loss, plain loops."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from common.losses.hard import floor_of, hard_log, hard_log_symmetric, negatives_kept
from common.losses.lovasz import lovasz_hinge, symmetric_lovasz
from common.torchvision_ops import declare_torchvision_ops
from tests.test_losses_entrywise import batch

declare_torchvision_ops()
from segmentation_models_pytorch.losses import LovaszLoss  # noqa: E402


def by_level_sets(logits: np.ndarray, targets: np.ndarray) -> float:
    """The Lovász extension by its definition: the integral over s of the Jaccard loss where errors >= s are wrong."""
    errors = np.maximum(1 - logits * (2 * targets - 1), 0)
    levels = np.unique(np.append(errors, 0))
    area = 0.0
    for low, high in pairwise(levels):
        wrong = errors >= high
        kept = targets[~wrong].sum()
        union = targets.sum() + (1 - targets[wrong]).sum()
        area += (high - low) * (1 - kept / union)
    return area


@given(st.integers(0, 10**6))
@settings(deadline=None)
def test_the_lovasz_hinge_is_the_integral_over_level_sets(seed: int) -> None:
    logits, targets = batch(seed, 9, 3)
    expected = np.mean([by_level_sets(logits.numpy()[:, c], targets.numpy()[:, c]) for c in range(3)])
    assert lovasz_hinge(logits, targets).item() == pytest.approx(expected, rel=1e-9)


def test_the_lovasz_hinge_equals_that_of_segmentation_models() -> None:
    for seed in range(20):
        logits, soft = (each.float() for each in batch(seed, 40, 1))
        targets = (soft > 0.4).float()
        expected = LovaszLoss("binary")(logits[None, None], targets[None, None])
        assert lovasz_hinge(logits, targets).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_lovasz_hinge_by_hand() -> None:
    # Errors 0.5 (positive), 3 (negative), 0 (positive, beyond the margin): 3 * 1/3 + 0.5 * (2/3 - 1/3).
    logits, targets = torch.tensor([[0.5], [2.0], [4.0]]), torch.tensor([[1.0], [0.0], [1.0]])
    assert lovasz_hinge(logits, targets).item() == pytest.approx(3 * 1 / 3 + 0.5 * 1 / 3)
    # The absence: truth is the second; errors 0.5, 3, 0 again: 3 * 1 + 0.5 * 0.
    assert symmetric_lovasz(logits, targets).item() == pytest.approx((1 + 0.5 / 3 + 3) / 2)


def test_the_classes_of_a_sample_may_play_the_pixels() -> None:
    logits, targets = batch(3)
    turned = symmetric_lovasz(logits.T, targets.T)
    assert symmetric_lovasz(logits, targets, "classes").item() == pytest.approx(turned.item())
    assert symmetric_lovasz(logits, targets).item() != pytest.approx(turned.item(), rel=1e-3)


def test_presence_and_absence_count_alike() -> None:
    logits, targets = batch(4)
    assert symmetric_lovasz(-logits, 1 - targets).item() == pytest.approx(
        symmetric_lovasz(logits, targets).item()
    )


@pytest.mark.parametrize(
    ("positives", "negatives", "kept"),
    [(3, 13, 9), (0, 13, 6), (0, 1, 1), (0, 2, 2), (1, 3, 3), (1, 5, 3), (20, 10, 9), (5, 0, 0), (0, 32, 16)],
)
def test_so_many_negatives_are_kept(positives: int, negatives: int, kept: int) -> None:
    assert negatives_kept(torch.tensor(positives), torch.tensor(negatives), 2, 0.5, 0.7).item() == kept


def test_shares_are_rounded_down_as_whole_numbers() -> None:
    counts = torch.arange(2000)
    for share in (0.2, 0.5, 0.7):
        assert floor_of(share, counts).tolist() == [round(share * 10) * n // 10 for n in range(2000)]


def entropy(x: float, t: float) -> float:
    return math.log1p(math.exp(-abs(x))) + max(x, 0) - t * x


def plain_hard_log(logits: Tensor, targets: Tensor, low: float, high: float) -> float:
    classes = []
    for column, truth in zip(logits.T.tolist(), targets.T.tolist(), strict=True):
        pairs = list(zip(column, truth, strict=True))
        positives = [pair for pair in pairs if pair[1] >= high]
        negatives = sorted((pair for pair in pairs if pair[1] < low), reverse=True)
        n = len(negatives)
        kept = positives + negatives[: min(n, len(positives) + max(2, n // 2), int(0.7 * n) + 2)]
        if kept:
            classes.append(sum(entropy(*pair) for pair in kept) / len(kept))
    return sum(classes) / len(classes) if classes else 0.0


def plain_symmetric(logits: Tensor, targets: Tensor, low: float, high: float) -> float:
    classes = []
    for column, truth in zip(logits.T.tolist(), targets.T.tolist(), strict=True):
        pairs = list(zip(column, truth, strict=True))
        positives = sorted(pair for pair in pairs if pair[1] >= high)
        negatives = sorted((pair for pair in pairs if pair[1] < low), reverse=True)
        kept = [pair for group in (positives, negatives) for pair in group[: max(2, int(0.2 * len(group)))]]
        if kept:
            classes.append(sum(entropy(*pair) for pair in kept) / len(kept))
    return sum(classes) / len(classes) if classes else 0.0


@given(st.integers(0, 10**6), st.integers(1, 30), st.sampled_from([(0.5, 0.5), (0.25, 0.75), (1e-9, 1e-9)]))
@settings(deadline=None)
def test_hard_losses_equal_plain_loops(seed: int, rows: int, thresholds: tuple[float, float]) -> None:
    logits, targets = batch(seed, rows)
    found = hard_log(logits, targets, thresholds=thresholds)
    assert found.item() == pytest.approx(plain_hard_log(logits, targets, *thresholds), rel=1e-9)
    found = hard_log_symmetric(logits, targets, thresholds=thresholds)
    assert found.item() == pytest.approx(plain_symmetric(logits, targets, *thresholds), rel=1e-9)


def test_soft_labels_are_mined_where_the_published_rule_kept_them_all() -> None:
    logits = torch.arange(20.0)[:, None] - 10
    targets = torch.full((20, 1), 0.01)  # what a sigmoid puts out for a class that is not there
    published = hard_log(logits, targets, thresholds=(1e-9, 1e-9))
    everything = sum(entropy(x, 0.01) for x in range(-10, 10)) / 20
    assert published.item() == pytest.approx(everything, rel=1e-5)
    mined = sum(entropy(x, 0.01) for x in range(10)) / 10  # K = min(20, 0 + 10, 14 + 2)
    assert hard_log(logits, targets).item() == pytest.approx(mined, rel=1e-5)


def test_an_easy_negative_has_no_gradient_and_a_hard_one_is_pushed_down() -> None:
    logits = torch.linspace(-4, 4, 10)[:, None].requires_grad_()
    hard_log(logits, torch.full((10, 1), 0.02)).backward()
    assert logits.grad is not None
    assert (logits.grad[:5] == 0).all()
    assert (logits.grad[5:] > 0).all()
