"""The loss of a recipe: a weighted sum of what it names, and clear words where it names nothing or nonsense."""

from typing import Any

import pytest
import torch

from common.errors import ParamsError
from common.losses.entrywise import alpha_gamma, bce, focal
from common.losses.hard import hard_log, hard_log_symmetric
from common.losses.lovasz import symmetric_lovasz
from common.losses.recipe import LossParams
from common.params import build
from tests.test_losses_entrywise import batch


def loss_of(given: Any) -> LossParams:
    return build(LossParams, given, "recipe.yaml: loss")


def test_system_a_sums_halves_of_three_losses() -> None:
    logits, targets = batch(1)
    loss = loss_of({name: {"weight": 0.5} for name in ("focal", "lovasz", "hard_log")})
    expected = (focal(logits, targets) + symmetric_lovasz(logits, targets) + hard_log(logits, targets)) / 2
    assert loss(logits, targets).item() == pytest.approx(expected.item())


def test_constants_reach_their_loss() -> None:
    logits, targets = batch(2, classes=19)
    mined = {"positive_from": 0.75, "negative_below": 0.25}
    cases = [
        (
            {"focal": {"gamma": 3, "modulation": "loss", "reduction": "mean"}},
            focal(logits, targets, 3, "loss", "mean"),
        ),
        ({"lovasz": {"over": "classes"}}, symmetric_lovasz(logits, targets, "classes")),
        ({"alpha_gamma": {"alpha": 0.75}}, alpha_gamma(logits, targets, 0.75, 0)),
        (
            {"hard_log": {"more": 1, "least": 0.1, "most": 0.2, **mined}},
            hard_log(logits, targets, 1, 0.1, 0.2, (0.25, 0.75)),
        ),
        (
            {"hard_log_symmetric": {"share": 0.5, "at_least": 1, **mined}},
            hard_log_symmetric(logits, targets, 0.5, 1, (0.25, 0.75)),
        ),
    ]
    for given, expected in cases:
        assert loss_of(given)(logits, targets).item() == pytest.approx(expected.item())


def test_system_e_has_numbers_of_its_own_for_two_classes() -> None:
    logits, targets = batch(3, classes=19)
    special = {"classes": [1, 11], "alpha": 0.25, "gamma": 1.5}
    found = loss_of({"alpha_gamma": {"special": special}})(logits, targets)
    rest = [c for c in range(19) if c not in (1, 11)]
    expected = 17 * bce(logits[:, rest], targets[:, rest]) / 2
    expected += 2 * alpha_gamma(logits[:, [1, 11]], targets[:, [1, 11]], 0.25, 1.5)
    assert found.item() == pytest.approx(expected.item() / 19)


def test_bce_alone_is_that_of_torch_to_the_last_bit() -> None:
    logits, targets = (each.float() for each in batch(4, 32, 19))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    assert torch.equal(loss_of({"bce": {}})(logits, targets), expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {},
            "names no loss; name at least one of bce, focal, alpha_gamma, lovasz, hard_log, hard_log_symmetric",
        ),
        ({"bce": None}, "names no loss"),
        ({"focall": {}}, ".focall: unknown key; did you mean 'focal'"),
        ({"focal": {"gama": 2}}, ".focal.gama: unknown key; did you mean 'gamma'"),
        ({"focal": {"gamma": -1}}, ".focal.gamma: Input should be greater than or equal to 0, found -1"),
        ({"bce": {"weight": 0}}, ".bce.weight: Input should be greater than 0, found 0"),
        ({"hard_log": {"negative_below": 0.6}}, "negative_below is above positive_from"),
        ({"alpha_gamma": {"special": {"classes": [19], "alpha": 0.5, "gamma": 1}}}, ".special.classes.0: "),
    ],
)
def test_nonsense_is_refused_by_name(given: Any, message: str) -> None:
    with pytest.raises(ParamsError) as error:
        loss_of(given)
    assert message in str(error.value)
    assert str(error.value).startswith("recipe.yaml: loss")
