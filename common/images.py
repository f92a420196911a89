"""Pixels of a field of view: four grey files, one a channel, read with checks.

An image in memory is (4, H, W) uint8 or uint16, channels as in ``CHANNELS``.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from common.classes import COLORS
from common.errors import DataError
from common.files import atomic

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
CHANNEL_FILE = re.compile(rf"(?P<id>.+)_(?P<color>{'|'.join(COLORS)})(?P<extension>\.\w+)", re.IGNORECASE)
SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)

PLANES = {"red": (2,), "green": (1,), "blue": (0,), "yellow": (2, 1)}
"""Where a colour lies in the B, G, R planes of a public HPA jpg."""


@dataclass(frozen=True)
class Field:
    """The files of one image, in the order of ``COLORS``."""

    image_id: str
    paths: tuple[Path, ...]


def id_fault(image_id: str) -> str | None:
    """Say what is wrong with an image id, which must be safe as a file name on every system."""
    if not SAFE_ID.fullmatch(image_id) or ".." in image_id or RESERVED.fullmatch(image_id):
        return (
            f"id {image_id[:120]!r}: expected up to 100 of the characters A-Z a-z 0-9 . _ - "
            "beginning with a letter or digit, no '..', no reserved name; rename it"
        )
    return None


def find_fields(folder: Path) -> tuple[list[Field], list[str]]:
    """Find the images of a folder by their names, ``<ID>_<color>.<png|jpg|tif>``.

    Returns:
        The complete fields sorted by id, and one sentence for each fault: a missing channel, a channel that
        is there twice, an unsafe id.

    Raises:
        DataError: ``folder`` is no folder, or holds no file of that form.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with <ID>_{{{','.join(COLORS)}}}.png")
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.iterdir()):
        match = CHANNEL_FILE.fullmatch(path.name)
        if match and match["extension"].lower() in EXTENSIONS:
            found[match["id"]][match["color"].lower()].append(path)
    if not found:
        raise DataError(
            f"{folder}: holds no image; expected files named <ID>_<color> with the colors {', '.join(COLORS)} "
            f"and the endings {', '.join(EXTENSIONS)}"
        )
    faults = [fault for image_id, files in found.items() for fault in _field_faults(image_id, files)]
    whole = {i: files for i, files in found.items() if all(len(files[color]) == 1 for color in COLORS)}
    fields = [Field(i, tuple(files[color][0] for color in COLORS)) for i, files in sorted(whole.items())]
    return [field for field in fields if not id_fault(field.image_id)], faults


def _field_faults(image_id: str, files: dict[str, list[Path]]) -> list[str]:
    faults = [fault] if (fault := id_fault(image_id)) else []
    if missing := [color for color in COLORS if not files[color]]:
        faults.append(f"{image_id}: lacks the channel {', '.join(missing)}; add {image_id}_{missing[0]}.png")
    for color in COLORS:
        if len(files[color]) > 1:
            names = ", ".join(path.name for path in files[color])
            faults.append(f"{image_id}: {color} is there {len(files[color])} times ({names}); keep one")
    return faults


def read_image(field: Field, prepare: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """Read a field as (4, H, W) uint8 or uint16.

    Args:
        prepare: makes each channel smaller as soon as it is read: a fifth of the time, a quarter of the memory.

    Raises:
        DataError: a file cannot be used (see ``read_channel``), or the channels differ in size or depth.
    """
    channels, kinds = [], []
    for path, color in zip(field.paths, COLORS, strict=True):
        channel = read_channel(path, color)
        kinds.append({"shape": channel.shape, "dtype": channel.dtype})
        channels.append(prepare(channel) if prepare else channel)
    for kind in ("shape", "dtype"):
        if len({found[kind] for found in kinds}) > 1:
            each = ", ".join(f"{color} {found[kind]}" for color, found in zip(COLORS, kinds, strict=True))
            raise DataError(f"{field.image_id}: channels differ in {kind}: {each}; export them alike")
    return np.stack(channels)


def read_channel(path: Path, color: str) -> np.ndarray:
    """Read one channel as (H, W) uint8 or uint16.

    A jpg may be in colour, as the public HPA site serves it: the plane of ``color`` is taken. Everything else
    must be grey.

    Raises:
        DataError: the file is absent, empty, truncated, no picture, of several pages, in colour, or of another
            depth than 8 or 16 bit.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its rights") from None
    jpg = path.suffix.lower() in (".jpg", ".jpeg")
    pixels = _decode(content)
    if pixels is None or (jpg and not content.rstrip(b"\0").endswith(b"\xff\xd9")):
        raise DataError(f"{path}: {_why_unreadable(content)}; fetch or export the file again")
    if path.suffix.lower() in (".tif", ".tiff") and (pages := cv2.imcount(str(path))) != 1:
        raise DataError(f"{path}: holds {pages} pages, expected one; export one channel a file")
    if pixels.ndim == 3:
        if not jpg:
            raise DataError(
                f"{path}: is in colour ({pixels.shape[2]} planes), expected grey; export it as grey"
            )
        pixels = _color_plane(path, pixels, color)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{path}: pixels are {pixels.dtype}, expected 8 or 16 bit unsigned; convert the file")
    return pixels


def _decode(content: bytes) -> np.ndarray | None:
    if not content:
        return None
    try:
        return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # a header that promises more pixels than OpenCV's limit
        return None


def _why_unreadable(content: bytes) -> str:
    if not content:
        return "is empty (0 bytes), expected a picture"
    if content.lstrip()[:1] == b"<":
        return "holds a web page (HTML), expected a picture: a download failed"
    known = (b"\x89PNG", b"\xff\xd8", b"II*\0", b"MM\0*")
    if content.startswith(known):
        return f"is truncated or damaged ({len(content)} bytes)"
    return f"is no PNG, JPG or TIFF (it begins with {content[:8]!r})"


def _color_plane(path: Path, pixels: np.ndarray, color: str) -> np.ndarray:
    own = PLANES[color]
    means = pixels[..., :3].reshape(-1, 3).mean(axis=0)
    others = max((means[plane] for plane in range(3) if plane not in own), default=0)
    if others > 2 + 0.5 * min(means[plane] for plane in own):
        found = f"mean blue {means[0]:.1f}, green {means[1]:.1f}, red {means[2]:.1f}"
        raise DataError(f"{path}: is no {color} channel ({found}); export one channel a file, in grey")
    return np.ascontiguousarray(pixels[..., own[0]])


def to_uint8(image: np.ndarray) -> np.ndarray:
    """Bring uint16 to uint8 by value / 257, rounded, so that both ends of the range are kept; uint8 stays."""
    if image.dtype == np.uint8:
        return image
    return ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)


def write_png(path: Path, pixels: np.ndarray, options: Sequence[int] = ()) -> None:
    """Write (H, W) uint8 or uint16 pixels whole or not at all; ``options`` are those of OpenCV's encoder."""
    # Naming a compression level, even the lowest, is 3 x slower for pictures than OpenCV's default and 10 % larger.
    _, content = cv2.imencode(".png", pixels, options)
    with atomic(path) as part:
        part.write_bytes(content.tobytes())
