"""From a classifier of images to probabilities of cells, in four ways.

``tiled``: the cell's box, the other cells blackened, repeated until it fills a picture (system A, 23rd place).
``alone``: the cell at its place, all else black (system E, 46th; the canvas is our reading, its code is unpublished).
``cam``: the image's probability times the mean over the cell of the class activation map, which is cut off at 0 and
divided by its highest value (systems C's confidence ``mean`` without its coverage rules).
``pooled``: the head on the features pooled over the cell alone.

The first two cost a pass of the network for each cell, the others one for each image.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from common.classifier import Classifier
from common.tta import predict_with, see, undo


class Scored(NamedTuple):
    """Of one image with n cells."""

    image: Tensor
    """(classes,) probabilities of the image."""
    cells: Tensor
    """(n, classes) probabilities of its cells."""
    embeddings: Tensor
    """(n, E): what the last layer sees of each cell, or what the layer before it does, where there are two."""


@torch.inference_mode()
def score_cells(
    network: Classifier, scorer: str, views: Sequence[str], pixels: Tensor, mask: Tensor, batch_size: int
) -> Scored:
    """Score an image and its cells, as the mean over ``views``.

    Args:
        scorer: a key of ``SCORERS``.
        pixels: (C, S, S) uint8.
        mask: (S, S) int64, cells 1 ... n, each with a pixel.
        batch_size: so many pictures pass the network at a time.
    """
    scaled = pixels.float() / 255
    if not mask.any():
        image = predict_with(views, network, scaled[None])[0]
        return Scored(image, image.new_empty(0, len(image)), image.new_empty(0, network.embedding_size))
    scored = [SCORERS[scorer](network, scaled, mask, view, batch_size) for view in views]
    return Scored(*(torch.stack(parts).mean(0) for parts in zip(*scored, strict=True)))


def score_pictures(
    picture_of: Callable[[Tensor, Tensor, int], Tensor],
    network: Classifier,
    pixels: Tensor,
    mask: Tensor,
    view: str,
    batch_size: int,
) -> Scored:
    """Show the network a picture of each cell."""
    image = network(see(pixels[None], view)).float().sigmoid()[0]
    found = []
    for numbers in torch.arange(1, int(mask.max()) + 1).split(batch_size):
        pictures = torch.stack([picture_of(pixels, mask, int(number)) for number in numbers])
        found.append(network.embed(network.pool(network.features(see(pictures, view)))).float())
    embeddings = torch.cat(found)
    return Scored(image, network.classify(embeddings).float().sigmoid(), embeddings)


def tiled(pixels: Tensor, mask: Tensor, number: int) -> Tensor:
    """(C, S, S): the box of a cell, without the other cells, repeated from the upper left."""
    rows, columns = (torch.nonzero((mask == number).any(axis))[:, 0] for axis in (1, 0))
    y, x = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    roles = mask[y, x]
    cell = pixels[:, y, x] * ((roles == number) | (roles == 0))
    side = pixels.shape[-1]
    times = [-(-side // length) for length in cell.shape[1:]]
    return cell.repeat(1, *times)[:, :side, :side]


def alone(pixels: Tensor, mask: Tensor, number: int) -> Tensor:
    """(C, S, S): a cell at its place, all else black."""
    return pixels * (mask == number)


def score_maps(
    by_pooling: bool, network: Classifier, pixels: Tensor, mask: Tensor, view: str, batch_size: int
) -> Scored:
    """Show the network the image, then look at each cell in its features."""
    seen = network.features(see(pixels[None], view))
    image = network.classify(network.embed(network.pool(seen))).float().sigmoid()[0]
    features = undo(seen, view, (seen.shape[2], seen.shape[3]))[0][0].float()
    shares = cell_shares(mask, features.shape[1], features.shape[2])
    embeddings = network.embed(network.pool_cells(features, shares))
    if by_pooling:
        return Scored(image, network.classify(embeddings).sigmoid(), embeddings)
    maps = network.class_maps(features).clamp_min(0)
    maps = maps / (maps.amax((1, 2), keepdim=True) + 1e-5)
    means = shares.flatten(1) @ maps.flatten(1).T / shares.sum((1, 2))[:, None]
    return Scored(image, image * means, embeddings)


def cell_shares(mask: Tensor, height: int, width: int) -> Tensor:
    """How many pixels of each place of a (height, width) map are of each cell: (n, height, width)."""
    side = mask.shape[0]
    y, x = (torch.arange(side, device=mask.device) * length // side for length in (height, width))
    places = (y[:, None] * width + x).flatten()
    counts = torch.bincount(
        mask.flatten() * (height * width) + places, minlength=(int(mask.max()) + 1) * height * width
    )
    return counts.reshape(-1, height, width)[1:].float()


SCORERS: dict[str, Callable[[Classifier, Tensor, Tensor, str, int], Scored]] = {
    "tiled": partial(score_pictures, tiled),
    "alone": partial(score_pictures, alone),
    "cam": partial(score_maps, False),
    "pooled": partial(score_maps, True),
}
