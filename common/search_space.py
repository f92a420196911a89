"""What a search may change: keys of a recipe with ranges or choices, written as text or in a small YAML file."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import ParamsError
from common.params import load_scale, read_scalar, read_yaml

Choice = bool | int | float | str | None
RANGE = re.compile(r"(\S+?)\.\.([^\s:]+)(:log)?")
FORMS = "expected LOW..HIGH, LOW..HIGH:log or CHOICE,CHOICE,..."


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included; whole ones where both are whole."""

    low: float
    high: float
    log: bool


@dataclass(frozen=True)
class Space:
    """The keys as DVC's ``-S`` takes them (``file:key``), each with a range or its choices."""

    dimensions: dict[str, Range | list[Choice]]


def read_space(texts: list[str], file: Path | None, recipe: Path, params: Path) -> Space:
    """The space of ``KEY=RANGE`` texts and of a YAML file of the same keys and ranges.

    A key is one of ``recipe``, where its ``demo:`` block overrides it at scale demo the one in there; or
    ``FILE:KEY`` of another file.

    Raises:
        ParamsError: lists every key that is not there, every range that is none, and an empty space.
    """
    given: dict[str, Any] = dict(read_yaml(file)) if file else {}
    for text in texts:
        key, _, value = text.partition("=")
        given[key] = value
    if not given:
        raise ParamsError("nothing to search: give -S KEY=LOW..HIGH or --space FILE")
    dimensions: dict[str, Range | list[Choice]] = {}
    faults = []
    for key, value in given.items():
        try:
            dimensions[_placed(str(key), recipe, load_scale(params))] = _dimension(value)
        except ParamsError as error:
            faults.append(f"{key}: {error}")
    if faults:
        raise ParamsError("; ".join(faults))
    return Space(dimensions)


def _placed(key: str, recipe: Path, scale: str) -> str:
    file, _, inner = key.rpartition(":")
    path = Path(file) if file else recipe
    values = read_yaml(path)
    demo = values.pop("demo", None) or {}
    known = dict(_leaves(values))
    if inner not in known:
        close = difflib.get_close_matches(inner, known, n=1, cutoff=0.5)
        nearest = f"; did you mean {close[0]!r}?" if close else f"; known keys: {', '.join(known)}"
        raise ParamsError(f"{path} has no such value{nearest}")
    overridden = scale == "demo" and inner in dict(_leaves(demo))
    return f"{path.as_posix()}:{'demo.' if overridden else ''}{inner}"


def _leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _dimension(value: Any) -> Range | list[Choice]:
    if isinstance(value, str) and (found := RANGE.fullmatch(value)):
        return _range(*found.groups())
    choices = value if isinstance(value, list) else [read_scalar(word) for word in str(value).split(",")]
    if len(choices) < 2 or any(isinstance(choice, list | dict) for choice in choices):
        raise ParamsError(f"found {value!r}, {FORMS}")
    return choices


def _range(first: str, last: str, log: str | None) -> Range:
    low, high = _number(first), _number(last)
    if low >= high or (log and low <= 0):
        needed = "0 < LOW < HIGH" if log else "LOW < HIGH"
        raise ParamsError(f"found {first}..{last}, expected {needed}")
    return Range(low, high, bool(log))


def _number(word: str) -> int | float:
    value = read_scalar(word)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParamsError(f"found {word!r} for a number, {FORMS}")
    return value


def as_override(key: str, value: Choice) -> str:
    """A change as DVC's ``-S`` takes it."""
    words = {True: "true", False: "false", None: "null"}
    if isinstance(value, bool) or value is None:
        return f"{key}={words[value]}"
    return f"{key}={value!r}"
