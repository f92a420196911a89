"""What a recipe of this approach may say."""

from itertools import product
from math import prod
from typing import Annotated, NamedTuple

from pydantic import Field, JsonValue, model_validator

from common.augment import Augmentation
from common.classifier import ClassifierRecipe
from common.losses.recipe import LossParams
from common.params import Params
from common.roster import System
from common.training_params import Name
from common.tta import Views
from common.views import View

REPLACED = ("view", "predict_view", "augment")


class Member(Params):
    """One of several networks of a recipe: what it has instead of the recipe's own."""

    weight: float = Field(gt=0)
    """Its part in the mean of the probabilities."""
    view: View | None = None
    predict_view: View | None = None
    augment: tuple[Augmentation, ...] | None = None
    loss: LossParams | None = None
    """Of all steps."""
    ensemble: tuple[Annotated[float, Field(ge=0)], ...] | None = None
    """Of the first step's trainer."""


class Graded(Params):
    """A step that learns from cells that people graded, among others (``drawing.grade_times``); without any it is left
    out, for it would only repeat what was learned."""

    step: Name
    sources: tuple[str, ...] = Field(min_length=1)
    """The sources of labels that are people's grades."""
    ungraded: int = Field(ge=0)
    """So many other cells at most; system B: 85 000, all that it held out."""


class Part(NamedTuple):
    """A trained network of a recipe."""

    folder: str
    """Below that of the fold, where there are several."""
    share: float
    """Of its probabilities in the mean; all shares add up to 1."""


class Recipe(ClassifierRecipe):
    """One competing system of cells cut out one by one."""

    labels: str | list[str | dict[str, JsonValue]]
    """What a cell learns from: ``image``, or a list of sources; the stage that makes the labels checks it."""
    view: View
    predict_view: View | None = None
    """Where a system predicts crops in another form than it learns from; validation sees this one, too."""
    views: Views = ("identity",)
    """Test-time views."""
    start_from: System | None = None
    """The system with whose weights, of the same fold, training starts."""
    graded: Graded | None = None
    members: dict[Name, Member] = Field(default={})
    """Several networks whose probabilities are averaged; none: one network, as the recipe says."""

    @model_validator(mode="after")
    def _normalise_each_channel(self) -> "Recipe":
        for _, _, member in self.systems:
            member.normalize.check(len(member.view.channels))
            shapes = [
                (view.channels, view.size_px, view.bit_depth)
                for view in (member.view, member.seen_at_the_end)
            ]
            if shapes[0] != shapes[1]:
                raise ValueError("predict_view needs the channels, size_px and bit_depth of view")
        return self

    @model_validator(mode="after")
    def _keep_no_more_epochs_than_there_are(self) -> "Recipe":
        epochs = next(iter(self.steps.values())).trainer.epochs
        for name, member in self.members.items():
            if member.ensemble is not None and len(member.ensemble) > epochs:
                raise ValueError(
                    f"members.{name}.ensemble has {len(member.ensemble)} weights for {epochs} epochs"
                )
        return self

    @model_validator(mode="after")
    def _name_a_step(self) -> "Recipe":
        if self.graded and self.graded.step not in self.steps:
            raise ValueError(f"graded.step is {self.graded.step}, expected one of {', '.join(self.steps)}")
        if self.graded and self.steps[self.graded.step].trainer.ensemble:
            raise ValueError(
                f"graded.step {self.graded.step} is left out without grades, so it keeps no ensemble"
            )
        return self

    @property
    def seen_at_the_end(self) -> View:
        """The view of validation and prediction."""
        return self.predict_view or self.view

    @property
    def systems(self) -> "list[tuple[str, float, Recipe]]":
        """The recipe of each member, with its name and share; of a recipe without members itself, without a name."""
        if not self.members:
            return [("", 1.0, self)]
        total = sum(member.weight for member in self.members.values())
        return [
            (name, member.weight / total, self._with(member, number))
            for number, (name, member) in enumerate(self.members.items())
        ]

    @property
    def parts(self) -> list[Part]:
        """The trained networks: each member's, and of each those that its steps keep, in the order of training."""
        found = []
        for name, share, member in self.systems:
            kept = [
                prod(shares) for shares in product(*(step.trainer.shares for step in member.steps.values()))
            ]
            for number, each in enumerate(kept):
                place = [name] * bool(name) + [str(number)] * (len(kept) > 1)
                found.append(Part("/".join(place), share * each))
        return found

    def _with(self, member: Member, number: int) -> "Recipe":
        """The recipe of one network; members differ by their seeds, too."""
        changes = {key: value for key in REPLACED if (value := getattr(member, key)) is not None}
        steps = {}
        for place, (name, step) in enumerate(self.steps.items()):
            seed = {"seed": step.trainer.seed + number}
            kept = {"ensemble": member.ensemble} if place == 0 and member.ensemble is not None else {}
            loss = {"loss": member.loss} if member.loss is not None else {}
            steps[name] = step.model_copy(
                update=loss | {"trainer": step.trainer.model_copy(update=seed | kept)}
            )
        return self.model_copy(update=changes | {"steps": steps, "members": {}})
