"""The competition's mask text: column-major runs, COCO's compressed counts, zlib level 9, base64.

COCO's counts (Lin et al., "Microsoft COCO", 2014; ``maskApi.c`` of pycocotools) are run lengths that start
with background. From the fourth on each is written as its difference from the run two before, five bits to
a character.
"""

import base64
import zlib
from typing import TypedDict

import numpy as np
from pycocotools import mask as coco

from common.errors import DataError

_GROUP_BITS = 5
_MOST_GROUPS = 7  # 35 bits, more than any run of a mask needs
_MORE, _SIGN, _OFFSET = 32, 16, 48  # bits of one character, and what makes it printable


class RLE(TypedDict):
    """A mask as pycocotools takes it: ``size`` is [height, width], ``counts`` COCO's compressed bytes."""

    size: list[int]
    counts: bytes


def encode_mask_map(mask: np.ndarray) -> dict[int, str]:
    """Mask texts of all cells of a label map, in one pass over its pixels.

    Args:
        mask: (H, W) unsigned integers, 0 background, value k = cell k.

    Returns:
        Cell id -> text, ids ascending; equal to pycocotools + zlib + base64 of each ``mask == id``.

    Raises:
        ValueError: the mask is not a two-dimensional array of unsigned integers.
    """
    if mask.ndim != 2 or mask.dtype.kind != "u":
        raise ValueError(f"a label map is (H, W) unsigned integers, this is {mask.shape} {mask.dtype}")
    labels, starts, ends = _runs(mask)
    if not len(labels):
        return {}
    counts, firsts = _counts_of_runs(labels, starts, ends, mask.size)
    deltas = counts.copy()
    place = np.arange(len(counts)) - np.repeat(firsts, np.diff(firsts, append=len(counts)))
    late = np.flatnonzero(place > 2)
    deltas[late] -= counts[late - 2]
    packed, lengths = _pack(deltas)
    bounds = np.append(np.cumsum(lengths)[firsts] - lengths[firsts], len(packed)).tolist()
    ids = labels[np.append(True, labels[1:] != labels[:-1])].tolist()
    return {cell: _text(packed[bounds[i] : bounds[i + 1]]) for i, cell in enumerate(ids)}


def decode_text(text: str, height: int, width: int) -> RLE:
    """Read one mask text; the size is not in it, it comes from the row of the file.

    Raises:
        DataError: with the plain reason; the text is no base64 or zlib, or its runs do not fill the image.
    """
    try:
        data = zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise DataError("the mask text is base64, but what it holds is not zlib data") from error
    except ValueError as error:
        raise DataError("the mask text is not base64") from error
    counts = _unpack(data)
    if (counts < 0).any() or counts.sum() != height * width:
        expected = f"the image has {width} x {height} = {width * height}"
        raise DataError(f"the runs of the mask cover {counts.sum()} pixels, {expected}")
    return {"size": [height, width], "counts": data}


def to_mask(text: str, height: int, width: int) -> np.ndarray:
    """Read one mask text as (height, width) bool pixels.

    Raises:
        DataError: as ``decode_text``.
    """
    return coco.decode(decode_text(text, height, width)).astype(bool)


def _text(counts: bytes) -> str:
    return base64.b64encode(zlib.compress(counts, 9)).decode("ascii")


def _runs(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label, start and end of each foreground run in column-major order, sorted by label, then by start."""
    height, width = mask.shape
    if not mask.size:
        return mask.ravel(), np.zeros(0, np.int64), np.zeros(0, np.int64)
    # Comparing rows and sorting the few changes spares the transposed copy, the dear part at full size.
    row, column = np.divmod(np.flatnonzero(mask[1:] != mask[:-1]), width)
    seams = (np.flatnonzero(mask[0, 1:] != mask[-1, :-1]) + 1) * height
    starts = np.sort(np.concatenate([[0], column * height + row + 1, seams]))
    labels = mask[starts % height, starts // height]
    ends = np.append(starts[1:], mask.size)
    order = np.argsort(labels, kind="stable")[np.count_nonzero(labels == 0) :]
    return labels[order], starts[order], ends[order]


def _counts_of_runs(
    labels: np.ndarray, starts: np.ndarray, ends: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Run lengths of all cells one after another, and where each cell's begin."""
    opens = np.append(True, labels[1:] != labels[:-1])
    closes = np.append(opens[1:], True)
    gaps = starts - np.where(opens, 0, np.roll(ends, 1))
    triples = np.stack([gaps, ends - starts, size - ends], axis=1)
    wanted = np.ones(triples.shape, dtype=bool)
    wanted[:, 2] = closes & (ends < size)
    firsts = np.cumsum(wanted.sum(axis=1)) - wanted.sum(axis=1)
    return triples[wanted], firsts[opens]


def _pack(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Signed numbers as groups of five bits, lowest first, and how many characters each takes."""
    characters = np.zeros((len(values), _MOST_GROUPS), dtype=np.uint8)
    written = np.zeros(characters.shape, dtype=bool)
    rest, active = values.copy(), np.ones(len(values), dtype=bool)
    for group in range(_MOST_GROUPS):
        bits = rest & (_MORE - 1)
        rest >>= _GROUP_BITS
        more = rest != np.where(bits & _SIGN, -1, 0)
        characters[:, group] = bits + _MORE * more + _OFFSET
        written[:, group] = active
        active &= more
        if not active.any():
            break
    return characters[written].tobytes(), written.sum(axis=1)


def _unpack(data: bytes) -> np.ndarray:
    """Run lengths of compressed counts; negative ones are left for the caller to refuse."""
    codes = np.frombuffer(data, dtype=np.uint8).astype(np.int64) - _OFFSET
    if not len(codes) or codes.min() < 0 or codes.max() >= 2 * _MORE or codes[-1] & _MORE:
        raise DataError("the mask text holds no COCO counts")
    lasts = np.flatnonzero(codes & _MORE == 0)
    lengths = np.diff(lasts, prepend=-1)
    if lengths.max() > _MOST_GROUPS:
        raise DataError("the mask text holds no COCO counts")
    firsts = lasts - lengths + 1
    place = np.arange(len(codes)) - np.repeat(firsts, lengths)
    values = np.add.reduceat((codes & (_MORE - 1)) << (_GROUP_BITS * place), firsts)
    values -= np.where(codes[lasts] & _SIGN, np.int64(1) << (_GROUP_BITS * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
