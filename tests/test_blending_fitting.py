"""Mixing, calibration and learned weights: each by hand, by property, and against an independent fit."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import spearmanr

from common.blending.calibration import fit_calibrator, ranks
from common.blending.fitting import Known, apply_blend, cross_fit, fit_blend, ranked
from common.blending.members import Part
from common.blending.mixing import mix, with_image
from common.blending.params import BlendParams
from common.blending.weights import convex, greedy, objective
from common.errors import ParamsError
from common.params import build, load_section
from tests.running import ROOT

CLASSES = 19
PLAIN: dict[str, Any] = {
    "labels": "data/images",
    "calibration": "none",
    "mix": "arithmetic",
    "weights": "equal",
    "objective": "log_loss",
    "shrink": 0,
    "image": {"source": "none", "weight": 0, "learn": "none"},
    "most_cells": 1000,
    "seed": 0,
}


def params(**changes: Any) -> BlendParams:
    return build(BlendParams, {**PLAIN, **changes}, "params.yaml: blend")


def made_part(members: int, images: int, seed: int, cells: int = 4) -> tuple[Part, np.ndarray, np.ndarray]:
    """A part whose first member knows most, its targets and two folds of images."""
    rng = np.random.default_rng(seed)
    image = np.repeat(np.arange(images), cells)
    targets = (rng.random((images, CLASSES)) < 0.4)[image].astype(float)
    noise = np.arange(1, members + 1)[:, None, None]
    cell = expit(2 * targets - 1 + noise * rng.normal(size=(members, len(image), CLASSES))).astype(np.float32)
    keys = pd.DataFrame({"image_id": [f"i{i:03}" for i in image], "cell_id": np.arange(len(image))})
    return Part(keys, image, cell, targets.astype(np.float32) * 0.8 + 0.1), targets, image % 2


def all_known(targets: np.ndarray) -> Known:
    return Known(np.arange(len(targets)), targets)


def test_mixing_by_hand() -> None:
    stack, weights = np.array([[0.2, 0.9], [0.8, 0.1]]), np.array([0.25, 0.75])
    np.testing.assert_allclose(mix(stack, weights, "arithmetic"), [0.65, 0.3])
    np.testing.assert_allclose(
        mix(stack, weights, "geometric"), [0.2**0.25 * 0.8**0.75, 0.9**0.25 * 0.1**0.75], rtol=1e-4
    )
    np.testing.assert_allclose(with_image(np.array([0.5]), np.array([0.02]), 0.5), [0.1], rtol=1e-4)
    assert with_image(np.array([0.5]), np.array([0.02]), 0) == pytest.approx(0.5)


@given(arrays(float, (3, 6), elements=st.floats(0, 1)), arrays(float, 3, elements=st.floats(0.01, 1)))
def test_a_mix_lies_between_its_members(stack: np.ndarray, weights: np.ndarray) -> None:
    weights = weights / weights.sum()
    for kind in ("arithmetic", "geometric"):
        mixed = mix(stack, weights, kind)
        assert (mixed <= stack.max(axis=0) + 2e-6).all()
        assert (mixed >= stack.min(axis=0) - 2e-6).all()


def test_ranks_are_shares_and_equal_values_stay_equal() -> None:
    assert ranks(np.array([0.3, 0.1, 0.3, 0.9])).tolist() == pytest.approx([0.5, 0.125, 0.5, 0.875])
    part, _, _ = made_part(2, 5, 0)
    assert ranked(part).cell[1, :, 3].tolist() == pytest.approx(ranks(part.cell[1, :, 3]).tolist())


def test_a_calibrator_mends_the_scale_and_never_the_order() -> None:
    rng = np.random.default_rng(0)
    true = rng.random(20_000)
    targets = (rng.random(len(true)) < true).astype(float)
    raw = expit(2 * logit(true) - 2)  # sure of itself, and low
    for kind in ("platt", "isotonic"):
        fixed = fit_calibrator(raw, targets, kind)(raw)
        assert np.abs(fixed - true).mean() < 0.02 < np.abs(raw - true).mean()
        assert spearmanr(fixed, raw).statistic == pytest.approx(1)
        assert len(np.unique(fixed)) == len(np.unique(raw))


def test_soft_targets_calibrate_as_the_cells_they_stand_for() -> None:
    raw = np.array([0.1, 0.4, 0.7, 0.9])
    soft = fit_calibrator(raw, np.array([0.0, 0.5, 0.25, 1.0]), "platt")
    hard = fit_calibrator(
        np.repeat(raw, 4), np.repeat([0, 1, 0, 1, 0, 1], [4, 2, 2, 1, 3, 4]).astype(float), "platt"
    )
    np.testing.assert_allclose(soft(raw), hard(raw), atol=1e-3)


def test_what_cannot_be_calibrated_stays() -> None:
    raw = np.array([0.2, 0.6, 0.4])
    for targets in ([0, 0, 0], [1, 1, 1], [1, 0, 1]):  # the last would turn the order round
        assert fit_calibrator(raw, np.array(targets, float), "platt")(raw).tolist() == raw.tolist()
    assert fit_calibrator(raw[:0], raw[:0], "isotonic")(raw).tolist() == raw.tolist()


def test_convex_weights_are_those_of_a_general_optimiser() -> None:
    part, targets, _ = made_part(3, 200, 1)
    stack = part.cell[:, :, 0].astype(float)
    score = objective(targets[:, 0], "log_loss")
    weights = convex(stack, score, "arithmetic")
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    start = np.full(3, 1 / 3)
    limits = {"type": "eq", "fun": lambda w: w.sum() - 1}
    peer = minimize(
        lambda w: -score(w @ stack), start, bounds=[(0, 1)] * 3, constraints=limits, method="SLSQP"
    )
    assert score(weights @ stack) == pytest.approx(-peer.fun, abs=1e-3)
    np.testing.assert_allclose(weights, peer.x, atol=0.06)


def test_learned_weights_prefer_who_knows_and_never_lose_to_the_mean() -> None:
    part, targets, _ = made_part(4, 200, 2)
    stack, rng = part.cell[:, :, 5].astype(float), np.random.default_rng(0)
    for kind in ("ap", "log_loss"):
        score = objective(targets[:, 5], kind)
        equal = score(stack.mean(axis=0))
        for weights in (convex(stack, score, "arithmetic"), greedy(stack, score, "arithmetic", rng)):
            assert weights.argmax() == 0
            assert weights.sum() == pytest.approx(1)
            assert score(weights @ stack) > equal


def test_greedy_weights_repeat_with_their_seed() -> None:
    part, targets, _ = made_part(4, 60, 3)
    stack, score = part.cell[:, :, 0].astype(float), objective(targets[:, 0], "ap")
    once, again = (greedy(stack, score, "geometric", np.random.default_rng(7)) for _ in range(2))
    assert once.tolist() == again.tolist()


def test_shrinking_leads_from_learned_to_equal_weights() -> None:
    part, targets, _ = made_part(2, 60, 4)
    weights = [
        fit_blend(part, all_known(targets), params(weights="convex", shrink=s), None)[0].weights[0]
        for s in (0, 0.5, 1)
    ]
    assert weights[2] == pytest.approx(0.5)
    assert weights[1] == pytest.approx((weights[0] + 0.5) / 2)
    assert weights[0] > 0.6


@pytest.mark.parametrize("learned", ["convex", "greedy"])
def test_labels_of_a_fold_never_touch_its_own_cells(learned: str) -> None:
    part, targets, fold = made_part(3, 40, 5)
    image = {"source": "published", "weight": 0, "learn": "class"}
    given = params(calibration="isotonic", weights=learned, image=image)
    before = cross_fit(part, targets, fold, given, None)
    flipped = np.where((fold == 1)[:, None], 1 - targets, targets)
    after = cross_fit(part, flipped, fold, given, None)
    assert (before[fold == 1] == after[fold == 1]).all()
    assert (before[fold == 0] != after[fold == 0]).any()


def test_a_class_without_positives_or_labels_is_the_mean() -> None:
    part, targets, _ = made_part(3, 30, 6)
    targets[:, 0], targets[:, 1] = 0, np.nan
    given = params(calibration="platt", weights="greedy", mix="geometric")
    blended = apply_blend(part, fit_blend(part, all_known(targets), given, None), given)
    for k in (0, 1):
        np.testing.assert_allclose(blended[:, k], np.exp(np.log(part.cell[:, :, k]).mean(axis=0)), atol=1e-4)
    assert (blended >= 0).all()
    assert (blended <= 1).all()


def test_a_member_alone_keeps_the_order_of_its_cells() -> None:
    part, targets, fold = made_part(1, 30, 7)
    blended = cross_fit(part, targets, fold, params(calibration="isotonic", weights="convex"), None)
    np.testing.assert_allclose(blended, part.cell[0])


def test_fixed_weights_are_used_as_they_are() -> None:
    part, targets, fold = made_part(3, 10, 8)
    given = params(weights="fixed", fixed={"x/a": 0.4, "x/b": 0.4, "x/c": 0.2})
    blended = cross_fit(part, targets, fold, given, np.array([0.4, 0.4, 0.2]))
    np.testing.assert_allclose(blended, np.tensordot([0.4, 0.4, 0.2], part.cell, 1), rtol=1e-6)


def test_the_image_term_by_hand_from_published_probabilities_and_from_cells() -> None:
    part, targets, _ = made_part(2, 10, 9)
    mean = part.cell.mean(axis=0)
    assert part.of_image is not None
    of_cells = np.stack([mean[part.image == i].mean(axis=0) for i in part.image])
    for source, image in (("published", part.of_image), ("cells", of_cells)):
        given = params(image={"source": source, "weight": 0.3, "learn": "none"})
        blended = apply_blend(part, fit_blend(part, all_known(targets), given, None), given)
        np.testing.assert_allclose(blended, mean**0.7 * image**0.3, rtol=1e-4)


def test_learned_image_weights_follow_the_image_where_it_knows_more() -> None:
    part, targets, _ = made_part(2, 100, 10)
    part.of_image[:, 3] = 0.5  # type: ignore[index]
    for learn in ("class", "all"):
        given = params(image={"source": "published", "weight": 0, "learn": learn})
        weights = [blend.image_weight for blend in fit_blend(part, all_known(targets), given, None)]
        assert weights[0] >= 0.5
        assert (weights[3] == 0) == (learn == "class")


def test_of_many_cells_whole_images_are_learned_from() -> None:
    part, targets, _ = made_part(2, 400, 11)
    few = params(calibration="platt", weights="convex", most_cells=400)
    blends = fit_blend(part, all_known(targets), few, None)
    assert blends[0].weights.argmax() == 0
    again = fit_blend(part, all_known(targets), few, None)
    assert [b.weights.tolist() for b in blends] == [b.weights.tolist() for b in again]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"weights": "fixed"}, "fixed holds weights by member"),
        ({"fixed": {"x/a": 1.0}}, "fixed holds weights by member"),
        ({"weights": "fixed", "fixed": {"x/a": 0.5}}, "have the sum 1"),
        ({"weights": "fixed", "fixed": {"x/a": 1.5, "x/b": -0.5}}, "must not be negative"),
        ({"labels": "data/truth/truth.parquet"}, "could not be scored"),
        ({"calibration": "plat"}, "'none', 'platt', 'isotonic' or 'rank'"),
    ],
)
def test_wrong_parameters_are_named(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ParamsError, match=r"params\.yaml: blend") as caught:
        params(**changes)
    assert fault in str(caught.value)


def test_the_repositorys_own_parameters_are_valid() -> None:
    assert load_section(BlendParams, ROOT / "params.yaml", "blend").weights != "fixed"
