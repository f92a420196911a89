"""Parameter files: read by the parser that DVC uses (YAML 1.2), checked strictly, wrong keys refused by name."""

import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from common.errors import ParamsError

SECTIONS = (
    "scale",
    "images",
    "segment",
    "folds",
    "quality",
    "crops",
    "fields",
    "blend",
    "score",
    "submission",
)
"""The keys of the root params.yaml."""
UNSEEN = {"size", "nfiles"}
"""DVC 3.67 leaves keys of these names out of the key of its run cache, where they are sizes of files: with another
value of such a parameter, ``dvc repro`` would bring an old result back."""


class Params(BaseModel):
    """Frozen parameters; unknown keys, NaN, ``"1e-3"`` for a number and ``yes`` for a switch are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        if unseen := UNSEEN & cls.model_fields.keys():
            raise TypeError(
                f"{cls.__name__}: DVC does not see changes of {', '.join(unseen)}; choose another name"
            )


M = TypeVar("M", bound=Params)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML 1.2 mapping.

    Raises:
        ParamsError: the file is absent, is not YAML (tabs, repeated keys) or holds no mapping.
    """
    try:
        given = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path}: no such file; run from the repository's root") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{path}: is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(given, dict):
        raise ParamsError(f"{path}: holds {type(given).__name__}, expected a mapping of keys to values")
    return given


def read_scalar(word: str) -> Any:
    """A word as YAML 1.2 reads it: ``1e-3`` is a number, ``no`` a text.

    Raises:
        ParamsError: it is no YAML.
    """
    try:
        return YAML(typ="safe").load(word)
    except YAMLError:
        raise ParamsError(f"{word!r} is not YAML") from None


def load_section(kind: type[M], path: Path, section: str) -> M:
    """Read one section of the root params.yaml.

    Raises:
        ParamsError: the section is missing, a key is unknown (the nearest known one is named), a value is wrong.
    """
    given = read_yaml(path)
    for key in given:
        if key not in SECTIONS:
            raise ParamsError(f"{path}: unknown key {key!r}{_nearest(key, SECTIONS)}")
    if "scale" in given:
        _check_scale(given, path)  # here, so that the first stage stops and not the one that trains
    if section not in given:
        raise ParamsError(f"{path}: lacks the section {section!r}")
    return build(kind, given[section], f"{path}: {section}")


def load_scale(path: Path) -> str:
    """Read ``scale`` of the root params.yaml: ``demo`` or ``full``."""
    return _check_scale(read_yaml(path), path)


def _check_scale(given: dict[str, Any], path: Path) -> str:
    scale = given.get("scale")
    if scale not in ("demo", "full"):
        raise ParamsError(f"{path}: scale is {scale!r}, expected demo or full")
    return str(scale)


def load_recipe(kind: type[M], path: Path, scale: str) -> M:
    """Read a recipe; at scale ``demo`` its ``demo:`` block replaces values of keys that the recipe has.

    Raises:
        ParamsError: as ``load_section``; also where ``demo:`` names a key that the recipe lacks.
    """
    return build(kind, recipe_values(path, scale), str(path))


def recipe_values(path: Path, scale: str) -> dict[str, Any]:
    """What a recipe's file says at a scale, unchecked.

    Raises:
        ParamsError: it is no YAML, or ``demo:`` names a key that the recipe lacks.
    """
    given = read_yaml(path)
    small = _override(given, given.pop("demo", {}), f"{path}: demo")  # checked at any scale
    return small if scale == "demo" else given


def system_values(approach: str, recipe: str, params: Path) -> dict[str, Any]:
    """What the recipe of a system says at the scale of ``params``, unchecked; nothing for one without a recipe.

    Raises:
        ParamsError: see ``recipe_values``.
    """
    path = Path("approaches") / approach / "recipes" / f"{recipe}.yaml"
    return recipe_values(path, load_scale(params)) if path.exists() else {}


def _override(values: dict[str, Any], changes: Any, where: str) -> dict[str, Any]:
    if not isinstance(changes, dict):
        raise ParamsError(f"{where}: holds {type(changes).__name__}, expected a mapping of keys to values")
    merged = dict(values)
    for key, change in changes.items():
        if key not in values:
            raise ParamsError(f"{where}.{key}: overrides a key that the recipe lacks{_nearest(key, values)}")
        nested = isinstance(change, dict) and isinstance(values[key], dict)
        merged[key] = _override(values[key], change, f"{where}.{key}") if nested else change
    return merged


def build(kind: type[M], given: object, where: str) -> M:
    """Check ``given`` against ``kind``; ``where`` begins every message.

    Raises:
        ParamsError: lists all that is wrong.
    """
    try:
        # JSON mode: lists fit tuples and 1 fits a float, yet strings never become numbers.
        return kind.model_validate_json(json.dumps(given, default=str))
    except TypeError:
        raise ParamsError(f"{where}: holds a list or a mapping as a key, expected plain words") from None
    except ValidationError as error:
        faults = [_describe(kind, fault) for fault in error.errors()]
        raise ParamsError("; ".join(f"{where}{fault}" for fault in faults)) from None


def _describe(kind: type[Params], fault: Any) -> str:
    place = "".join(f".{part}" for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        known = _known_keys(kind, fault["loc"][:-1])
        return f"{place}: unknown key{_nearest(str(fault['loc'][-1]), known)}"
    if fault["type"] == "missing":
        return f"{place}: is missing"
    said = fault["msg"].removeprefix("Value error, ")  # of our own checks
    return f"{place}: {said}, found {fault['input']!r}"


def _known_keys(kind: Any, place: tuple[Any, ...]) -> list[str]:
    for part in place:
        if part in getattr(kind, "model_fields", {}):
            kind = kind.model_fields[part].annotation
            kind = next((a for a in get_args(kind) if hasattr(a, "model_fields")), kind)
    return list(getattr(kind, "model_fields", {}))


def _nearest(key: object, known: Iterable[object]) -> str:
    names = [str(name) for name in known]  # YAML has keys that are numbers, too
    close = difflib.get_close_matches(str(key), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(names)}"
