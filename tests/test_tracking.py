"""Tracking: runs are kept offline without account or network, and the stage goes on."""

import json
from pathlib import Path

import pytest

from common.tracking import tracked_run
from tests.running import ROOT, run_in


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


def test_without_an_account_a_run_is_kept_offline_with_its_metrics(tmp_path: Path) -> None:
    with tracked_run("cell_crop", "effb2_cell", "train", {"optimizer": {"lr": 3e-4}}, fold=2) as run:
        run.log({"epoch": 0, "val/loss": 0.25})
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    said = run_in(ROOT, "wandb", "leet", "inspect", "--json", str(file)).stdout
    records = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    text = json.dumps(records)
    for expected in ("cell_crop/effb2_cell", "effb2_cell-fold2", '"train"', "fold:2", "val/loss"):
        assert expected in text


def test_a_failing_block_ends_its_run_and_keeps_its_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), tracked_run("a", "b", "train", {}):
        1 / 0  # noqa: B018
    assert list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))


def test_disabled_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with tracked_run("a", "b", "score", {}) as run:
        run.log({"score": 1.0})
    assert not (tmp_path / "wandb").exists()
