"""Losses of single entries: published values by hand, loops over entries, unknown targets, extreme logits."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from common.losses.entrywise import alpha_gamma, bce, focal
from common.losses.hard import hard_log, hard_log_symmetric
from common.losses.lovasz import symmetric_lovasz
from common.torchvision_ops import declare_torchvision_ops

declare_torchvision_ops()
from torchvision.ops import sigmoid_focal_loss  # noqa: E402

Loss = Callable[[Tensor, Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "bce": bce,
    "focal A": focal,
    "focal B": lambda x, t: focal(x, t, modulation="loss", reduction="mean"),
    "focal of small power": lambda x, t: focal(x, t, gamma=0.3, modulation="loss"),
    "alpha_gamma": lambda x, t: alpha_gamma(x, t, 0.25, 1.5),
    "lovasz": symmetric_lovasz,
    "lovasz over classes": lambda x, t: symmetric_lovasz(x, t, "classes"),
    "hard_log": hard_log,
    "hard_log_symmetric": hard_log_symmetric,
}


def batch(seed: int, rows: int = 6, classes: int = 4) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    targets = rng.choice([0.0, 0.1, 0.3, 0.5, 0.8, 1.0], (rows, classes))
    return torch.from_numpy(rng.normal(0, 4, (rows, classes))), torch.from_numpy(targets)


def gradient(loss: Loss, logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    x = logits.clone().requires_grad_()
    found = loss(x, targets)
    found.backward()
    assert x.grad is not None
    return found.detach(), x.grad


def test_focal_of_system_a_is_a_quarter_of_ln_2_a_class_where_nothing_is_known_yet() -> None:
    assert focal(torch.zeros(1, 1), torch.ones(1, 1)).item() == pytest.approx(math.log(2) / 4)
    assert focal(torch.zeros(5, 19), torch.ones(5, 19)).item() == pytest.approx(19 * math.log(2) / 4)
    assert focal(torch.zeros(5, 19), torch.ones(5, 19), reduction="mean").item() == pytest.approx(
        math.log(2) / 4
    )


@given(st.floats(-30, 30), st.floats(0, 1))
def test_soft_bce_is_softplus_less_t_x_and_lowest_at_the_target(x: float, t: float) -> None:
    def value(logit: float) -> float:
        return bce(
            torch.tensor([[logit]], dtype=torch.float64), torch.tensor([[t]], dtype=torch.float64)
        ).item()

    assert value(x) == pytest.approx(math.log1p(math.exp(-abs(x))) + max(x, 0) - t * x, abs=1e-9)
    if 0.01 < t < 0.99:
        entropy = -t * math.log(t) - (1 - t) * math.log(1 - t)
        assert value(math.log(t / (1 - t))) == pytest.approx(entropy, abs=1e-9)
        assert value(x) >= entropy - 1e-9


@pytest.mark.parametrize(("x", "t"), [(0.7, 1.0), (-1.3, 0.0), (2.0, 0.8), (-0.4, 0.25)])
def test_focal_by_hand(x: float, t: float) -> None:
    p = 1 / (1 + math.exp(-x))
    entropy = -t * math.log(p) - (1 - t) * math.log(1 - p)
    margin = 1 / (1 + math.exp(x * (2 * t - 1)))
    logits, targets = torch.tensor([[x]]), torch.tensor([[t]])
    assert focal(logits, targets).item() == pytest.approx(margin**2 * entropy, rel=1e-5)
    by_loss = focal(logits, targets, 3.0, "loss")
    assert by_loss.item() == pytest.approx((1 - math.exp(-entropy)) ** 3 * entropy, rel=1e-5)
    balance, miss = (0.3, 1 - p) if t >= 0.5 else (0.7, p)
    assert alpha_gamma(logits, targets, 0.3, 1.5).item() == pytest.approx(
        balance * miss**1.5 * entropy, rel=1e-5
    )


@given(st.integers(0, 10**6))
@settings(deadline=None)
def test_hard_targets_make_all_focal_losses_equal_to_that_of_torchvision(seed: int) -> None:
    logits, soft = batch(seed)
    targets = (soft > 0.4).double()
    expected = sigmoid_focal_loss(logits, targets, alpha=-1, gamma=2, reduction="none")
    for modulation in ("margin", "loss"):
        found = focal(logits, targets, 2.0, modulation, "sum_classes")
        assert found.item() == pytest.approx(expected.sum(1).mean().item(), rel=1e-6)
    balanced = sigmoid_focal_loss(logits, targets, alpha=0.25, gamma=1.5, reduction="mean")
    assert alpha_gamma(logits, targets, 0.25, 1.5).item() == pytest.approx(balanced.item(), rel=1e-6)


def test_what_system_e_calls_bce_is_half_of_it() -> None:
    logits, targets = batch(1)
    assert alpha_gamma(logits, targets, 0.5, 0.0).item() == pytest.approx(bce(logits, targets).item() / 2)


def test_a_class_may_have_its_own_alpha_and_gamma() -> None:
    logits, targets = batch(2, classes=2)
    both = alpha_gamma(logits, targets, torch.tensor([0.5, 0.25]), torch.tensor([0.0, 1.5]))
    first = alpha_gamma(logits[:, :1], targets[:, :1], 0.5, 0.0)
    second = alpha_gamma(logits[:, 1:], targets[:, 1:], 0.25, 1.5)
    assert both.item() == pytest.approx((first + second).item() / 2)


def test_maps_are_summed_over_classes_and_averaged_over_pixels() -> None:
    logits, targets = batch(3, 12, 5)
    as_maps = [each.reshape(3, 2, 2, 5).permute(0, 3, 1, 2) for each in (logits, targets)]
    for reduction in ("mean", "sum_classes"):
        flat = focal(logits, targets, 2.0, "margin", reduction)
        assert focal(as_maps[0], as_maps[1], 2.0, "margin", reduction).item() == pytest.approx(flat.item())
    own = alpha_gamma(logits, targets, torch.arange(5) / 5, 1.0)
    assert alpha_gamma(as_maps[0], as_maps[1], torch.arange(5) / 5, 1.0).item() == pytest.approx(own.item())


def test_bce_of_known_targets_is_that_of_torch_to_the_last_bit() -> None:
    for seed in range(20):
        logits, targets = (each.float() for each in batch(seed, 32, 19))
        expected = gradient(binary_cross_entropy_with_logits, logits, targets)
        for found, wanted in zip(gradient(bce, logits, targets), expected, strict=True):
            assert torch.equal(found, wanted)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [50.0, 1e4, 1e30])
def test_extreme_logits_have_finite_losses_and_gradients(name: str, size: float) -> None:
    signs = torch.tensor([1.0, -1.0])
    logits = (size * signs).repeat_interleave(3)[:, None].expand(6, 2)
    targets = torch.tensor([0.0, 0.4, 1.0, 0.0, 0.4, 1.0])[:, None].expand(6, 2)
    found, slope = gradient(LOSSES[name], logits, targets)
    assert found.isfinite()
    assert slope.isfinite().all()
    assert slope.abs().max() < 10


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision_is_lifted_to_single(name: str) -> None:
    logits, targets = (each.float() for each in batch(5, 8, 19))
    logits = logits.half()
    found, slope = gradient(LOSSES[name], logits, targets)
    assert found.dtype == torch.float32
    assert slope.dtype == torch.float16
    assert found.item() == pytest.approx(LOSSES[name](logits.float(), targets).item(), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_gradients_agree_with_differences(name: str, seed: int) -> None:
    logits, targets = batch(seed)
    found, slope = gradient(LOSSES[name], logits, targets)
    step = 1e-7
    way = torch.from_numpy(np.random.default_rng(seed + 1).normal(size=tuple(logits.shape)))
    moved = LOSSES[name](logits + step * way, targets)
    assert ((moved - found) / step).item() == pytest.approx((slope * way).sum().item(), abs=2e-5, rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_rows_and_classes_of_which_nothing_is_known_change_nothing(name: str, seed: int) -> None:
    logits, targets = batch(seed)
    loss = LOSSES[name]
    wider = torch.full((8, 5), torch.nan, dtype=torch.float64)
    wider[1:7, :4] = targets
    noise = torch.from_numpy(np.random.default_rng(seed).normal(0, 9, (8, 5)))
    noise[1:7, :4] = logits
    found, slope = gradient(loss, noise, wider)
    expected, known_slope = gradient(loss, logits, targets)
    assert found.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(slope[1:7, :4], known_slope)
    assert (slope[wider.isnan()] == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_logit_whose_target_is_unknown_does_not_matter(name: str) -> None:
    logits, targets = batch(7)
    targets[torch.arange(6), torch.tensor([0, 1, 2, 3, 0, 1])] = torch.nan
    found, slope = gradient(LOSSES[name], logits, targets)
    elsewhere = torch.where(targets.isnan(), 1e6, logits)
    assert LOSSES[name](elsewhere, targets).item() == pytest.approx(found.item(), rel=1e-12)
    assert (slope[targets.isnan()] == 0).all()
    assert (slope[~targets.isnan()] != 0).any()


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_which_nothing_is_known_has_loss_0(name: str) -> None:
    logits = batch(8)[0]
    found, slope = gradient(LOSSES[name], logits, torch.full_like(logits, torch.nan))
    assert found.item() == 0
    assert (slope == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_nan_of_the_network_is_not_hidden(name: str) -> None:
    logits, targets = batch(9)
    logits[2, 1] = torch.nan
    assert LOSSES[name](logits, targets).isnan()


@pytest.mark.parametrize("name", LOSSES)
def test_the_order_of_rows_and_classes_does_not_matter(name: str) -> None:
    logits, targets = batch(10)
    rows, classes = torch.tensor([3, 0, 5, 1, 4, 2]), torch.tensor([2, 0, 3, 1])
    mixed = LOSSES[name](logits[rows][:, classes], targets[rows][:, classes])
    assert mixed.item() == pytest.approx(LOSSES[name](logits, targets).item(), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_descending_the_loss_finds_hard_targets(name: str) -> None:
    targets = (batch(11)[1] > 0.4).float()
    logits = torch.zeros(6, 4, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.2)
    for _ in range(80):
        optimizer.zero_grad()
        LOSSES[name](logits, targets).backward()
        optimizer.step()
    assert ((logits > 0).float() == targets).all()


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_that_would_broadcast_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"logits \(4, 3\) do not fit targets \(4, 1\)|\(3, 4\) .* \(1, 4\)"):
        LOSSES[name](torch.zeros(4, 3), torch.zeros(4, 1))
