"""How a training stage begins and ends: the first process writes, the others do not."""

from pathlib import Path

import pytest

from common.training_run import NoRun, training_run


def test_the_first_process_writes_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with training_run("x", "recipe", 3, {"lr": 1}, tmp_path / "out") as place:
        assert place.scratch.is_dir()
        assert place.scratch.parent == tmp_path / ".scratch/x/recipe/fold-3"
        (place.out / "model").write_text("trained")
    assert (tmp_path / "out/model").read_text() == "trained"
    assert not place.scratch.exists()


def test_a_failed_training_keeps_its_checkpoints_and_writes_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "disabled")

    def train() -> None:
        with training_run("x", "recipe", 3, {"lr": 1}, tmp_path / "out") as place:
            (place.out / "model").write_text("half")
            (place.scratch / "train.ckpt").write_text("half way")
            raise SystemExit(143)

    with pytest.raises(SystemExit):
        train()
    assert not (tmp_path / "out").exists()
    with training_run("x", "recipe", 3, {"lr": 1}, tmp_path / "out") as place:
        assert (place.scratch / "train.ckpt").read_text() == "half way"


@pytest.mark.parametrize("rank", ["RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID"])
def test_the_other_processes_share_the_scratch_folder_and_write_nothing(
    rank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with training_run("x", "recipe", 3, {"lr": 1}, tmp_path / "out") as first:
        monkeypatch.setenv(rank, "1")
        with training_run("x", "recipe", 3, {"lr": 1}, tmp_path / "out") as second:
            assert second.scratch == first.scratch
            assert isinstance(second.run, NoRun)
            (second.out / "model").write_text("not the first's")
        assert first.scratch.is_dir()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["cost.json"]
