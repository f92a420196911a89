"""``hpa search``: good values for a recipe, tried as DVC experiments."""

from pathlib import Path
from typing import Annotated

import typer


def main(
    name: Annotated[
        str, typer.Argument(help="Of the search; its trials are the experiments NAME-1, NAME-2, ...")
    ],
    system: Annotated[str, typer.Argument(help="approach/recipe.")],
    change: Annotated[
        list[str] | None,
        typer.Option(
            "-S", help="KEY=LOW..HIGH, KEY=LOW..HIGH:log or KEY=A,B,C, of the recipe; FILE:KEY of another."
        ),
    ] = None,
    space: Annotated[Path | None, typer.Option(help="YAML of KEY: LOW..HIGH, or of KEY: [A, B, C].")] = None,
    trials: Annotated[
        int, typer.Option(min=1, help="In all, with those of earlier runs of this search.")
    ] = 20,
    workers: Annotated[int, typer.Option(min=1, help="Trials at a time.")] = 1,
    metric: Annotated[str, typer.Option(help="A number in the system's entry.")] = "oof.competition.mAP",
    minimize: Annotated[bool, typer.Option(help="The lower, the better.")] = False,
    retry_failed: Annotated[bool, typer.Option(help="Try trials again that failed before.")] = False,
    seed: Annotated[int, typer.Option(help="Of the proposals.")] = 0,
) -> None:
    """Search for the values with the best score. Killed or stopped, the same command goes on."""
    import re
    from importlib.util import find_spec

    from common.errors import ParamsError
    from common.search_space import read_space

    if find_spec("optuna") is None:
        raise ParamsError("a search needs one more package; run: pip install 'hpa-arena[search]'")
    if not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise ParamsError(f"{name!r} is no name for experiments; use letters, digits, - and _")
    approach, _, recipe = system.partition("/")
    file = Path("approaches") / approach / "recipes" / f"{recipe}.yaml"
    if not file.is_file():
        raise ParamsError(f"{system}: there is no recipe {file}; expected approach/recipe")
    from common.search import Plan, Search

    plan = Plan(
        name=name,
        space=read_space(change or [], space, file, Path("params.yaml")),
        target=f"approaches/{approach}/dvc.yaml:score@{recipe}",
        entry=f"leaderboard/entries/{approach}.{recipe}.json",
        metric=metric,
        minimize=minimize,
        trials=trials,
        workers=workers,
        seed=seed,
        retry=retry_failed,
    )
    search = Search(plan, Path(".search") / name)
    try:
        search.run()
    finally:
        print(search.summary())
    if found := search.succeeded():
        best = search.name(found[0].number)
        print(
            f"to take it over: dvc exp apply {best}; all of them: dvc exp show --only-changed --hide-workspace"
        )
