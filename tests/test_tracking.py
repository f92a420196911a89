"""Tracking: what a run holds, read back from its file; no secret in it; no server may stop a stage."""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from common import tracking
from common.errors import ParamsError
from common.stages.score import headline
from common.tracking import sweep_of, tracked_run
from tests.running import ROOT, run_in

SECRET = "correct-horse-battery"
KEY = "a" * 40


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_DIR", "WANDB_BASE_URL", "DVC_EXP_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


def read_back(folder: Path) -> dict[str, Any]:
    """The one offline run under ``folder``: what was said of it, the rows it logged, its exit code."""
    (file,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    said = run_in(ROOT, "wandb", "leet", "inspect", "--json", str(file)).stdout
    records = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    run = next(r["run"] for r in records if r["type"] == "run")
    rows = [r["history"]["item"] for r in records if r["type"] == "history"]
    (code,) = [r["exit"].get("exit_code", 0) for r in records if r["type"] == "exit"]
    return run | {"config": run["config"]["update"], "rows": rows, "exit_code": code}


def test_a_training_is_read_back_from_its_offline_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "lr-3")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)
    config = {"optimizer": {"lr": 3e-4}}
    with tracked_run("cell_crop", "effb2_cell", "train", config, fold=2, level="cells") as run:
        run.log({"epoch": 0, "val/loss": 0.25, "val/map": 0.5})
    found = read_back(tmp_path)
    assert (found["run_group"], found["job_type"], found["project"]) == (
        "cell_crop/effb2_cell",
        "train",
        "hpa-arena",
    )
    assert found["display_name"] == "lr-3-effb2_cell-fold2"
    tags = {"approach:cell_crop", "recipe:effb2_cell", "stage:train", "fold:2", "sweep:lr"}
    assert set(found["tags"]) == tags
    known = found["config"]
    assert (known["approach"], known["recipe"], known["stage"], known["fold"]) == (
        *found["run_group"].split("/"),
        "train",
        2,
    )
    assert known["params"] == config
    assert known["sweep"] == "lr"
    rev = run_in(Path.cwd(), "git", "rev-parse", "HEAD").stdout.strip()
    assert (known["dvc"]["exp"], known["dvc"]["baseline"], known["dvc"]["rev"]) == ("lr-3", "0" * 40, rev)
    first, last = found["rows"]
    assert {k: first[k] for k in ("epoch", "val/loss", "val/map", "val/map_cell_weak")} == {
        "epoch": 0, "val/loss": 0.25, "val/map": 0.5, "val/map_cell_weak": 0.5
    }  # fmt: skip
    assert last["train/seconds"] >= 0
    assert found["exit_code"] == 0


def test_a_planted_secret_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_PASSWORD", SECRET)
    monkeypatch.setattr(
        sys, "argv", ["train.py", "--token", f"{SECRET}-2", f"--url=https://me:{SECRET}-3@host"]
    )
    config = {"api_key": f"{SECRET}-4", "deep": [{"note": f"it is {SECRET}"}], "lr": 1e-3}
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)
    run_in(repository, "git", "init", "--quiet")
    run_in(repository, "git", "remote", "add", "origin", f"https://ann:{SECRET}-5@host/a.git")
    (repository / ".env").write_text(f"TOKEN={SECRET}-6\n")
    with tracked_run("a", "b", "train", config) as run:
        run.log({"epoch": 0, "said": f"token={SECRET}-7"})
    found = read_back(tmp_path)
    assert found["config"]["params"]["lr"] == 1e-3
    assert found["config"]["command"][0] == "train.py"
    files = [path for path in (tmp_path / "wandb").rglob("*") if path.is_file()]
    assert len(files) > 1
    assert [path for path in files if SECRET.encode() in path.read_bytes()] == []


def test_a_failing_block_ends_its_run_and_keeps_its_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), tracked_run("a", "b", "train", {}):
        1 / 0  # noqa: B018
    assert read_back(tmp_path)["exit_code"] == 1


def test_disabled_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with tracked_run("a", "b", "score", {}) as run:
        run.log({"score": 1.0})
    assert not (tmp_path / "wandb").exists()


def test_an_unknown_mode_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "of")
    with pytest.raises(ParamsError, match="WANDB_MODE is 'of', expected online, offline or disabled"):
        tracked_run("a", "b", "score", {}).__enter__()


@pytest.mark.parametrize(
    ("experiment", "sweep"),
    [("lr-3", "lr"), ("a-b-12", "a-b"), ("", None), ("mousy-waul", None), ("-3", None)],
)
def test_a_sweep_is_the_name_before_the_number(experiment: str, sweep: str | None) -> None:
    assert sweep_of(experiment) == sweep


def test_a_score_speaks_the_keys_of_trainings() -> None:
    weak = {"cell_ap": 0.3, "image_ap": 0.4, "macro_f1": None, "micro_f1": 0.5, "cell_AP": [0.3]}
    entry = {
        "oof": {"competition": {"mAP": 0.2, "mAP_mask_gt": 0.6, "AP": [0.2]}, "weak": weak},
        "test": {"competition": None, "weak": None},
    }
    assert headline(entry) == {
        "val/map_iou60": 0.2,
        "val/map_iou60_mask_gt": 0.6,
        "val/map_cell_weak": 0.3,
        "val/map_image": 0.4,
        "val/micro_f1": 0.5,
    }
    assert set(tracking.MAP_OF.values()) <= set(headline(entry))


@pytest.fixture(params=["refuses keys", "fails", "never answers", "is not there"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that is of no use."""
    if request.param == "is not there":
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        yield f"http://127.0.0.1:{port}"
        return
    ended = threading.Event()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if request.param == "never answers":
                ended.wait(60)
            self.send_response(500 if request.param == "fails" else 401)
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        ended.set()
        serving.shutdown()


SCRIPT = """
from common.tracking import tracked_run
with tracked_run("a", "b", "train", {}) as run:
    run.log({"epoch": 0, "val/loss": 0.5})
"""
STAGE = ("env", "-u", "WANDB_MODE", sys.executable, "-c", SCRIPT)


def test_no_server_stops_a_stage(server: str, tmp_path: Path) -> None:
    said = run_in(ROOT, *STAGE, WANDB_BASE_URL=server, WANDB_API_KEY=KEY).stdout
    assert "hpa track sync" in said
    found = read_back(tmp_path)
    assert found["rows"][0]["val/loss"] == 0.5
    assert KEY not in said


def test_a_malformed_key_stops_no_stage(tmp_path: Path) -> None:
    said = run_in(ROOT, *STAGE, WANDB_API_KEY="short").stdout
    assert "WANDB_API_KEY invalid" in said
    assert read_back(tmp_path)["exit_code"] == 0
