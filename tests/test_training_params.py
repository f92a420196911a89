"""What a recipe may say about its training, and what is refused."""

from typing import Any

import pytest

from benchmarks.resume import FIRST, SECOND, Recipe
from common.errors import ParamsError
from common.params import build
from common.training_params import Chain


def chain_of(**steps: dict[str, Any]) -> Chain:
    return build(Recipe, {"steps": steps}, "recipe").steps


def test_steps_keep_their_order_and_shuffle_unless_told() -> None:
    chain = chain_of(z=SECOND, a=FIRST, m=SECOND)
    assert list(chain) == ["z", "a", "m"]
    assert chain["z"].sampler.shuffle is not None
    assert (chain["a"].sampler.shuffle, chain["a"].trainer.accumulate) == (None, 2)


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("trainer", {"devices": 3}, "batch_size 8 cannot be divided among 3 devices"),
        ("trainer", {"devices": 4, "nodes": 4}, "batch_size 8 cannot be divided among 16 devices"),
        ("trainer", {"swa_from": 0.8, "ema": 0.9}, "ema and swa_from are two ways to average weights"),
        ("trainer", {"monitor": "val/mpa"}, "'val/loss', 'val/map'"),
        ("trainer", {"top_k": 0}, "greater than or equal to 1"),
        ("trainer", {"accumlate": 2}, r"trainer.accumlate: unknown key; did you mean 'accumulate'"),
        ("optimizer", {"name": "adam"}, "adam takes no momentum; it belongs to sgd"),
        ("sampler", {"shuffle": {}}, "names shuffle and top_up; name exactly one"),
    ],
)
def test_what_does_not_fit_is_refused(section: str, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        chain_of(first=FIRST | {section: FIRST[section] | change})


def test_a_chain_has_a_step_and_names_that_files_can_have() -> None:
    with pytest.raises(ParamsError, match=r"steps: .* at least 1"):
        chain_of()
    with pytest.raises(ParamsError, match="steps"):
        chain_of(**{"../a": FIRST})
