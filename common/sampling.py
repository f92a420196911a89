"""The order in which a training set is seen: a function of seed and epoch, so that any epoch can be repeated."""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.utils.data import Sampler

REPEAT = 1_000_000
"""More epochs than any training has: sets the repeats of an item within one epoch apart."""


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields ``(epoch, index)`` over a shuffled data set.

    The epoch travels with the index, so that an item's augmentation can be keyed by both: randomness then depends
    neither on the number of workers nor on where an interrupted training was resumed. An item that comes again within
    an epoch has ``epoch + k * REPEAT`` there, and so another augmentation.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = -1

    def order(self, epoch: int) -> list[int]:
        """The items of an epoch, in their order."""
        generator = torch.Generator().manual_seed(self.seed * 100_003 + epoch)
        order: list[int] = torch.randperm(self.size, generator=generator).tolist()
        return order

    def __iter__(self) -> Iterator[tuple[int, int]]:
        self.epoch += 1
        epoch, seen = self.epoch, Counter[int]()
        for index in self.order(epoch):
            yield epoch + REPEAT * seen[index], index
            seen[index] += 1

    def __len__(self) -> int:
        return self.size


class DrawnSampler(EpochSampler):
    """Epochs whose items a rule draws anew each time, such as those of ``common.drawing``.

    Lightning counts the batches of an epoch once. So all epochs are as long as the first: a longer one is cut, a
    shorter one begins again.
    """

    def __init__(self, draw: Callable[[np.random.Generator], np.ndarray], seed: int) -> None:
        self.draw = draw
        super().__init__(len(draw(np.random.default_rng((seed, 0)))), seed)

    def order(self, epoch: int) -> list[int]:
        drawn = self.draw(np.random.default_rng((self.seed, epoch)))
        order: list[int] = np.resize(drawn, self.size).tolist()
        return order
