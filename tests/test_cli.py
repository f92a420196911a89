"""``hpa`` and the stages as commands: they answer at once, and say what is wrong in one line."""

import json
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML

from common.classes import CHANNELS, COLORS
from tests.running import ROOT, run_in

HPA = ("python", "-m", "common.cli.app")
COMMANDS = sorted(path.stem for path in (ROOT / "common/cli").glob("[a-z]*.py") if path.stem != "app")
STAGES = sorted(f"common.stages.{path.stem}" for path in (ROOT / "common/stages").glob("[a-z]*.py"))
STAGES += [
    f"approaches.{p.parent.name}.{p.stem}"
    for p in ROOT.glob("approaches/*/*.py")
    if "run_stage" in p.read_text()
]


@pytest.mark.parametrize(
    "words", [*(("common.cli.app", c) for c in COMMANDS), *((stage,) for stage in STAGES)], ids="-".join
)
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    said = run_in(ROOT, sys.executable, "-X", "importtime", "-m", *words, "--help")
    assert "Usage:" in said.stdout
    imported = {line.rpartition("|")[2].strip() for line in said.stderr.splitlines()}
    assert not imported & {"torch", "pandas", "numpy", "lightning", "wandb", "timm"}


def fault(folder: Path, code: int, *words: str) -> str:
    """The message of a command that must fail with ``code``, in one line of stderr and without a traceback."""
    done = run_in(folder, *words, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "sim"
    run_in(
        ROOT,
        *HPA,
        "simulate",
        str(folder),
        "--fields",
        "3",
        "--test-fields",
        "1",
        "--side-px",
        "256",
        "--seed",
        "3",
    )
    return folder


def test_check_passes_a_good_folder(simulated: Path) -> None:
    assert "3 training and 1 test images" in run_in(ROOT, *HPA, "check", str(simulated)).stdout


def test_check_lists_all_faults_of_a_folder(simulated: Path, tmp_path: Path) -> None:
    run_in(tmp_path, "cp", "-r", str(simulated), "broken")
    broken = tmp_path / "broken"
    (broken / "train/sim-00000_red.png").unlink()
    (broken / "train/sim-00001_blue.png").write_bytes(b"<html>not found</html>")
    table = (broken / "train.csv").read_text().splitlines()
    (broken / "train.csv").write_text("\n".join([*table, table[1], "sim-00009,9|"]) + "\n")
    said = fault(ROOT, 3, *HPA, "check", str(broken))
    for expected in (
        "lacks the channel red",
        "HTML",
        "row 5: id sim-00000 is there twice",
        "row 6: label '9|'",
    ):
        assert expected in said


def test_segment_writes_masks_and_their_table(simulated: Path, tmp_path: Path) -> None:
    run_in(ROOT, *HPA, "segment", str(simulated / "train"), str(tmp_path / "out"))
    cells = pd.read_parquet(tmp_path / "out/cells.parquet")
    assert set(cells["image_id"]) == {"sim-00000", "sim-00001", "sim-00002"}
    for image_id in cells["image_id"].unique():
        assert (tmp_path / f"out/{image_id}_cell.png").is_file()
        assert (tmp_path / f"out/{image_id}_nucleus.png").is_file()


def test_images_of_any_name_are_segmented_alike(simulated: Path, tmp_path: Path) -> None:
    words = dict(zip(COLORS, ("tub", "gfp", "dapi", "er"), strict=True))
    for path in (simulated / "train").glob("*.png"):
        image_id, color = path.stem.split("_")
        (tmp_path / "own" / image_id).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, tmp_path / f"own/{image_id}/{words[color]}.png")
    channels = ",".join(f"{c}={w}" for c, w in zip(CHANNELS, words.values(), strict=True))
    declared = ("--pattern", "{id}/{channel}.png", "--channels", channels)
    assert "3 images" in run_in(ROOT, *HPA, "check", str(tmp_path / "own"), *declared).stdout
    run_in(ROOT, *HPA, "segment", str(tmp_path / "own"), str(tmp_path / "a"), *declared)
    run_in(ROOT, *HPA, "segment", str(simulated / "train"), str(tmp_path / "b"))
    ours, theirs = (pd.read_parquet(tmp_path / out / "cells.parquet") for out in "ab")
    pd.testing.assert_frame_equal(ours, theirs)


def test_segment_shows_what_it_found(simulated: Path, tmp_path: Path) -> None:
    said = run_in(ROOT, *HPA, "segment", str(simulated / "train"), str(tmp_path), "--preview").stdout
    assert "<ID>.jpg of 3 images" in said
    names = sorted(path.name for path in (tmp_path / "preview").iterdir())
    assert names == [*(f"sim-0000{i}.jpg" for i in range(3)), "worst_cells.png"]
    quality, cells = (pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("quality", "cells"))
    pd.testing.assert_frame_equal(quality[["image_id", "cell_id"]], cells[["image_id", "cell_id"]])
    assert quality["weight"].between(0, 1).all()


def test_segment_names_the_segmenters_there_are(simulated: Path, tmp_path: Path) -> None:
    words = ("segment", str(simulated / "train"), str(tmp_path / "out"), "--segmenter", "clasical")
    assert "known: classical, precomputed" in fault(ROOT, 2, *HPA, *words)


