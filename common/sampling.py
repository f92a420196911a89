"""The order in which a training set is seen: a function of seed and epoch, so that any epoch can be repeated."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from pydantic import Field, model_validator
from torch.utils.data import Sampler

from common.drawing import QUOTA_SHARES, draw_quotas, multiplicities, quotas_of, top_up
from common.params import Params

REPEAT = 1_000_000
"""More epochs than any training has: sets the repeats of an item within one epoch apart."""
Key = tuple[int, int]
"""Epoch and index."""


class Shuffle(Params):
    """Every item once."""


class TopUp(Params):
    """See ``drawing.top_up``; system A: 1500."""

    per_class: int = Field(ge=1)


class Quotas(Params):
    """See ``drawing.draw_quotas``, with system B's multiplicities."""

    unit: int = Field(ge=1)
    """Items without any of the classes that have a share, of which the quotas of the classes are shares; B: 20 000."""
    shares: tuple[float, ...] = QUOTA_SHARES


class SamplerParams(Params):
    """The section ``sampler`` of a step: exactly one of these."""

    shuffle: Shuffle | None = None
    top_up: TopUp | None = None
    quotas: Quotas | None = None

    @model_validator(mode="after")
    def _name_one(self) -> "SamplerParams":
        named = [name for name, sampler in self if sampler is not None]
        if len(named) != 1:
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"names {' and '.join(named) or 'none'}; name exactly one of {known}")
        return self


class EpochOrder:
    """Every item of a data set once an epoch, shuffled.

    The epoch travels with the index, so that an item's augmentation can be keyed by both: randomness then depends
    neither on the number of workers nor on where an interrupted training was resumed. An item that comes again within
    an epoch has ``epoch + k * REPEAT`` there, and so another augmentation.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed

    def order(self, epoch: int) -> list[int]:
        """The items of an epoch, in their order."""
        generator = torch.Generator().manual_seed(self.seed * 100_003 + epoch)
        order: list[int] = torch.randperm(self.size, generator=generator).tolist()
        return order

    def keys(self, epoch: int) -> list[Key]:
        """The items of an epoch as the data set is asked for them."""
        seen, keys = Counter[int](), []
        for index in self.order(epoch):
            keys.append((epoch + REPEAT * seen[index], index))
            seen[index] += 1
        return keys

    def __len__(self) -> int:
        return self.size


class DrawnOrder(EpochOrder):
    """Epochs whose items a rule draws anew each time, such as those of ``common.drawing``.

    All epochs are as long as the first, for a schedule counts on it: a longer one is cut, a shorter one begins again.
    """

    def __init__(self, draw: Callable[[np.random.Generator], np.ndarray], seed: int) -> None:
        self.draw = draw
        super().__init__(len(draw(np.random.default_rng((seed, 0)))), seed)

    def order(self, epoch: int) -> list[int]:
        drawn = self.draw(np.random.default_rng((self.seed, epoch)))
        order: list[int] = np.resize(drawn, self.size).tolist()
        return order


def order_of(params: SamplerParams, targets: np.ndarray, seed: int) -> EpochOrder:
    """The order that a recipe asks for.

    Args:
        targets: (N, classes) soft labels; an item has a class above 0.5; NaN is unknown.
    """
    members = targets > 0.5
    if (top := params.top_up) is not None:
        return DrawnOrder(lambda rng: top_up(members, top.per_class, rng), seed)
    if (quotas := params.quotas) is not None:
        drawn, copies = members[:, : len(quotas.shares)], multiplicities(targets)
        wanted = quotas_of(quotas.unit, quotas.shares)
        return DrawnOrder(lambda rng: draw_quotas(drawn, copies, wanted, quotas.unit, rng), seed)
    return EpochOrder(len(targets), seed)


class EpochBatches(Sampler[list[Key]]):
    """The batches of one epoch, of which one of several ranks gets its share of the items.

    All ranks together see the batches that one alone would see. ``epoch`` and ``done``, the batches behind us, say
    where an iteration begins; whoever trains moves them on, for workers run ahead.
    """

    def __init__(self, order: EpochOrder, batch_size: int, rank: int = 0, ranks: int = 1) -> None:
        self.order, self.batch_size, self.rank, self.ranks = order, batch_size, rank, ranks
        self.epoch = self.done = 0

    def __len__(self) -> int:
        return -(-len(self.order) // self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        keys = self.order.keys(self.epoch)
        for batch in range(self.done, len(self)):
            items = keys[batch * self.batch_size :][: self.batch_size]
            while len(items) < self.ranks:  # no rank may go without: the others would wait for its gradient
                items += items[: self.ranks - len(items)]
            yield items[self.rank :: self.ranks]

    def items(self, batches: Sequence[int]) -> int:
        """How many items some batches hold, on all ranks together."""
        rest = [min(self.batch_size, len(self.order) - batch * self.batch_size) for batch in batches]
        return sum(max(left, self.ranks) for left in rest)

    def state_dict(self) -> dict[str, int]:
        """Where we are."""
        return {"epoch": self.epoch, "done": self.done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from there."""
        self.epoch, self.done = state["epoch"], state["done"]
