"""Outputs that are whole or absent, and one writer at a time."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from common.errors import MachineError

PART = ".part-"


@contextmanager
def atomic(path: Path, resume: bool = False) -> Iterator[Path]:
    """Give a temporary path beside ``path``, for a file or a folder, and rename it when the block succeeds.

    However the block ends, ``path`` holds either what it held before or the complete new output. What a
    killed process left behind is removed by the next writer.

    Args:
        resume: keep the temporary path when the block fails or is killed, and give it to the next writer.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    discarded = _discarded(path)
    if discarded.exists() and not path.exists():  # a writer was killed between the two renames of a folder
        discarded.rename(path)
    part = path.parent / f".{path.name}{PART}{'kept' if resume else os.getpid()}"
    for leftover in path.parent.glob(f".{path.name}{PART}*"):
        if not resume or leftover != part:
            discard(leftover)
    try:
        yield part
        _replace(part, path)
    finally:
        if not resume:
            discard(part)


def _replace(part: Path, path: Path) -> None:
    if path.is_dir() and not part.is_dir():
        raise MachineError(f"{path}: is a folder, and a file is to be written there; choose another name")
    if path.is_dir():  # a folder cannot be renamed over a full folder
        path.rename(_discarded(path))
        part.rename(path)
        discard(_discarded(path))
    else:
        part.replace(path)


def _discarded(path: Path) -> Path:
    return path.parent / f".{path.name}{PART}old"


def discard(path: Path) -> None:
    """Remove a file or a folder, where there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the right to write ``path``; it falls free when the process ends, however it ends.

    Raises:
        MachineError: another process is writing ``path``. Names that process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock_file = path.parent / f".{path.name}.lock"
    lock = FileLock(lock_file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        owner = lock_file.read_text().strip() or "another process"
        raise MachineError(f"{path}: is being written by {owner}; wait for it, or stop it") from None
    try:
        lock_file.write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
        yield
    finally:
        lock.release()
