"""The space of a search: what its texts mean, and which words are refused."""

from pathlib import Path

import pytest

from common.errors import ParamsError
from common.search_space import Range, as_override, read_space

RECIPE = """
loss: {bce: {}}
lr: 3e-4
train: {epochs: 10, batch_size: 32, layout: plain}
demo:
  train: {epochs: 1}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(RECIPE)
    Path("params.yaml").write_text("scale: demo\ncrops: {margin_px: 16}\n")
    return Path("recipe.yaml")


def space_of(recipe: Path, *texts: str, file: Path | None = None) -> dict[str, object]:
    return dict(read_space(list(texts), file, recipe, Path("params.yaml")).dimensions)


def test_ranges_and_choices_are_read_as_yaml_reads_numbers(recipe: Path) -> None:
    found = space_of(recipe, "lr=1e-4..1e-2:log", "train.batch_size=16..64", "train.layout=plain, last,null")
    assert found == {
        "recipe.yaml:lr": Range(1e-4, 1e-2, True),
        "recipe.yaml:train.batch_size": Range(16, 64, False),
        "recipe.yaml:train.layout": ["plain", "last", None],
    }


def test_at_demo_scale_a_key_is_changed_where_the_demo_block_overrides_it(recipe: Path) -> None:
    assert list(space_of(recipe, "train.epochs=1,2")) == ["recipe.yaml:demo.train.epochs"]
    Path("params.yaml").write_text("scale: full\n")
    assert list(space_of(recipe, "train.epochs=1,2")) == ["recipe.yaml:train.epochs"]


def test_another_file_is_named_and_a_yaml_file_holds_the_same(recipe: Path) -> None:
    Path("space.yaml").write_text(
        "params.yaml:crops.margin_px: 8..32\nlr: 1e-4..1e-2:log\ntrain.layout: [plain, last]\n"
    )
    assert space_of(recipe, "lr=1e-3..1e-2", file=Path("space.yaml")) == {
        "params.yaml:crops.margin_px": Range(8, 32, False),
        "recipe.yaml:lr": Range(1e-3, 1e-2, False),  # an option is stronger than the file
        "recipe.yaml:train.layout": ["plain", "last"],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.epoch=1,2", "did you mean 'train.epochs'"),
        ("train=1,2", "has no such value"),
        ("lr=0..1:log", "expected 0 < LOW < HIGH"),
        ("lr=2..1", "expected LOW < HIGH"),
        ("lr=a..b", "'a' for a number"),
        ("lr=1e-3", "expected LOW..HIGH"),
        ("lr", "expected LOW..HIGH"),
    ],
)
def test_what_makes_no_space_is_refused(recipe: Path, text: str, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        space_of(recipe, text)


def test_all_faults_are_listed_and_an_empty_space_is_one(recipe: Path) -> None:
    with pytest.raises(ParamsError, match=r"lr: .*; train\.epoch: "):
        space_of(recipe, "lr=1", "train.epoch=1,2")
    with pytest.raises(ParamsError, match="nothing to search"):
        space_of(recipe)


def test_values_are_written_as_dvc_reads_them() -> None:
    changes = [as_override("f:k", value) for value in (5e-5, 3, True, None, "resnet10t")]
    assert changes == ["f:k=5e-05", "f:k=3", "f:k=true", "f:k=null", "f:k='resnet10t'"]
