"""Trainings killed (SIGKILL) at random moments and started again: do they end at the weights of one left alone?

    python -m benchmarks.resume

A chain of two steps with all that has a memory: batch normalisation, dropout, momentum, schedules by step and by epoch,
moving and plain averages of weights, accumulation with a short tail, drawn epochs, early stopping, several kept epochs.
The moment is a call of the loss, be it in training or in validation, or the middle of writing a checkpoint.
Checkpoints are written after every batch, or at the ends of epochs only.
"""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from common import resuming
from common.params import Params, build
from common.training import fit_chain
from common.training_params import Chain
from common.training_run import NoRun

FRESH = multiprocessing.get_context("forkserver")
"""Starts processes that have run nothing yet: a fork hangs in its first parallel loop where its parent ran one (GNU
OpenMP)."""
FRESH.set_forkserver_preload(["benchmarks.resume"])
KILLS = 10
LOSS_CALLS = 4 * (4 + 3) + 4 * (5 + 3)
"""Of the whole chain: four epochs a step, for patience ends the second; batches of training, then of validation."""


class Recipe(Params):
    """As an approach has it."""

    steps: Chain


FIRST: dict[str, Any] = {
    "loss": {"focal": {}, "lovasz": {"weight": 0.5}},
    "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
    "schedule": {"warmup_cosine": {}},
    "sampler": {"top_up": {"per_class": 12}},
    "trainer": {
        "epochs": 4,
        "batch_size": 8,
        "precision": "32-true",
        "seed": 3,
        "accumulate": 2,
        "clip_norm": 1.0,
        "ema": 0.9,
        "monitor": "val/map",
        "top_k": 2,
    },
}
SECOND: dict[str, Any] = {
    "loss": {"bce": {}},
    "optimizer": {"name": "adam", "lr": 0.05},
    "schedule": {"warm_restarts": {"first_period": 2, "period_factor": 1, "lowest_lr": 1e-5}},
    "trainer": {
        "epochs": 6,
        "batch_size": 8,
        "precision": "32-true",
        "seed": 4,
        "swa_from": 0.3,
        "patience": 2,
    },
}
CHAIN = build(Recipe, {"steps": {"first": FIRST, "second": SECOND}}, "resume").steps


class Blots(Dataset[Any]):
    """Pictures (1, 8, 8) of noise, brighter in the quarters whose class they have; more noise by epoch."""

    def __init__(self, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.targets = (rng.random((size, 4)) < 0.4).astype(np.float32)
        quarters = self.targets.reshape(size, 2, 2).repeat(4, axis=1).repeat(4, axis=2)
        self.pixels = (rng.normal(0, 1, (size, 1, 8, 8)) + quarters[:, None]).astype(np.float32)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, key: int | tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        epoch, index = key if isinstance(key, tuple) else (None, key)
        pixels = self.pixels[index]
        if epoch is not None:
            pixels = pixels + np.random.default_rng((epoch, index)).normal(0, 0.3, pixels.shape).astype(
                np.float32
            )
        return torch.from_numpy(pixels), torch.from_numpy(self.targets[index]), index

    def name(self, row: int) -> str:
        """Of a picture."""
        return f"picture {row}"


def make_network() -> nn.Module:
    """(B, 1, 8, 8) -> (B, 4), with batch normalisation and dropout."""
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(1, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(288, 4),
    )
    return nn.Sequential(*layers)


def train(folder: Path, strike: Callable[[int], None] | None = None, steps: Chain = CHAIN) -> str:
    """Train the chain in ``folder``, and write a hash of weights and history to its file ``result``.

    Args:
        strike: called with the number of each call of the loss, from 0.
    """
    calls = 0

    class Struck(nn.Module):
        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: Tensor) -> Tensor:
            nonlocal calls
            if strike:
                strike(calls)
            calls += 1
            answer: Tensor = self.network(pixels)
            return answer

    network = Struck(make_network())
    history = fit_chain(network, steps, Blots(37, 0), Blots(21, 1), folder, NoRun()).history
    known = hashlib.sha256(json.dumps(history).encode())
    for name, value in sorted(network.state_dict().items()):
        known.update(name.encode() + value.numpy().tobytes())
    (folder / "result").write_text(known.hexdigest())
    return known.hexdigest()


@dataclass(frozen=True)
class Strike:
    """Signals that a training sends itself at a call of the loss, or while it writes the next checkpoint after it."""

    call: int
    signals: tuple[int, ...] = (signal.SIGKILL,)
    while_writing: bool = False

    def __call__(self, number: int) -> None:
        """At each call of the loss."""
        if number == self.call and self.while_writing:
            mock.patch.object(torch, "save", self._half_a_file).start()
        elif number == self.call:
            self._send()

    def _half_a_file(self, state: dict[str, Any], path: Path) -> None:
        path.write_bytes(b"torn")
        self._send()

    def _send(self) -> None:
        for number in self.signals:
            os.kill(os.getpid(), number)


def in_child(
    folder: Path, strike: Strike | None = None, save_every_s: float = 600.0, loaders: int = 0
) -> int:
    """The exit code of a training in a process of its own, as a shell would give it."""
    child = FRESH.Process(target=_train_saving, args=(folder, strike, save_every_s, loaders))
    child.start()
    child.join()
    code = child.exitcode or 0
    return code if code >= 0 else 128 - code


def _train_saving(folder: Path, strike: Strike | None, save_every_s: float, loaders: int) -> None:
    multiprocessing.set_start_method("fork", force=True)  # as in any other training
    os.environ["HPA_LOADERS"] = str(loaders)
    resuming.SAVE_EVERY_S = save_every_s
    with (folder / "said").open("w") as said, redirect_stdout(said):
        train(folder, strike)


def trained_with_a_kill(folder: Path, strike: Strike, save_every_s: float, loaders: int) -> str:
    """The hash of a training that is killed by ``strike`` and resumed."""
    code = in_child(folder, strike, save_every_s, loaders)
    if code != 128 + signal.SIGKILL:
        raise RuntimeError(f"the training ended with {code} before call {strike.call}")
    if in_child(folder, None, save_every_s, loaders):
        raise RuntimeError("the resumed training failed")
    return (folder / "result").read_text()


def main() -> None:
    """Print how many of the resumed trainings equal the one left alone."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        in_child(Path(name))
        alone = (Path(name) / "result").read_text()
    print(f"left alone: {alone[:16]}")
    for loaders in (0, 2):
        equal = 0
        for _ in range(KILLS):
            call, often, writing = rng.randrange(LOSS_CALLS - 1), rng.random() < 0.7, rng.random() < 0.3
            with tempfile.TemporaryDirectory() as name:
                strike = Strike(call, while_writing=writing)
                found = trained_with_a_kill(Path(name), strike, 0.0 if often else 600.0, loaders)
            equal += found == alone
            print(
                f"{loaders} loaders, call {call}, often {often}, writing {writing}: {found[:16]}",
                file=sys.stderr,
            )
        print(f"{loaders} loaders: {equal} of {KILLS} resumed trainings are bit-equal")


if __name__ == "__main__":
    main()
