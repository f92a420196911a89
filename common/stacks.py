"""Pictures that hold several channels in one file: TIFF stacks, and colour PNG."""

import io
import logging
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from tifffile import TiffFile, TiffPage

from common.errors import DataError
from common.images import decode, read_content, why_unreadable

MOST_PIXELS = 2**30
"""OpenCV's own limit; a damaged header may promise more than any memory holds."""
DAMAGE = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError, AssertionError),
    *(OSError, struct.error, zlib.error, cv2.error),
)
"""What tifffile raises on damaged files, found by damaging some."""

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it warns of what is said here in an error's words


def read_stack(path: Path, channels: int) -> np.ndarray:
    """Read a file of several channels as (channels, H, W) uint8 or uint16, in the file's order.

    The channels of a TIFF are its pages or the samples of its one page; those of a PNG its red, green, blue and
    alpha.

    Raises:
        DataError: the file cannot be read, or holds another number of channels, or pixels of another kind.
    """
    content = read_content(path)
    if content.startswith(b"\xff\xd8"):
        raise DataError(
            f"{path}: is a JPG, which mixes its channels; export a TIFF or PNG, or a file a channel"
        )
    try:
        stack = _tiff(content) if content.startswith((b"II", b"MM")) else _png(content)
    except DAMAGE:
        stack = None
    if stack is None or not stack.size:
        raise DataError(f"{path}: {why_unreadable(content)}; export the file again, as TIFF or PNG")
    shape = " x ".join(map(str, stack.shape))
    if stack.ndim != 3 or len(stack) != channels:
        raise DataError(
            f"{path}: holds {shape} (planes x height x width), expected {channels} planes, one a channel; "
            "project a z stack first, and declare every channel of the file"
        )
    if stack.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path}: pixels are {stack.dtype}, expected 8 or 16 bit unsigned; convert the file")
    return stack


def _tiff(content: bytes) -> np.ndarray | None:
    with TiffFile(io.BytesIO(content)) as tiff:
        pages = [page for page in tiff.pages if isinstance(page, TiffPage)]
        if sum(page.size for page in pages) > MOST_PIXELS:
            return None
        if all(page.samplesperpixel == 1 for page in pages):
            # OpenCV knows every compression; tifffile lacks LZW, and OpenCV garbles two samples a pixel.
            whole, planes = cv2.imdecodemulti(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
            return np.stack(planes) if whole and len(planes) == len(pages) else None
        series = tiff.series[0]
        pixels = series.asarray()
        return np.moveaxis(pixels, -1, 0) if series.axes.endswith("S") else pixels


def _png(content: bytes) -> np.ndarray | None:
    pixels = decode(content)
    if pixels is None or pixels.ndim == 2:
        return pixels if pixels is None else pixels[None]
    return np.moveaxis(pixels[..., [2, 1, 0, 3][: pixels.shape[2]]], -1, 0)
