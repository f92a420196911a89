"""The order of a training set: every item once an epoch, by seed and epoch alone."""

import torch

from common.sampling import EpochSampler


def epochs(sampler: EpochSampler, count: int) -> list[list[tuple[int, int]]]:
    return [list(sampler) for _ in range(count)]


def test_every_epoch_holds_every_item_once_in_another_order() -> None:
    found = epochs(EpochSampler(50, seed=1), 3)
    orders = [[index for _, index in epoch] for epoch in found]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in [*orders, list(range(50))]}) == 4
    assert [{number for number, _ in epoch} for epoch in found] == [{0}, {1}, {2}]


def test_the_order_is_that_of_seed_and_epoch_whatever_else_draws_numbers() -> None:
    torch.manual_seed(1)
    once = epochs(EpochSampler(30, seed=4), 3)
    torch.manual_seed(2)
    assert epochs(EpochSampler(30, seed=4), 3) == once
    assert epochs(EpochSampler(30, seed=5), 3) != once


def test_a_resumed_sampler_goes_on_where_the_epoch_says() -> None:
    expected = epochs(EpochSampler(30, seed=4), 5)
    resumed = EpochSampler(30, seed=4)
    resumed.epoch = 2
    assert epochs(resumed, 2) == expected[3:]


def test_neighbouring_seeds_do_not_share_epochs() -> None:
    orders = [tuple(i for _, i in epoch) for seed in range(5) for epoch in epochs(EpochSampler(30, seed), 5)]
    assert len(set(orders)) == 25


def test_its_length_is_that_of_the_data() -> None:
    assert len(EpochSampler(17, seed=0)) == 17
