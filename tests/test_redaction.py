"""Redaction: secrets known by name, by shape and from the environment are gone; all else stays as it is."""

from typing import Any

import pytest

from common.redaction import REDACTED, redacted, redacted_words

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcDEF_123"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://ann:hunter22@host/a.git", f"https://{REDACTED}@host/a.git"),
        ("https://ghtoken@host/a.git", f"https://{REDACTED}@host/a.git"),
        (f"ghp_{'a1' * 18} and more", f"{REDACTED} and more"),
        ("AKIAABCDEFGHIJKLMNOP", REDACTED),
        (f"Bearer {JWT}", f"Bearer {REDACTED}"),
        ("https://host/a?token=abc&size=3", f"https://host/a?token={REDACTED}&size=3"),
        ("password: hunter2", f"password: {REDACTED}"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", REDACTED),
    ],
)
def test_a_secret_in_a_text_is_replaced(given: str, expected: str) -> None:
    assert redacted(given) == expected


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "WANDB_API_KEY", "hf-token", "auth", "db_password", "clientSecret"]
)
def test_what_goes_by_a_secret_name_is_replaced_whatever_it_is(name: str) -> None:
    for value in ("x", 12345678, ["a", "b"], {"a": 1}):
        assert redacted({"deep": [{name: value}]}) == {"deep": [{name: REDACTED}]}
    assert redacted({name: None}) == {name: None}


def test_parameters_of_a_recipe_stay_as_they_are() -> None:
    recipe: dict[str, Any] = {
        "steps": {"train": {"optimizer": {"lr": 3e-4, "name": "adam"}, "monitor": "val/map"}},
        "view": {"channels": ["microtubules", "protein"], "mask": None, "pattern": "{id}_{channel}.tif"},
        "author": "Ann", "path": "data/tokens/hf_hub", "paths": ["ssh://host/a", "C:\\x"], "key": 7, "on": True,
    }  # fmt: skip
    assert redacted(recipe) == recipe


def test_values_of_secret_environment_variables_are_replaced_anywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SOME_TOKEN", "plainwords42")
    monkeypatch.setenv("OTHER_TOKEN", "train")  # too short to be anything but a word
    assert redacted(["see plainwords42.", "train"]) == [f"see {REDACTED}.", "train"]


def test_a_command_line_loses_the_value_of_a_secret_option() -> None:
    words = ["train.py", "--token", "abc", "--fold", "0", "--password=xyz", "--out", "data/a"]
    shown = ["train.py", "--token", REDACTED, "--fold", "0", f"--password={REDACTED}", "--out", "data/a"]
    assert redacted_words(words) == shown
