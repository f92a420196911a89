"""Secrets kept out of what is recorded: configurations, command lines, texts.

A secret is known by the name it goes by (``--token``, ``api_key:``), by its shape, or as the value of an environment
variable with such a name.
"""

import os
import re
from typing import Any

REDACTED = "[redacted]"
NAME = re.compile(
    r"pass(word|wd|phrase)|secret|api_?key|(access|account|encryption|private|signing|ssh|storage)_?key"
    r"|(?<![a-z])(token|pat|pwd|auth|authorization|credentials?)(?![a-z])"
)
ASSIGNED = re.compile(r"([\w.-]+)(\s*=\s*|\s*:(?!/)\s*)([^\s&;,'\"]+)")
SHAPES = re.compile(
    r"(?<=://)[^/\s@]+(?=@)"  # user and password of an address
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|\b(gh[oprsu]_|github_pat_|glpat-|hf_|sk-|xox[abprs]-|AIza|wandb_v\d_|local-)[\w-]{20,}"
    r"|\b(AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\beyJ[\w-]{10,}\.[\w-]+\.[\w-]*"  # a JSON web token
    r"|(?<=[Bb]earer )\S+",
    re.DOTALL,
)
SHORTEST = 8
"""A shorter value of an environment variable may be a common word."""


def redacted(value: Any) -> Any:
    """The same mappings, lists and texts without secrets; other values as they are."""
    if isinstance(value, dict):
        return {redacted(key): _under(key, entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(entry) for entry in value]
    return _text(value) if isinstance(value, str) else value


def redacted_words(words: list[str]) -> list[str]:
    """A command line without secrets, also where a value follows its option as the next word."""
    shown = []
    for before, word in zip(["", *words], words, strict=False):
        option = before if before.startswith("-") and "=" not in before else ""
        shown.append(REDACTED if option and _secret(option) else _text(word))
    return shown


def _secret(name: object) -> bool:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(name))
    return bool(NAME.search(snake.lower().replace("-", "_")))


def _under(key: object, entry: Any) -> Any:
    return REDACTED if entry is not None and _secret(key) else redacted(entry)


def _text(text: str) -> str:
    for name, value in os.environ.items():
        if len(value) >= SHORTEST and _secret(name):
            text = text.replace(value, REDACTED)
    text = SHAPES.sub(REDACTED, text)
    return ASSIGNED.sub(lambda m: f"{m[1]}{m[2]}{REDACTED}" if _secret(m[1]) else m[0], text)
