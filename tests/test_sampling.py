"""The order of a training set: every item once an epoch, by seed and epoch alone, shared among ranks."""

import numpy as np
import pytest
import torch

from common.drawing import draw_quotas, multiplicities, quotas_of, top_up
from common.errors import ParamsError
from common.params import build
from common.sampling import REPEAT, DrawnOrder, EpochBatches, EpochOrder, SamplerParams, order_of


def drawn(size: int = 20) -> DrawnOrder:
    return DrawnOrder(lambda rng: rng.choice(100, size), seed=4)


def test_every_epoch_holds_every_item_once_in_another_order() -> None:
    found = [EpochOrder(50, seed=1).keys(epoch) for epoch in range(3)]
    orders = [[index for _, index in epoch] for epoch in found]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in [*orders, list(range(50))]}) == 4
    assert [{number for number, _ in epoch} for epoch in found] == [{0}, {1}, {2}]


def test_the_order_is_that_of_seed_and_epoch_whatever_else_draws_numbers() -> None:
    torch.manual_seed(1)
    once = EpochOrder(30, seed=4).order(7)
    torch.manual_seed(2)
    assert EpochOrder(30, seed=4).order(7) == once
    assert EpochOrder(30, seed=5).order(7) != once


def test_neighbouring_seeds_do_not_share_epochs() -> None:
    orders = [tuple(EpochOrder(30, seed).order(epoch)) for seed in range(5) for epoch in range(5)]
    assert len(set(orders)) == 25


def test_drawn_epochs_are_functions_of_seed_and_epoch() -> None:
    orders = [tuple(drawn().order(epoch)) for epoch in range(5)]
    torch.manual_seed(9)
    assert [tuple(drawn().order(epoch)) for epoch in range(5)] == orders
    assert len(set(orders)) == 5


def test_drawn_epochs_are_as_long_as_the_first() -> None:
    order = DrawnOrder(lambda rng: np.arange(rng.integers(10, 30)), seed=1)
    found = [order.order(epoch) for epoch in range(30)]
    assert {len(epoch) for epoch in found} == {len(order)}
    lengths = {max(epoch) + 1 for epoch in found}
    assert min(lengths) < len(order) == max(lengths)  # shorter ones begin again, longer ones are cut


def test_repeats_within_an_epoch_have_keys_of_their_own() -> None:
    order = DrawnOrder(lambda rng: np.array([3, 5, 3, 3]), seed=0)
    assert order.keys(7) == [(7, 3), (7, 5), (7 + REPEAT, 3), (7 + 2 * REPEAT, 3)]
    keys = [key for epoch in range(4) for key in order.keys(epoch)]
    assert len(set(keys)) == len(keys)


def test_a_recipe_names_one_rule() -> None:
    targets = np.random.default_rng(0).random((200, 18))
    members, rng = targets > 0.5, np.random.default_rng((7, 3))
    topped = order_of(SamplerParams.model_validate({"top_up": {"per_class": 9}}), targets, seed=7)
    assert topped.order(3) == np.resize(top_up(members, 9, rng), len(topped)).tolist()
    given = SamplerParams.model_validate({"quotas": {"unit": 40}})
    quotas, rng = order_of(given, targets, seed=7), np.random.default_rng((7, 3))
    expected = draw_quotas(members, multiplicities(targets), quotas_of(40), 40, rng)
    assert quotas.order(3) == np.resize(expected, len(quotas)).tolist()
    shuffled = order_of(SamplerParams.model_validate({"shuffle": {}}), targets, seed=7)
    assert shuffled.order(3) == EpochOrder(200, 7).order(3)
    with pytest.raises(
        ParamsError, match="names shuffle and top_up; name exactly one of shuffle, top_up, quotas"
    ):
        build(SamplerParams, {"shuffle": {}, "top_up": {"per_class": 9}}, "sampler")
    with pytest.raises(ParamsError, match="names none; name exactly one"):
        build(SamplerParams, {}, "sampler")


def test_batches_are_the_epoch_cut_into_pieces() -> None:
    batches = EpochBatches(EpochOrder(22, seed=4), 5)
    batches.epoch = 3
    found = list(batches)
    assert [len(batch) for batch in found] == [5, 5, 5, 5, 2]
    assert len(batches) == 5
    assert [key for batch in found for key in batch] == EpochOrder(22, seed=4).keys(3)
    assert batches.items(range(5)) == 22
    assert (batches.items([0]), batches.items([3, 4])) == (5, 7)


def test_resumed_batches_go_on_where_they_were() -> None:
    batches = EpochBatches(EpochOrder(22, seed=4), 5)
    batches.epoch, batches.done = 3, 2
    resumed = EpochBatches(EpochOrder(22, seed=4), 5)
    resumed.load_state_dict(batches.state_dict())
    whole = EpochBatches(EpochOrder(22, seed=4), 5)
    whole.epoch = 3
    assert list(resumed) == list(whole)[2:]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("order", [EpochOrder(25, 3), EpochOrder(24, 3), drawn(41)])
def test_several_ranks_share_each_batch_of_one(order: EpochOrder, ranks: int) -> None:
    alone = EpochBatches(order, 12)
    shared = [EpochBatches(order, 12, rank, ranks) for rank in range(ranks)]
    parts = list(zip(*shared, strict=True))
    for batch, pieces in zip(alone, parts, strict=True):
        together = sorted(key for piece in pieces for key in piece)
        assert set(together) == set(batch)
        assert len(together) == max(len(batch), ranks)  # one item a rank at least
        assert max(map(len, pieces)) - min(map(len, pieces)) <= 1
    assert shared[0].items(range(len(alone))) == sum(len(piece) for pieces in parts for piece in pieces)
