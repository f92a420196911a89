"""The order takes streams by turns, and its controls are a random sample."""

import numpy as np
import pytest

from common.labelling.evidence import Evidence, decision, streams, unit
from common.labelling.order import OrderParams, arrange

NOBODY = np.array([], int)


def order(
    values: dict[str, list[float]], control: float = 0, **weights: float
) -> tuple[list[int], list[str]]:
    given = {name: np.array(column, float) for name, column in values.items()}
    rows, why = arrange(given, OrderParams(control=control, **weights), np.random.default_rng(0))
    return rows.tolist(), why.tolist()


def test_streams_take_turns_by_their_weights() -> None:
    nan = float("nan")
    rows, why = order(
        {"similar": [9, 8, 7, nan, nan, nan], "missing": [nan, nan, nan, 3, 2, nan]}, similar=2, missing=1
    )
    assert rows == [0, 1, 3, 2, 4, 5]  # turns .5, 1, 1, 1.5, 2; the last is nobody's
    assert why == ["similar", "similar", "missing", "similar", "missing", "rest"]


def test_a_cell_of_two_streams_comes_once_at_its_first_turn() -> None:
    rows, why = order({"similar": [1, 5, 3], "missing": [9, 1, 2]}, similar=1, missing=1)
    assert sorted(rows) == [0, 1, 2]
    assert dict(zip(rows, why, strict=True))[0] == "missing"


def test_a_stream_without_weight_shows_nothing() -> None:
    assert set(order({"similar": [1, 2], "missing": [1, 2]}, missing=0)[1]) == {"similar"}


def test_controls_are_drawn_from_all_cells_alike_and_spread_evenly() -> None:
    count = np.zeros(100)
    for seed in range(200):
        rows, why = arrange(
            {"similar": np.arange(100.0)}, OrderParams(control=0.1), np.random.default_rng(seed)
        )
        assert sorted(rows) == list(range(100))
        controls = rows[why == "control"]
        assert len(controls) == 10
        for start in range(0, 100, 10):
            assert (why[start : start + 10] == "control").sum() == 1
        count[controls] += 1
    halves = count[:50].sum(), count[50:].sum()  # 1000 each, give or take 22
    assert abs(halves[0] - halves[1]) < 150


def test_all_controls_are_a_random_order() -> None:
    rows, why = order({"similar": list(range(50))}, control=1)
    assert sorted(rows) == list(range(50))
    assert rows != sorted(rows)
    assert set(why) == {"control"}


def evidence(*systems: list[float], weak: list[int]) -> Evidence:
    labels = np.zeros((len(weak), 19), bool)
    labels[:, 11] = weak
    probabilities = np.full((len(systems), len(weak), 19), 0.1, np.float32)
    for place, values in enumerate(systems):
        probabilities[place, :, 11] = values
    return Evidence(labels, probabilities)


def test_streams_say_what_they_promise() -> None:
    known = evidence([0.9, 0.8, 0.2, 0.1], [0.9, 0.2, 0.2, 0.1], weak=[1, 0, 0, 1])
    found = streams(known, 11, NOBODY)
    assert np.nanargmax(found["similar"]) == 0
    assert np.nanargmax(found["disagree"]) == 1
    assert np.nanargmax(found["missing"]) == 1
    assert np.nanargmax(found["doubtful"]) == 3
    assert np.isnan(found["missing"]).tolist() == [True, False, False, True]
    assert np.isnan(found["lookalike"]).all()


def test_one_system_cannot_disagree_and_none_leaves_the_labels_of_images() -> None:
    assert "disagree" not in streams(evidence([0.9, 0.1], weak=[1, 0]), 11, NOBODY)
    assert np.isnan(streams(evidence(weak=[1, 0]), 11, NOBODY)["labelled"]).tolist() == [False, True]


def test_found_cells_draw_those_that_resemble_them_in_what_the_same_model_sees() -> None:
    vectors = unit(np.array([[1, 0], [0.9, 0.1], [0, 1], [1, 0]], float))
    base = evidence([0.5] * 4, weak=[0] * 4)
    known = Evidence(base.weak, base.systems, vectors, np.array([0, 0, 0, 1]))
    similar = streams(known, 11, np.array([0]))["similar"]
    assert similar[:3].tolist() == pytest.approx([1, 0.9 / np.hypot(0.9, 0.1), 0])
    assert np.isnan(similar[3])


def test_the_decision_has_the_best_f1_against_labels() -> None:
    p, labelled = np.array([0.9, 0.7, 0.6, 0.2]), np.array([True, False, True, False])
    assert decision(p, labelled) == 0.6  # F1 .67, .5, .8, .67
    assert decision(p, np.zeros(4, bool)) == 0.5
