"""The order of a training set: every item once an epoch, by seed and epoch alone."""

import numpy as np
import torch

from common.sampling import REPEAT, DrawnSampler, EpochSampler
from common.torchvision_ops import declare_torchvision_ops

declare_torchvision_ops()
from lightning.fabric.utilities.distributed import DistributedSamplerWrapper  # noqa: E402


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


def test_drawn_epochs_are_functions_of_seed_and_epoch_and_go_on_where_told() -> None:
    def draw(rng: np.random.Generator) -> np.ndarray:
        return rng.choice(100, 20)

    expected = epochs(DrawnSampler(draw, seed=4), 5)
    torch.manual_seed(9)
    resumed = DrawnSampler(draw, seed=4)
    resumed.epoch = 2
    assert epochs(resumed, 2) == expected[3:]
    assert len({tuple(index for _, index in epoch) for epoch in expected}) == 5
    assert epochs(DrawnSampler(draw, seed=5), 5) != expected


def test_drawn_epochs_are_as_long_as_the_first() -> None:
    def draw(rng: np.random.Generator) -> np.ndarray:
        return np.arange(rng.integers(10, 30))

    sampler = DrawnSampler(draw, seed=1)
    found = epochs(sampler, 30)
    assert {len(epoch) for epoch in found} == {len(sampler)}
    lengths = {max(index for _, index in epoch) + 1 for epoch in found}
    assert min(lengths) < len(sampler) == max(lengths)  # shorter ones begin again, longer ones are cut


def test_repeats_within_an_epoch_have_keys_of_their_own() -> None:
    sampler = DrawnSampler(lambda rng: np.array([3, 5, 3, 3]), seed=0)
    sampler.epoch = 6
    assert list(sampler) == [(7, 3), (7, 5), (7 + REPEAT, 3), (7 + 2 * REPEAT, 3)]
    keys = [key for epoch in epochs(sampler, 4) for key in epoch]
    assert len(set(keys)) == len(keys)


def test_several_gpus_share_an_epoch_as_lightning_deals_it() -> None:
    def draw(rng: np.random.Generator) -> np.ndarray:
        return rng.choice(100, 20)

    for make in (lambda: EpochSampler(20, 3), lambda: DrawnSampler(draw, 3)):
        alone = epochs(make(), 2)
        parts = []
        for rank in range(2):
            dealt = DistributedSamplerWrapper(make(), num_replicas=2, rank=rank, shuffle=False)
            parts.append([list(dealt) for _ in range(2)])
        for epoch in range(2):
            assert sorted(parts[0][epoch] + parts[1][epoch]) == sorted(alone[epoch])
