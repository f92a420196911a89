"""Parameter files: what is wrong is refused by the name of its key."""

from pathlib import Path
from typing import Literal

import pytest

from common.errors import ParamsError
from common.folds import FoldParams
from common.params import (
    Params,
    build,
    load_recipe,
    load_scale,
    load_section,
    read_yaml,
    system_values,
)


class Train(Params):
    epochs: int
    learning_rate: float
    amp: bool = False


class Recipe(Params):
    labels: Literal["image", "soft"]
    train: Train
    names: tuple[str, ...] = ()


GOOD = "labels: image\ntrain:\n  epochs: 3\n  learning_rate: 1e-3\n  amp: false\nnames: [a, b]\n"


def recipe_of(tmp_path: Path, text: str, scale: str = "full") -> Recipe:
    (tmp_path / "recipe.yaml").write_text(text)
    return load_recipe(Recipe, tmp_path / "recipe.yaml", scale)


def message_of(tmp_path: Path, text: str, scale: str = "full") -> str:
    with pytest.raises(ParamsError) as caught:
        recipe_of(tmp_path, text, scale)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / "recipe.yaml: ")) or f"{tmp_path}/recipe.yaml" in message
    assert "\n" not in message
    return message


def test_a_recipe_is_read_into_frozen_parameters(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, GOOD)
    assert recipe == Recipe(labels="image", train=Train(epochs=3, learning_rate=0.001), names=("a", "b"))
    with pytest.raises(ValueError, match="frozen"):
        recipe.train.epochs = 4


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("epochs:", "epohcs:", ".train.epohcs: unknown key; did you mean 'epochs'?"),
        ("labels:", "lables:", ".lables: unknown key; did you mean 'labels'?"),
        ("labels:", "qqq: 1\nlabels:", ".qqq: unknown key; known keys: labels, train, names"),
        ("  epochs: 3\n", "", ".train.epochs: is missing"),
        ("epochs: 3", "epochs: three", ".train.epochs: Input should be a valid integer, found 'three'"),
        ("epochs: 3", 'epochs: "3"', ".train.epochs: Input should be a valid integer, found '3'"),
        ("epochs: 3", "epochs: 2.5", ".train.epochs: Input should be a valid integer"),
        ("epochs: 3", "epochs:", ".train.epochs: Input should be a valid integer, found None"),
        ("1e-3", '"1e-3"', ".train.learning_rate: Input should be a valid number, found '1e-3'"),
        ("1e-3", ".nan", ".train.learning_rate: Input should be a finite number, found nan"),
        ("1e-3", ".inf", ".train.learning_rate: Input should be a finite number, found inf"),
        ("amp: false", "amp: no", ".train.amp: Input should be a valid boolean, found 'no'"),
        ("amp: false", "amp: 0", ".train.amp: Input should be a valid boolean, found 0"),
        ("image", "images", ".labels: Input should be 'image' or 'soft', found 'images'"),
        ("[a, b]", "a", ".names: Input should be a valid array, found 'a'"),
        ("[a, b]", "[a, 1]", ".names.1: Input should be a valid string, found 1"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_its_place(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert fault in message_of(tmp_path, GOOD.replace(old, new))


def test_several_wrong_keys_are_named_together(tmp_path: Path) -> None:
    message = message_of(tmp_path, GOOD.replace("epochs", "epoch").replace("image", "none"))
    assert message.count("recipe.yaml.") == 3
    for fault in (
        ".labels: ",
        ".train.epochs: is missing",
        ".train.epoch: unknown key; did you mean 'epochs'?",
    ):
        assert fault in message


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- labels\n- train\n", "holds list, expected a mapping of keys to values"),
        ("", "holds NoneType, expected a mapping"),
        ("# nothing but a comment\n", "holds NoneType, expected a mapping"),
        ("labels: image\nlabels: soft\n", "is not YAML: "),
        ("train:\n\tepochs: 3\n", "is not YAML: "),
        ("<<<<<<< HEAD\nlabels: image\n", "is not YAML: "),
        ("train: {epochs: 3\n", "is not YAML: "),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    assert fault in message_of(tmp_path, text)


def test_a_yaml_fault_names_its_line(tmp_path: Path) -> None:
    assert "found duplicate key" in message_of(tmp_path, GOOD + "labels: soft\n")
    assert "line 7" in message_of(tmp_path, GOOD + "labels: soft\n")
    assert "line 3" in message_of(tmp_path, "labels: image\ntrain:\n\tepochs: 3\n")


def test_a_file_that_is_absent_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"gone.yaml: no such file; run from the repository's root"):
        read_yaml(tmp_path / "gone.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParamsError, match=r"binary.yaml: is not YAML"):
        read_yaml(tmp_path / "binary.yaml")


def test_the_demo_block_replaces_values_at_demo_scale_only(tmp_path: Path) -> None:
    text = GOOD + "demo:\n  train:\n    epochs: 1\n  names: []\n"
    assert recipe_of(tmp_path, text, "full").train.epochs == 3
    demo = recipe_of(tmp_path, text, "demo")
    assert (demo.train.epochs, demo.train.learning_rate, demo.names) == (1, 0.001, ())


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        (
            "demo: {epochs: 1}",
            "demo.epochs: overrides a key that the recipe lacks; known keys: labels, train, names",
        ),
        (
            "demo: {train: {epoch: 1}}",
            "demo.train.epoch: overrides a key that the recipe lacks; did you mean 'epochs'",
        ),
        ("demo: {train: {epochs: x}}", ".train.epochs: Input should be a valid integer, found 'x'"),
        ("demo: {train: 3}", ".train: Input should be an object, found 3"),
        ("demo: {1: 3}", "demo.1: overrides a key that the recipe lacks"),
        ("demo:", "demo: holds NoneType, expected a mapping of keys to values"),
        ("demo: [train]", "demo: holds list, expected a mapping of keys to values"),
    ],
)
def test_a_demo_block_overrides_only_what_is_there(tmp_path: Path, block: str, fault: str) -> None:
    assert fault in message_of(tmp_path, GOOD + block + "\n", "demo")


