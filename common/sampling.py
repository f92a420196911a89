"""The order in which a training set is seen: a function of seed and epoch, so that any epoch can be repeated."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields ``(epoch, index)`` over a shuffled data set.

    The epoch travels with the index, so that an item's augmentation can be keyed by both: randomness then depends
    neither on the number of workers nor on where an interrupted training was resumed.
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.seed = seed
        self.epoch = -1

    def __iter__(self) -> Iterator[tuple[int, int]]:
        self.epoch += 1
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        for index in torch.randperm(self.size, generator=generator).tolist():
            yield self.epoch, index

    def __len__(self) -> int:
        return self.size
