"""Which systems compete: the recipes that the approaches' params.yaml list."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from common.errors import DataError, ParamsError
from common.params import read_yaml

System = Annotated[str, Field(pattern=r"^[a-z]\w*/[a-z]\w*$")]
"""``approach/recipe``, where one recipe reads what another published."""


def recipes_on(approaches: Path) -> list[str]:
    """The names ``approach/recipe`` of all recipes that are on, sorted.

    Raises:
        ParamsError: an approach's params.yaml has no list ``<approach>.recipes``, or lists what is no file.
    """
    names = []
    for pipeline in sorted(approaches.glob("*/dvc.yaml")):
        approach = pipeline.parent.name
        path = pipeline.parent / "params.yaml"
        section = read_yaml(path).get(approach)
        if not isinstance(section, dict) or not isinstance(section.get("recipes"), list):
            raise ParamsError(f"{path}: has no list {approach}.recipes; name the recipes that are on")
        for recipe in section["recipes"]:
            if not (pipeline.parent / "recipes" / f"{recipe}.yaml").is_file():
                raise ParamsError(f"{path}: lists {recipe!r}, but there is no recipes/{recipe}.yaml")
            names.append(f"{approach}/{recipe}")
    return names


def refuse_retired(name: str, where: Path, on: list[str]) -> None:
    """Refuse what a system left behind when it was taken off: it would live on in blend and board unseen.

    Raises:
        DataError: ``approach/recipe`` is not on; ``where`` is what to delete.
    """
    if name not in on:
        known = ", ".join(on) or "none"
        raise DataError(f"{where}: {name} is no recipe that is on ({known}); delete it, then run: dvc repro")