def test_a_section_of_the_root_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("scale: demo\nfolds:\n  ids: [0, 1]\n  seed: 3\n")
    assert load_section(FoldParams, path, "folds") == FoldParams(ids=(0, 1), seed=3)
    assert load_scale(path) == "demo"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("fold: {ids: [0, 1], seed: 3}", "unknown key 'fold'; did you mean 'folds'?"),
        ("yes: 1\nfolds: {ids: [0, 1], seed: 3}", "unknown key 'yes'; known keys: scale, images, segment"),
        ("1: 1\nfolds: {ids: [0, 1], seed: 3}", "unknown key 1; known keys: scale, images, segment"),
        ("scale: demo", "lacks the section 'folds'"),
        ("folds:", "folds: Input should be an object, found None"),
        ("folds: [0, 1]", "folds: Input should be an object, found \\[0, 1\\]"),
        ("folds: {ids: [0, a], seed: 3}", "folds.ids.1: Input should be a valid integer, found 'a'"),
        ("folds: {ids: [0, 1], sead: 3}", "folds.sead: unknown key; did you mean 'seed'"),
    ],
)
def test_a_fault_of_the_root_file_is_named(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "params.yaml").write_text(text + "\n")
    with pytest.raises(ParamsError, match=f"params.yaml: .*{fault}"):
        load_section(FoldParams, tmp_path / "params.yaml", "folds")


@pytest.mark.parametrize("scale", ["Demo", "", "3", "[demo]", "no"])
def test_the_scale_is_demo_or_full(tmp_path: Path, scale: str) -> None:
    (tmp_path / "params.yaml").write_text(f"scale: {scale}\n")
    with pytest.raises(ParamsError, match=r"scale is .*, expected demo or full"):
        load_scale(tmp_path / "params.yaml")


def test_what_only_yaml_knows_does_not_slip_in_as_text() -> None:
    for value in (
        {"epochs": 1, "learning_rate": float("-inf")},
        {"epochs": True, "learning_rate": 1.0},
        {(1, 2): 3},
    ):
        with pytest.raises(ParamsError):
            build(Train, value, "here")


def test_the_values_of_a_system_are_those_at_its_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("scale: demo\n")
    recipes = tmp_path / "approaches/a/recipes"
    recipes.mkdir(parents=True)
    (recipes / "r.yaml").write_text("labels: image\nlr: 0.1\ndemo:\n  lr: 0.2\n")
    assert system_values("a", "r", Path("params.yaml")) == {"labels": "image", "lr": 0.2}
    assert system_values("controls", "prior", Path("params.yaml")) == {}


@pytest.mark.parametrize("name", ["size", "nfiles"])
def test_a_parameter_that_the_run_cache_does_not_see_cannot_be_declared(name: str) -> None:
    with pytest.raises(TypeError, match=f"DVC does not see changes of {name}"):
        type("Unseen", (Params,), {"__annotations__": {name: int}})
