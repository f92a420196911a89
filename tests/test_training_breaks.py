"""A training that was broken off ends at the same weights; two processes learn what one does."""

import os
import signal
import socket
from pathlib import Path

import pytest
import torch

from benchmarks.resume import CHAIN, FRESH, Strike, in_child, trained_with_a_kill
from common.step import Step
from tests.points import step_of, train


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("alone")
    assert in_child(folder) == 0
    return (folder / "result").read_text()


@pytest.mark.parametrize(
    ("call", "save_every_s", "while_writing", "loaders"),
    [(9, 0.0, False, 2), (13, 600.0, False, 0), (20, 0.0, True, 0), (58, 0.0, False, 0)],
    ids=["mid-accumulation", "mid-validation", "mid-checkpoint", "second-step"],
)
def test_a_killed_training_ends_at_the_same_weights(
    call: int, save_every_s: float, while_writing: bool, loaders: int, alone: str, tmp_path: Path
) -> None:
    strike = Strike(call, while_writing=while_writing)
    assert trained_with_a_kill(tmp_path, strike, save_every_s, loaders) == alone
    assert not list(tmp_path.glob(".*.part-*"))


@pytest.mark.parametrize(
    ("number", "call", "place"),
    [(signal.SIGTERM, 9, "epoch 1, batch 3"), (signal.SIGINT, 12, "epoch 1, batch 4")],
    ids=["training", "validation"],
)
def test_a_signal_writes_a_checkpoint_and_ends_the_training(
    number: int, call: int, place: str, alone: str, tmp_path: Path
) -> None:
    assert in_child(tmp_path, Strike(call, (number,))) == 128 + number
    assert in_child(tmp_path) == 0
    assert (tmp_path / "result").read_text() == alone
    assert f"first: goes on from {place}\n" in (tmp_path / "said").read_text()


def test_ctrl_c_twice_leaves_at_once(tmp_path: Path) -> None:
    assert in_child(tmp_path, Strike(2, (signal.SIGINT, signal.SIGINT))) == 130
    assert not (tmp_path / "first.ckpt").exists()


def test_a_finished_training_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before, history = train(tmp_path, step_of())
    capsys.readouterr()
    monkeypatch.setattr(Step, "training_loss", None)
    again, same = train(tmp_path, step_of())
    assert same == history
    assert capsys.readouterr().out == ""
    assert all(torch.equal(a, b) for a, b in zip(before.parameters(), again.parameters(), strict=True))


def rank_of_two(rank: int, port: int, folder: Path, accumulate: int) -> None:
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "test",
    }
    params = step_of(devices=2, epochs=2, ema=0.5, accumulate=accumulate)
    network, history = train(folder, params, count=49)
    torch.save((network.state_dict(), list(history)), folder / f"rank-{rank}.pt")


@pytest.mark.parametrize("accumulate", [1, 3])
def test_two_processes_learn_what_one_does(accumulate: int, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [FRESH.Process(target=rank_of_two, args=(rank, port, tmp_path, accumulate)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(60)
    assert [process.exitcode for process in ranks] == [0, 0]
    network, history = train(tmp_path / "one", step_of(epochs=2, ema=0.5, accumulate=accumulate), count=49)
    for rank in range(2):
        weights, rows = torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True)
        for name, value in network.state_dict().items():
            assert torch.allclose(weights[name], value, atol=1e-4), name
        for row, expected in zip(rows, history, strict=True):
            assert row["val/loss"] == pytest.approx(expected["val/loss"], rel=1e-4)


def test_the_chain_of_the_benchmark_uses_all_that_remembers() -> None:
    first, second = CHAIN.values()
    assert first.trainer.ema
    assert first.trainer.accumulate > 1
    assert second.trainer.swa_from is not None