def test_precomputed_masks_are_never_replaced(simulated: Path, tmp_path: Path) -> None:
    shutil.copytree(simulated / "truth_masks", tmp_path / "masks")
    before = {path.name: path.read_bytes() for path in (tmp_path / "masks").iterdir()}
    words = ("--segmenter", "precomputed", "--masks", str(tmp_path / "masks"))
    said = fault(ROOT, 2, *HPA, "segment", str(simulated / "train"), str(tmp_path / "masks"), *words)
    assert "holds the precomputed masks" in said
    assert {path.name: path.read_bytes() for path in (tmp_path / "masks").iterdir()} == before


def test_a_gallery_refuses_options_that_it_would_not_heed(tmp_path: Path) -> None:
    words = ("simulate", str(tmp_path / "pages"), "--gallery", "--difficulty", "0.9", "--zoom", "2")
    assert "leave out --zoom, --difficulty" in fault(ROOT, 2, *HPA, *words)
    assert not (tmp_path / "pages").exists()


def test_an_image_without_cells_is_named_and_the_others_are_written(simulated: Path, tmp_path: Path) -> None:
    run_in(tmp_path, "cp", "-r", str(simulated / "train"), "images")
    for color in ("red", "green", "blue", "yellow"):
        cv2.imwrite(str(tmp_path / f"images/dark_{color}.png"), np.zeros((256, 256), np.uint8))
    said = fault(ROOT, 3, *HPA, "segment", str(tmp_path / "images"), str(tmp_path / "out"))
    assert "no cell was found in 1 of 4 images (dark)" in said
    assert set(pd.read_parquet(tmp_path / "out/cells.parquet")["image_id"]) == {
        f"sim-0000{i}" for i in range(3)
    }


def test_predict_names_the_recipes_there_are(simulated: Path, tmp_path: Path) -> None:
    words = (*HPA, "predict", str(simulated / "train"), str(tmp_path / "out"))
    assert "--recipe approach/recipe or --blend" in fault(ROOT, 2, *words)
    assert "known: " in fault(ROOT, 2, *words, "--recipe", "cell_crop/effb3")
    assert not (tmp_path / "out").exists()


def test_evaluate_writes_the_documented_numbers(shared: Path, tmp_path: Path) -> None:
    case = shared / "oracle/c1_base"
    out = tmp_path / "out.json"
    words = ("evaluate", str(case / "submission.csv"), "--truth", str(case / "gt.csv"), "--mode", "mask_gt")
    said = run_in(ROOT, *HPA, *words, "--json", str(out)).stdout
    expected = json.loads((case / "expected.json").read_text())["modes"]["mask_gt"]
    found = json.loads(out.read_text())
    assert set(found) == {"mode", "mAP", "mAP_19", "AP", "ties"}
    assert found["mAP"] == pytest.approx(expected["mAP_nanmean"], abs=1e-9)
    assert f"mAP {expected['mAP_nanmean']:.6f} (mask_gt" in said


def test_usage_errors_exit_with_two() -> None:
    assert "No such option" in fault(ROOT, 2, *HPA, "predict", "--recipy")
    assert "Missing option" in fault(ROOT, 2, "python", "-m", "common.stages.folds", "--images", "x")


def test_a_broken_source_stops_the_images_stage_and_keeps_what_was_there(
    simulated: Path, tmp_path: Path
) -> None:
    run_in(tmp_path, "cp", "-r", str(simulated), "source")
    params = YAML().load((ROOT / "params.yaml").read_text())
    params["images"] |= {"source": "kaggle", "folder": str(tmp_path / "source")}
    with (tmp_path / "params.yaml").open("w") as file:
        YAML().dump(params, file)
    outs = ("--out", str(tmp_path / "images"), "--truth", str(tmp_path / "truth"))
    stage = ("python", "-m", "common.stages.images", *outs, "--params", str(tmp_path / "params.yaml"))
    run_in(ROOT, *stage)
    before = pd.read_parquet(tmp_path / "images/images.parquet")
    (tmp_path / "source/train/sim-00001_red.png").write_bytes(b"")
    (tmp_path / "source/train/sim-00002_red.png").write_bytes(b"\x89PNG")
    said = fault(ROOT, 3, *stage)
    assert "2 faults" in said
    assert "sim-00001_red.png: is empty" in said
    assert "sim-00002_red.png: is truncated or damaged" in said
    pd.testing.assert_frame_equal(before, pd.read_parquet(tmp_path / "images/images.parquet"))


def test_a_misspelt_parameter_stops_a_stage_before_it_writes(tmp_path: Path) -> None:
    params = (ROOT / "params.yaml").read_text().replace("max_empty_share:", "max_emtpy_share:")
    (tmp_path / "params.yaml").write_text(params)
    words = (
        "--images",
        "data/images",
        "--masks",
        str(tmp_path / "masks"),
        "--cells",
        str(tmp_path / "cells.parquet"),
    )
    said = fault(
        ROOT, 2, "python", "-m", "common.stages.segment", *words, "--params", str(tmp_path / "params.yaml")
    )
    assert "max_emtpy_share: unknown key; did you mean 'max_empty_share'?" in said
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    done = run_in(ROOT, *HPA, "check", str(tmp_path / "nowhere"), "--debug", check=False)
    assert done.returncode == 3
    assert "Traceback" in done.stderr
