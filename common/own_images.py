"""Images of one's own, named and ordered in any way: found by a declared pattern, written as the house's PNG files.

Everything after this module knows one shape only, ``<ID>_<color>.png``. The conversion keeps every bit.
"""

import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from glob import escape
from pathlib import Path
from typing import Self

import numpy as np
from pydantic import field_validator, model_validator

from common.classes import CHANNELS, COLORS
from common.errors import DataError, fail_together
from common.images import EXTENSIONS, id_fault, read_channel, write_png
from common.parallel import pmap
from common.params import Params, build
from common.stacks import read_stack

ABSENT = "absent"
UNUSED = "unused"
REQUIRED = ("protein", "nucleus")


class OwnParams(Params):
    """How one's own files are named, and what they hold. The default is the house's shape."""

    pattern: str = "{id}_{channel}.*"
    """Below the folder: ``{id}`` names the image, ``{channel}`` its channel, ``*`` stands for any characters but /.
    Without ``{channel}`` a file is a stack of all channels."""
    channels: tuple[str, ...] = tuple(f"{c}={color}" for c, color in zip(CHANNELS, COLORS, strict=True))
    """``channel=its word in file names``. Of a stack the channels in the file's order, where words say nothing and
    ``unused`` stands for a channel that is none of the four. ``channel=absent`` was not recorded."""

    @field_validator("pattern")
    @classmethod
    def _names_an_image(cls, pattern: str) -> str:
        literal = pattern.replace("{id}", "", 1).replace("{channel}", "", 1)
        if "{id}" not in pattern or set(literal) & set("{}\\"):
            raise ValueError(
                "expected one {id} and at most one {channel}, like {id}_{channel}.tif or {id}.tif"
            )
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise ValueError("expected a pattern below the folder, without / at its begin and without ..")
        return pattern

    @field_validator("channels")
    @classmethod
    def _names_each_channel(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        entries = [entry.partition("=") for entry in channels if entry != UNUSED]
        if sorted(channel for channel, _, _ in entries) != sorted(CHANNELS):
            raise ValueError(
                f"expected each of {', '.join(CHANNELS)} once; write one that was not recorded as reticulum={ABSENT}"
            )
        if lacking := [channel for channel, _, word in entries if channel in REQUIRED and word == ABSENT]:
            raise ValueError(
                f"{lacking[0]} is {ABSENT}; cells are found by nucleus and told apart by protein"
            )
        return channels

    @model_validator(mode="after")
    def _tells_channels_apart(self) -> Self:
        words = list(self.word_of.values())
        if not self.is_stack and ("" in words or len(set(words)) < len(words) or UNUSED in self.channels):
            raise ValueError(
                "channels lacks words for {channel} of the pattern, expected each its own like nucleus=DAPI; "
                "a stack of all channels has a pattern without {channel}"
            )
        return self

    @property
    def is_stack(self) -> bool:
        """Whether one file holds all channels of an image."""
        return "{channel}" not in self.pattern

    @property
    def absent(self) -> list[str]:
        """The channels that were not recorded."""
        return [channel for channel in CHANNELS if f"{channel}={ABSENT}" in self.channels]

    @property
    def order(self) -> list[str]:
        """The recorded channels in the order given, ``unused`` among them."""
        return [c for c in (entry.partition("=")[0] for entry in self.channels) if c not in self.absent]

    @property
    def word_of(self) -> dict[str, str]:
        """The word of each recorded channel in file names."""
        words = {channel: word for channel, _, word in (entry.partition("=") for entry in self.channels)}
        return {channel: words[channel] for channel in self.order if channel != UNUSED}


def declared(pattern: str, channels: str) -> OwnParams:
    """What a command line says of files: ``--pattern``, and ``--channels`` separated by commas; empty for neither.

    Raises:
        ParamsError: they are wrong; says how.
    """
    given = {"pattern": pattern, "channels": [word.strip() for word in channels.split(",") if word.strip()]}
    return build(OwnParams, {key: value for key, value in given.items() if value}, "--pattern, --channels")


@dataclass(frozen=True)
class OwnImage:
    """The files of one image: channel -> file; a stack is the file of all its channels."""

    image_id: str
    paths: dict[str, Path]


@contextmanager
def house_folder(folder: Path, own: OwnParams, scratch: Path | None = None) -> Iterator[Path]:
    """Give a folder of the images of ``folder`` as ``<ID>_<color>.png``: itself where they are so already.

    Else a temporary one, below ``scratch`` where that is given. Says once which channels are planes of zeros.

    Raises:
        DataError: no image, or files that cannot be used; lists all.
    """
    if own == OwnParams():
        yield folder
        return
    images = find_own(folder, own)
    if own.absent:
        print(f"{', '.join(own.absent)}: declared absent, {_meaning(own.absent)}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=scratch) as converted:
        faults = pmap(partial(_convert, own=own, out=Path(converted)), images, "conversions")
        fail_together([fault for fault in faults if fault], folder, "mend or remove these images")
        yield Path(converted)


def _meaning(absent: list[str]) -> str:
    zeros = "planes of zeros stand for it"
    if len(absent) < 2:
        return zeros
    return f"{zeros}; without both, `classical` sees cells no larger than their nuclei: use masks of another tool"


def find_own(folder: Path, own: OwnParams) -> list[OwnImage]:
    """Find the images of a folder by the declared pattern, sorted by id.

    Raises:
        DataError: no file fits; or a channel is missing or there twice, or an id is unsafe: lists all.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; expected one with files like {own.pattern}")
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    name, channel_of = _name(own), {word: channel for channel, word in own.word_of.items()}
    for path in sorted(folder.glob(_glob(own.pattern))):
        match = name.fullmatch(path.relative_to(folder).as_posix())
        if match and path.suffix.lower() in EXTENSIONS and not path.name.startswith("."):
            channels = own.word_of if own.is_stack else [channel_of[match["channel"]]]
            for channel in channels:
                found[match["id"]][channel].append(path)
    if not found:
        words = "" if own.is_stack else f" with {', '.join(channel_of)} for {{channel}}"
        raise DataError(
            f"{folder}: holds no file like {own.pattern}{words} and an ending of {', '.join(EXTENSIONS)}; "
            "give the pattern of your files"
        )
    fail_together([f for i, files in found.items() for f in _faults(i, files, own)], folder, "mend the files")
    return [OwnImage(i, {c: paths[0] for c, paths in files.items()}) for i, files in sorted(found.items())]


def _name(own: OwnParams) -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word in own.word_of.values())
    kinds = {"{id}": "(?P<id>[^/]+)", "{channel}": f"(?P<channel>{words})", "*": "[^/]*"}
    return re.compile("".join(kinds.get(part, re.escape(part)) for part in _parts(own.pattern)))


def _glob(pattern: str) -> str:
    kinds = {"{id}": "*", "{channel}": "*", "*": "*"}
    wild = "".join(kinds.get(part, escape(part)) for part in _parts(pattern))
    return re.sub(r"\*+", "*", wild)  # two stars would mean folders at any depth


def _parts(pattern: str) -> list[str]:
    return re.split(r"(\{id\}|\{channel\}|\*)", pattern)


def _faults(image_id: str, files: dict[str, list[Path]], own: OwnParams) -> list[str]:
    faults = [fault] if (fault := id_fault(image_id)) else []
    if missing := [f"{c} ({word})" for c, word in own.word_of.items() if c not in files]:
        faults.append(f"{image_id}: lacks the channel {', '.join(missing)}; add it, or declare it {ABSENT}")
    twice = {tuple(paths): channel for channel, paths in files.items() if len(paths) > 1}
    for paths, channel in twice.items():
        which = "it" if own.is_stack else channel
        names = ", ".join(path.name for path in paths)
        faults.append(f"{image_id}: {which} is there {len(paths)} times ({names}); narrow the pattern")
    return faults


def _convert(image: OwnImage, own: OwnParams, out: Path) -> str | None:
    """Write the four files of one image, or say what is wrong with it."""
    try:
        planes = _read_stack(image, own) if own.is_stack else _read_files(image)
    except DataError as error:
        return str(error)
    for channel, color in zip(CHANNELS, COLORS, strict=True):
        plane = planes.get(channel, np.zeros_like(planes["protein"]))
        write_png(out / f"{image.image_id}_{color}.png", plane)
    return None


def _read_files(image: OwnImage) -> dict[str, np.ndarray]:
    colors = dict(zip(CHANNELS, COLORS, strict=True))
    return {channel: read_channel(path, colors[channel]) for channel, path in image.paths.items()}


def _read_stack(image: OwnImage, own: OwnParams) -> dict[str, np.ndarray]:
    return dict(zip(own.order, read_stack(image.paths["protein"], len(own.order)), strict=True))
