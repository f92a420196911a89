"""Which recipes are on, and what is left of those that are not."""

from pathlib import Path

import pytest

from common.errors import DataError, ParamsError
from common.roster import recipes_on, refuse_retired
from tests.running import ROOT


def publish(approaches: Path, recipes: dict[str, list[str]]) -> None:
    """Write the folders of approaches whose params.yaml list these recipes."""
    for approach, names in recipes.items():
        (approaches / approach / "recipes").mkdir(parents=True, exist_ok=True)
        (approaches / approach / "dvc.yaml").touch()
        (approaches / approach / "params.yaml").write_text(f"{approach}: {{recipes: [{', '.join(names)}]}}\n")
        for name in names:
            (approaches / approach / "recipes" / f"{name}.yaml").touch()


def test_recipes_are_on_when_they_are_listed(tmp_path: Path) -> None:
    publish(tmp_path, {"y": ["c"], "x": ["b", "a"]})
    publish(tmp_path, {"x": ["b"]})
    assert recipes_on(tmp_path) == ["x/b", "y/c"]
    assert "cell_crop/effb2_cell" in recipes_on(ROOT / "approaches")


def test_a_list_that_is_missing_or_names_no_file_is_refused(tmp_path: Path) -> None:
    publish(tmp_path, {"x": ["a"]})
    (tmp_path / "x/recipes/a.yaml").unlink()
    with pytest.raises(ParamsError, match=r"x/params.yaml: lists 'a', but there is no recipes/a.yaml"):
        recipes_on(tmp_path)
    (tmp_path / "x/params.yaml").write_text("z: {recipes: [a]}\n")
    with pytest.raises(ParamsError, match=r"x/params.yaml: has no list x.recipes"):
        recipes_on(tmp_path)


def test_what_a_retired_recipe_left_is_named() -> None:
    refuse_retired("x/a", Path("data/predictions/x/a"), ["x/a"])
    with pytest.raises(DataError, match=r"predictions/x/a: x/a is no recipe that is on \(y/c\); delete it"):
        refuse_retired("x/a", Path("data/predictions/x/a"), ["y/c"])
