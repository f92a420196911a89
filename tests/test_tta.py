"""Test-time views: each undone by its inverse, averages by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.ndimage import gaussian_filter, rotate
from torch import Tensor

from common.tta import ORIENTATIONS, Views, predict_maps_with, predict_with, see, undo

PICTURE = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)


def smooth(seed: int, side: int = 64) -> Tensor:
    """(1, 2, side, side) without detail finer than a few pixels."""
    noise = np.random.default_rng(seed).normal(size=(1, 2, side, side))
    return torch.from_numpy(gaussian_filter(noise, (0, 0, 5, 5)) * 20)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("identity", PICTURE.numpy()),
        ("hflip", PICTURE.numpy()[..., ::-1]),
        ("vflip", PICTURE.numpy()[..., ::-1, :]),
        ("transpose", PICTURE.numpy().swapaxes(-1, -2)),
        ("antitranspose", PICTURE.numpy()[..., ::-1, ::-1].swapaxes(-1, -2)),
        ("rot90", np.rot90(PICTURE.numpy(), 1, (-2, -1))),
        ("rot180", np.rot90(PICTURE.numpy(), 2, (-2, -1))),
        ("rot270", np.rot90(PICTURE.numpy(), 3, (-2, -1))),
    ],
)
def test_orientations_are_those_of_numpy_and_undone_exactly(name: str, expected: np.ndarray) -> None:
    seen = see(PICTURE, name)
    np.testing.assert_array_equal(seen.numpy(), expected)
    maps, shown = undo(seen, name, (4, 6))
    assert torch.equal(maps, PICTURE)
    assert torch.equal(shown, torch.ones(1, 1, 4, 6))


@given(st.lists(st.sampled_from(list(ORIENTATIONS)), min_size=1, max_size=4))
@settings(deadline=None)
def test_views_in_a_row_are_undone_in_reverse(names: list[str]) -> None:
    view = "+".join(names)
    assert torch.equal(undo(see(PICTURE, view), view, (4, 6))[0], PICTURE)


def test_maps_of_a_coarser_grid_are_turned_back_in_it() -> None:
    def pool(x: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(x, 2)

    for name in ORIENTATIONS:
        assert torch.equal(undo(pool(see(PICTURE, name)), name, (2, 3))[0], pool(PICTURE))


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_rotation_by_quarter_turns_is_that_of_the_orientations(degrees: int) -> None:
    picture = smooth(0)
    expected = see(picture, {90: "rot90", 180: "rot180", -90: "rot270"}[degrees])
    torch.testing.assert_close(see(picture, f"rotate={degrees}"), expected, atol=1e-4, rtol=0)


def test_a_rotation_is_that_of_scipy() -> None:
    picture = smooth(1)
    expected = rotate(picture[0, 0].numpy(), 30, reshape=False, order=1)
    np.testing.assert_allclose(
        see(picture, "rotate=30")[0, 0].numpy()[12:-12, 12:-12], expected[12:-12, 12:-12], atol=0.02
    )


@given(st.floats(-180, 180).map(lambda x: round(x, 2)), st.sampled_from([(64, 64), (64, 40)]))
@settings(max_examples=30, deadline=None)
def test_a_rotation_is_undone_where_the_view_shows_the_picture(degrees: float, size: tuple[int, int]) -> None:
    picture = smooth(2)[..., : size[0], : size[1]]
    view = f"rotate={degrees}"
    maps, shown = undo(see(picture, view), view, size)
    whole = (shown > 0.999).expand_as(picture)
    y, x = (torch.arange(side) - (side - 1) / 2 for side in size)
    near = y[:, None] ** 2 + x[None] ** 2 < (min(size) / 2 - 3) ** 2
    assert (shown[0, 0][near] > 0.999).all()
    assert whole[0, 0].sum() >= near.sum()
    inner = whole & near
    torch.testing.assert_close(maps[inner], picture[inner], atol=0.08, rtol=0)


def test_a_rotation_fills_corners_with_black() -> None:
    black = torch.tensor([-2.0, 1.0])[:, None, None]
    seen = see(torch.full((1, 2, 32, 32), 5.0), "rotate=45", black)
    assert seen[0, :, 0, 0].tolist() == [-2, 1]
    assert seen[0, :, 16, 16].tolist() == pytest.approx([5, 5])


@given(st.sampled_from(["scale=0.8", "scale=1.2", "scale=1.4+hflip", "rot90+scale=1.5", "scale=2+transpose"]))
@settings(deadline=None)
def test_a_scale_is_undone(view: str) -> None:
    picture = smooth(3)[..., :40]
    maps, shown = undo(see(picture, view), view, (64, 40))
    assert maps.shape == picture.shape
    assert torch.allclose(shown, torch.ones_like(shown))
    torch.testing.assert_close(maps, picture, atol=0.25, rtol=0)
    assert (maps - picture).abs().mean() < 0.03


def test_a_scale_multiplies_both_sides() -> None:
    assert see(torch.zeros(1, 4, 512, 256), "scale=1.2").shape == (1, 4, 614, 307)


def test_probabilities_are_averaged_not_logits() -> None:
    def left_edge(pixels: Tensor) -> Tensor:
        return pixels[:, :, :, 0].mean(2)

    pixels = torch.zeros(2, 3, 4, 4)
    pixels[..., 0], pixels[..., 3] = 4.0, -1.0
    expected = (torch.tensor(4.0).sigmoid() + torch.tensor(-1.0).sigmoid()) / 2
    found = predict_with(("identity", "hflip"), left_edge, pixels)
    torch.testing.assert_close(found, expected.expand(2, 3))


def test_the_identity_alone_changes_nothing_to_the_last_bit() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(72, 19))
    assert torch.equal(predict_with(("identity",), network, PICTURE), network(PICTURE).float().sigmoid())


@pytest.mark.parametrize(
    "views", [("identity",), ("hflip", "vflip", "rot90"), ("transpose", "rot270", "rot180")]
)
def test_maps_of_a_pixelwise_network_are_the_same_from_every_side(views: tuple[str, ...]) -> None:
    found = predict_maps_with(views, lambda pixels: pixels.square(), PICTURE, (4, 6))
    torch.testing.assert_close(found, PICTURE.square())


def test_places_a_view_does_not_show_count_by_the_others() -> None:
    picture = torch.full((1, 1, 32, 32), 3.0)
    found = predict_maps_with(("identity", "rotate=45"), torch.ones_like, picture, (32, 32))
    torch.testing.assert_close(found, torch.ones_like(picture))
    alone = predict_maps_with(("rotate=45",), torch.ones_like, picture, (32, 32))
    assert alone[0, 0, 0, 0] == 0
    assert alone[0, 0, 16, 16] == pytest.approx(1)


def test_a_recipe_names_views() -> None:
    views = TypeAdapter(Views)
    named = ["identity", "rotate=-89.5", "scale=1.2+hflip"]
    assert views.validate_json('["identity", "rotate=-89.5", "scale=1.2+hflip"]') == tuple(named)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flip", "'flip' names no view; known: identity, rot90"),
        ("hflip+", "'' names no view"),
        ("rotate=x", "'rotate=x' names no view"),
        ("scale=9", "scale=9: a scale lies between 0.25 and 4.0"),
        ("scale=-1.5", "scale=-1.5: a scale lies between"),
    ],
)
def test_other_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValidationError) as error:
        TypeAdapter(Views).validate_python((name,))
    assert message in str(error.value)
