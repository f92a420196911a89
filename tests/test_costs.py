"""What trainings and predictions note of their cost becomes three numbers of the entry."""

from pathlib import Path

import pytest

from common.costs import read_costs, write_cost


def test_times_of_all_folds_and_of_earlier_trainings_add_up(tmp_path: Path) -> None:
    models, predictions = tmp_path / "models/a", tmp_path / "predictions/a"
    for folder, seconds in (
        ("a/fold-0", 10),
        ("a/fold-1", 20),
        ("a.classifiers/fold-0", 5),
        ("ab/fold-0", 100),
    ):
        (tmp_path / "models" / folder).mkdir(parents=True)
        write_cost(tmp_path / "models" / folder, seconds)
        (tmp_path / "models" / folder / "model.safetensors").write_bytes(bytes(500_000))
    predictions.mkdir(parents=True)
    write_cost(predictions, 4.0, 100)
    assert read_costs(models, predictions) == {"train_s": 35, "model_mb": 1.0, "cells_per_s": 25}


@pytest.mark.parametrize("seconds", [None, 0.0])
def test_what_nobody_noted_is_left_out(seconds: float | None, tmp_path: Path) -> None:
    if seconds is not None:
        write_cost(tmp_path, seconds, 3)
    assert read_costs(tmp_path / "models", tmp_path) == {}
