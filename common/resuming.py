"""Going on after a break: where checkpoints lie, how they are written, and what SIGTERM and Ctrl-C do meanwhile."""

import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from types import FrameType
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch

from common.errors import DataError
from common.files import atomic, discard, exclusive

SAVE_EVERY_S = 600.0


def scratch_path(stage: str, *inputs: str | Path) -> Path:
    """The folder for the checkpoints of a training: the same for equal inputs, another for others.

    It lies in ``.scratch/`` of the repository, also where DVC runs an experiment in a folder of its own. Code is no
    input: after an edit that matters, delete ``.scratch/``.

    Args:
        inputs: all that the training follows from: words as they are, files by their bytes.
    """
    known = hashlib.sha256()
    for each in inputs:
        content = each.read_bytes() if isinstance(each, Path) else each.encode()
        known.update(hashlib.sha256(content).digest())
    root = Path(os.environ.get("DVC_ROOT", Path.cwd()))
    return root / ".scratch" / stage / known.hexdigest()[:16]


@contextmanager
def kept_until_success(folder: Path) -> Iterator[None]:
    """Make a folder that stays where the block fails or is killed, and goes when it succeeds.

    Raises:
        MachineError: another process uses it.
    """
    with exclusive(folder):
        folder.mkdir(parents=True, exist_ok=True)
        yield
        discard(folder)


class Checkpoint:
    """One file, whole or absent, that is written every ten minutes."""

    def __init__(self, path: Path) -> None:
        self.path, self.written = path, time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self.written >= SAVE_EVERY_S

    def write(self, state: dict[str, Any]) -> None:
        """Replace what the file holds."""
        with atomic(self.path) as part:
            torch.save(state, part)
        self.written = time.monotonic()

    def read(self) -> dict[str, Any] | None:
        """What was written last, if anything.

        Raises:
            DataError: the file is damaged, be it by one bit, which torch would not notice.
        """
        if not self.path.exists():
            return None
        try:
            with ZipFile(self.path) as parts:
                if torn := parts.testzip():
                    raise BadZipFile(torn)
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except (BadZipFile, UnpicklingError) as error:
            raise DataError(
                f"{self.path}: is damaged ({error}); delete it, and the training begins anew"
            ) from None
        return state


class StopSignals:
    """Notes SIGTERM and SIGINT instead of dying of them, so that a checkpoint can be written.

    Ctrl-C a second time leaves at once.
    """

    received = 0

    def __enter__(self) -> "StopSignals":
        self.before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            self.before = {each: signal.signal(each, self._note) for each in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for each, handler in self.before.items():
            signal.signal(each, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if self.received and signum == signal.SIGINT:
            sys.exit(128 + signum)
        self.received = self.received or signum
