"""What a recipe of this approach may say."""

from pydantic import JsonValue, model_validator

from common.recipes import NetworkRecipe
from common.views import View


class Recipe(NetworkRecipe):
    """One competing system of cells cut out one by one."""

    labels: str | list[str | dict[str, JsonValue]]
    """What a cell learns from: ``image``, or a list of sources; the stage that makes the labels checks it."""
    view: View
    predict_view: View | None = None
    """Where a system predicts crops in another form than it learns from; validation sees this one, too."""

    @model_validator(mode="after")
    def _normalise_each_channel(self) -> "Recipe":
        self.normalize.check(len(self.view.channels))
        shapes = [(view.channels, view.size_px, view.bit_depth) for view in (self.view, self.seen_at_the_end)]
        if shapes[0] != shapes[1]:
            raise ValueError("predict_view needs the channels, size_px and bit_depth of view")
        return self

    @property
    def seen_at_the_end(self) -> View:
        """The view of validation and prediction."""
        return self.predict_view or self.view
