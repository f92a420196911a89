"""The labels stage: what it writes and says."""

from pathlib import Path

import pandas as pd
import pytest

from common.errors import ParamsError
from common.image_table import COLUMNS
from common.stages import labels as stage
from tests.labelled import IMAGES, known


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small data set as files, and a recipe whose scores lie on a cell and beside one."""
    monkeypatch.setenv("HPA_PARALLEL", "serial")
    data = known(tmp_path)
    data.cells.to_parquet(tmp_path / "cells.parquet")
    (tmp_path / "images").mkdir()
    IMAGES.reindex(columns=[*COLUMNS]).fillna("").to_parquet(tmp_path / "images/images.parquet")
    (tmp_path / "params.yaml").write_text("scale: demo\nquality: {}\n")
    (tmp_path / "scores.csv").write_text("ID,y,x,score\na,5,5,5\nb,15,15,1\n")
    (tmp_path / "recipe.yaml").write_text(
        f"labels:\n  - image\n  - {{kind: scores, file: {tmp_path / 'scores.csv'}, classes: [11]}}\n"
    )
    return tmp_path


def run(place: Path, masks: Path | None) -> None:
    recipe, images, cells, out, params = (
        place / name for name in ("recipe.yaml", "images", "cells.parquet", "labels.parquet", "params.yaml")
    )
    stage.main(recipe, images, cells, out, params, masks=masks)


def test_it_writes_labels_and_lists_the_scores_without_a_cell(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(place, place / "masks")
    table = pd.read_parquet(place / "labels.parquet")
    assert list(table["source"]) == ["image 11=scores", "image", "image", "image"]
    missed = pd.read_csv(place / "labels.missed.csv")
    assert missed[["source", "image_id", "score", "reason", "y"]].to_numpy().tolist() == [
        ["scores", "b", 1, "no cell there", 15]
    ]
    said = capsys.readouterr().out
    assert "labels: 4 cells" in said
    assert "scores  no cell there    1" in said


def test_scores_need_the_masks_among_the_stages_options(place: Path) -> None:
    with pytest.raises(ParamsError, match="these labels need --masks"):
        run(place, None)
    assert not (place / "labels.parquet").exists()
