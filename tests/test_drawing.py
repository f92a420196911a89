"""Rules of drawing: published counts, every draw by its definition, rates over many draws."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from common.drawing import (
    QUOTA_SHARES,
    Minority,
    acceptance,
    draw_quotas,
    multiplicities,
    quotas_of,
    repeat,
    replace_by,
    top_up,
)

MEMBERS = arrays(bool, (40, 5))


@given(MEMBERS, st.integers(0, 15), st.integers(0, 10**6))
def test_every_class_is_topped_up_as_far_as_it_goes(members: np.ndarray, per_class: int, seed: int) -> None:
    drawn = top_up(members, per_class, np.random.default_rng(seed))
    assert len(set(drawn)) == len(drawn)
    for class_id in range(5):
        assert members[drawn, class_id].sum() >= min(per_class, members[:, class_id].sum())
    assert members[drawn].any(axis=1).all()
    assert len(drawn) <= 5 * per_class


@given(st.integers(0, 15), st.integers(0, 10**6))
def test_classes_that_do_not_meet_get_exactly_their_number(per_class: int, seed: int) -> None:
    members = np.repeat(np.eye(3, dtype=bool), [4, 12, 30], axis=0)
    drawn = top_up(members, per_class, np.random.default_rng(seed))
    assert members[drawn].sum(axis=0).tolist() == [min(per_class, size) for size in (4, 12, 30)]


def test_what_is_already_chosen_counts() -> None:
    members = np.ones((30, 4), bool)
    assert len(top_up(members, 8, np.random.default_rng(0))) == 8


def test_the_order_of_drawn_items_is_random() -> None:
    drawn = top_up(np.ones((200, 1), bool), 100, np.random.default_rng(0))
    assert not (np.diff(drawn) > 0).all()
    assert abs(np.corrcoef(drawn, np.arange(100))[0, 1]) < 0.3


def test_minorities_take_a_tenth_and_a_tenth_of_the_rest_pure_ones_four_times_as_often() -> None:
    order = np.arange(100_000)
    spindles = Minority(np.array([100_000, 100_001]), np.array([4.0, 1.0]), 0.1)
    aggresomes = Minority(np.array([100_002]), np.array([1.0]), 0.1)
    drawn = replace_by(order, (spindles, aggresomes), np.random.default_rng(0))
    counts = Counter(drawn[drawn >= 100_000].tolist())
    assert counts[100_000] == pytest.approx(8000, rel=0.05)
    assert counts[100_001] == pytest.approx(2000, rel=0.1)
    assert counts[100_002] == pytest.approx(9000, rel=0.05)
    kept = drawn < 100_000
    np.testing.assert_array_equal(drawn[kept], order[kept])
    np.testing.assert_array_equal(order, np.arange(100_000))


def test_no_minority_leaves_the_order_alone() -> None:
    np.testing.assert_array_equal(replace_by(np.arange(9), (), np.random.default_rng(0)), np.arange(9))


@given(arrays(np.int64, 12, elements=st.integers(0, 7)), st.integers(0, 10**6))
def test_items_are_repeated_as_often_as_told(times: np.ndarray, seed: int) -> None:
    drawn = repeat(times, np.random.default_rng(seed))
    np.testing.assert_array_equal(np.bincount(drawn, minlength=12), times)


def test_system_b_draws_316_666_cells_an_epoch() -> None:
    quotas = quotas_of(20_000)
    assert sum(quotas) + 20_000 == 316_666
    assert [quotas[c] for c in (0, 16, 11, 12, 13)] == [40_000, 40_000, 6_666, 10_000, 20_000]
    assert len(QUOTA_SHARES) == 18


def test_multiplicities_of_system_b() -> None:
    soft = np.zeros((6, 18))
    soft[:, 11] = [1, 0.99, 0.65, 0.05, 0, np.nan]
    soft[:, 12] = [1, 0.9, 0.75, 0.7, 0.69, np.nan]
    soft[:, 3] = [1, 0.9, 0.89, 0.5, 0, np.nan]
    copies = multiplicities(soft)
    assert copies[:, 11].tolist() == [123, 123, 41, 41, 1, 1]
    assert copies[:, 12].tolist() == [16, 16, 2, 2, 1, 1]
    assert copies[:, 3].tolist() == [2, 2, 1, 1, 1, 1]


def test_a_fair_draw_takes_few_of_those_with_many_classes() -> None:
    members = np.zeros((3, 12), bool)
    members[0, 0] = members[1, :4] = members[2, [0, 11]] = True
    assert acceptance(members, 0).tolist() == pytest.approx([1, 0.5, 0.5**0.5])
    assert acceptance(members, 11).tolist() == [1, 1, 1]


@given(
    MEMBERS, st.lists(st.integers(0, 30), min_size=5, max_size=5), st.integers(0, 9), st.integers(0, 10**6)
)
@settings(deadline=None)
def test_quotas_are_met_by_their_own_class(
    members: np.ndarray, quotas: list[int], without: int, seed: int
) -> None:
    members[:, 3] = False
    ones = np.ones(members.shape, int)
    drawn = draw_quotas(members, ones, quotas, without, np.random.default_rng(seed))
    blank = members.sum(axis=1) == 0
    expected = np.array(quotas)[members.sum(axis=0) > 0].sum()
    assert (~blank[drawn]).sum() == expected
    assert blank[drawn].sum() == (without if blank.any() else 0)
    for class_id in range(5):
        if members[:, class_id].any():
            assert members[drawn, class_id].sum() >= quotas[class_id]


def test_a_quota_below_the_list_repeats_nothing_and_one_above_walks_it_again() -> None:
    members, ones = np.ones((50, 1), bool), np.ones((50, 1), int)
    once = draw_quotas(members, ones, [50], 0, np.random.default_rng(0))
    assert sorted(once.tolist()) == list(range(50))
    twice = draw_quotas(members, ones, [120], 0, np.random.default_rng(0))
    assert set(np.bincount(twice)) == {2, 3}


def test_copies_and_fairness_set_how_often_an_item_comes() -> None:
    members = np.zeros((300, 4), bool)
    members[:, 0] = True
    members[100:200, 1:] = True  # four classes: half as often
    copies = np.ones(members.shape, int)
    copies[200:, 0] = 3
    drawn = draw_quotas(members, copies, [90_000, 0, 0, 0], 0, np.random.default_rng(0))
    shares = [((drawn >= first) & (drawn < first + 100)).mean() for first in (0, 100, 200)]
    assert shares == pytest.approx([1 / 4.5, 0.5 / 4.5, 3 / 4.5], abs=0.01)


def test_draws_repeat_by_their_seed() -> None:
    members = np.random.default_rng(0).random((80, 5)) < 0.3
    ones = np.ones(members.shape, int)
    for seed in range(3):
        once, again = (draw_quotas(members, ones, [9] * 5, 4, np.random.default_rng(seed)) for _ in range(2))
        np.testing.assert_array_equal(once, again)
