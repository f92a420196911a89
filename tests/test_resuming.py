"""Checkpoints are whole or refused, and a training finds its own again."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.resume import FRESH
from common.errors import DataError, MachineError
from common.resuming import Checkpoint, StopSignals, kept_until_success, scratch_path


def test_equal_inputs_share_a_folder_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    labels = tmp_path / "labels"
    labels.write_text("a")
    first = scratch_path("train", "lr: 1", labels)
    assert first.parent == tmp_path / ".scratch/train"
    assert scratch_path("train", "lr: 1", labels) == first
    others = [scratch_path("train", "lr: 2", labels), scratch_path("train", "lr: ", "1a")]
    labels.write_text("b")
    assert len({first, *others, scratch_path("train", "lr: 1", labels)}) == 4


def test_a_scratch_folder_goes_when_all_is_well(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    with contextlib.suppress(KeyError), kept_until_success(folder):
        (folder / "last").write_text("x")
        raise KeyError
    with kept_until_success(folder):
        assert (folder / "last").read_text() == "x"
        with pytest.raises(MachineError, match="is being written by process"), kept_until_success(folder):
            pass
    assert not folder.exists()


def test_a_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "last.ckpt")
    assert checkpoint.read() is None
    checkpoint.write({"weights": torch.arange(3), "rows": [{"a": 0.1, "b": "x"}]})
    read = checkpoint.read()
    assert read is not None
    assert (read["weights"].tolist(), read["rows"]) == ([0, 1, 2], [{"a": 0.1, "b": "x"}])


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_checkpoint_is_refused(damage: str, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "last.ckpt")
    checkpoint.write({"weights": torch.zeros(1000)})
    content = bytearray(checkpoint.path.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 1  # torch would not notice
    damaged = {"cut": content[:middle], "flipped": content, "empty": bytearray()}[damage]
    checkpoint.path.write_bytes(damaged)
    with pytest.raises(DataError, match=r"last.ckpt: is damaged .*; delete it, and the training begins anew"):
        checkpoint.read()


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    checkpoint = Checkpoint(tmp_path / "last.ckpt")
    torch.save({"weights": Evil()}, checkpoint.path)
    with pytest.raises(DataError, match="is damaged"):
        checkpoint.read()
    assert not (tmp_path / "ran").exists()


def test_signals_are_noted_and_then_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with StopSignals() as signals:
        assert signals.received == 0
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received == signal.SIGTERM
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def terminated_then_interrupted() -> None:
    with StopSignals():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_after_another_signal_leaves_at_once() -> None:
    child = FRESH.Process(target=terminated_then_interrupted)
    child.start()
    child.join()
    assert child.exitcode == 130
